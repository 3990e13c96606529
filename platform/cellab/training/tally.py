"""Counts what becomes of the crops of a source of pseudo-labels."""

import math
from dataclasses import asdict, dataclass, replace
from typing import TypedDict

from torch import Tensor

from cellab.requests import SourceReport
from cellab.training.names import Counters

THRESHOLDS = 200  # of a gate, about as many as a report keeps


@dataclass
class Overlap:
    """Of pseudo-labels with the truth, in pixels: twice those that both call a cell, and those that each does."""

    both: int = 0
    either: int = 0

    def add(self, pseudo: Tensor, truth: Tensor) -> None:
        """Masks, bool."""
        self.both += 2 * int((pseudo & truth).sum())
        self.either += int(pseudo.sum()) + int(truth.sum())

    @property
    def dice(self) -> float | None:
        """None where neither has a cell."""
        return self.both / self.either if self.either else None


class TallyState(TypedDict):
    """All of a tally."""

    counters: dict[str, int]
    overlaps: list[dict[str, int]]
    thresholds: list[float]


class Tally:
    """Crops by their fates, how well their labels fit the truth, and the gate's threshold over time."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.accepted, self.rejected = Overlap(), Overlap()
        self.thresholds: list[float] = []

    def count(self, tried: int, not_prominent: int, passed: Tensor, keep: Tensor, threshold: float) -> None:
        """A number of crops.

        Args:
            tried: how many.
            not_prominent: those that had too little of a mask.
            passed: (B,) bool, which of the others the gate let pass.
            keep: (B,) bool, which of these have enough of a pseudo-label.
            threshold: of the gate, by now.
        """
        self.counters.tried += tried
        self.counters.rejected_by_prominence += not_prominent
        self.counters.rejected_by_entropy += int((~passed).sum())
        self.counters.rejected_as_empty += int((passed & ~keep).sum())
        self.counters.accepted += int(keep.sum())
        self.thresholds.append(threshold)

    def yields_less(self, share: float, after: int) -> bool:
        """Whether less than this share was accepted, once there were so many crops that had enough of a mask."""
        labelled = self.counters.tried - self.counters.rejected_by_prominence
        return labelled >= after and self.counters.accepted < share * labelled

    def compare(self, pseudo: Tensor, truth: Tensor, keep: Tensor) -> None:
        """Pseudo-labels with the truth, (B, 1, S, S) in [0, 1]; `keep` (B,) bool are those that were accepted."""
        for overlap, chosen in ((self.accepted, keep), (self.rejected, ~keep)):
            overlap.add((pseudo > 0.5)[chosen], (truth > 0.5)[chosen])

    def report(self) -> SourceReport:
        """All of it; the gate's threshold is thinned, and where there is none left out."""
        stride = max(1, len(self.thresholds) // THRESHOLDS)
        finite = [value for value in self.thresholds[::stride] if math.isfinite(value)]
        return SourceReport(replace(self.counters), self.accepted.dice, self.rejected.dice, finite)

    def state_dict(self) -> TallyState:
        """All of it."""
        return {
            "counters": asdict(self.counters),
            "overlaps": [asdict(self.accepted), asdict(self.rejected)],
            "thresholds": list(self.thresholds),
        }

    def load_state_dict(self, state: TallyState) -> None:
        """Takes it on."""
        self.counters = Counters(**state["counters"])
        self.accepted, self.rejected = (Overlap(**each) for each in state["overlaps"])
        self.thresholds = list(state["thresholds"])
