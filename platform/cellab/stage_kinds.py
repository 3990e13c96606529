"""The kinds of stages there are. A new one is a request in `requests.py`, a module in `stages/`, and a row here."""

from typing import NamedTuple

from cellab.requests import (
    Calibrate,
    Calibrated,
    Evaluate,
    Evaluated,
    FramesLabelled,
    GanTrained,
    GeneratedLabelled,
    LabelFrames,
    LabelGenerated,
    MemberTrained,
    Request,
    Result,
    TrainGan,
    TrainMember,
)


class StageKind(NamedTuple):
    """One kind.

    Args:
        name: of the function that runs a stage.
        request: what it is asked.
        result: what it gives.
        module: where the function is.
    """

    name: str
    request: type[Request]
    result: type[Result]
    module: str


STAGE_KINDS = (
    StageKind("train_gan", TrainGan, GanTrained, "cellab.stages.train_gan"),
    StageKind("train_member", TrainMember, MemberTrained, "cellab.stages.train_member"),
    StageKind("calibrate", Calibrate, Calibrated, "cellab.stages.calibrate"),
    StageKind("label_frames", LabelFrames, FramesLabelled, "cellab.stages.label_frames"),
    StageKind("label_generated", LabelGenerated, GeneratedLabelled, "cellab.stages.label_generated"),
    StageKind("evaluate", Evaluate, Evaluated, "cellab.stages.evaluate"),
)


def kind_of(request: Request) -> StageKind:
    """The kind of stage that a request asks for."""
    return next(kind for kind in STAGE_KINDS if kind.request is type(request))
