"""Applies what a calibration found: votes are stretched so that its cut becomes one half."""

from torch import Tensor

from cellab.outcomes import METRICS, Outcome
from cellab.requests import Calibrated
from cellab.stage import Workplace

HALF = 0.5


def cut_of(calibrated: str | None, workplace: Workplace) -> float:
    """The cut that a stage found, by its key; one half where there is none."""
    if calibrated is None:
        return HALF
    content = (workplace.inputs[calibrated] / METRICS).read_bytes()
    return Outcome.from_json(calibrated, content, Calibrated).of(Calibrated).vote.cut


def stretched(votes: Tensor, cut: float) -> Tensor:
    """Probabilities of a label as those of a cell: what is at the cut is at one half, and nothing is above 1.

    Of a label frequency c, whose cut is c / 2, this is P(cell | x) = P(labelled | x) / c (Elkan and Noto 2008).
    """
    return votes if cut == HALF else (votes * (HALF / cut)).clamp(max=1.0)
