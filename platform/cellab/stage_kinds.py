"""The kinds of stages there are. A new one is a request in `requests.py`, a module in `stages/`, and a row here."""

from typing import NamedTuple

from cellab.requests import Evaluate, Request, TrainGan, TrainMember


class StageKind(NamedTuple):
    """One kind.

    Args:
        name: of the function that runs a stage.
        request: what it is asked.
        module: where the function is.
    """

    name: str
    request: type[Request]
    module: str


STAGE_KINDS = (
    StageKind("train_gan", TrainGan, "cellab.stages.train_gan"),
    StageKind("train_member", TrainMember, "cellab.stages.train_member"),
    StageKind("evaluate", Evaluate, "cellab.stages.evaluate"),
)


def kind_of(request: Request) -> StageKind:
    """The kind of stage that a request asks for."""
    return next(kind for kind in STAGE_KINDS if kind.request is type(request))
