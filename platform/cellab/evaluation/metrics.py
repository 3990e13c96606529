"""Dice, Jaccard, precision, recall and recall on hidden objects (paper 9, spec 9)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cellab.evaluation.names import METRIC_NAMES

Mask = NDArray[np.bool_]
Average = Literal["micro", "macro"]


@dataclass(frozen=True)
class Counts:
    """Pixels of a prediction against a reference: true and false positives, false and true negatives."""

    tp: int
    fp: int
    fn: int
    tn: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.tn + other.tn)


def count(prediction: Mask, reference: Mask) -> Counts:
    """Counts of two binary masks of one shape."""
    tp = int(np.count_nonzero(prediction & reference))
    fp, fn = (int(np.count_nonzero(mask)) - tp for mask in (prediction, reference))
    return Counts(tp, fp, fn, prediction.size - tp - fp - fn)


def count_hidden(prediction: Mask, given: Mask, truth: Mask) -> Counts:
    """Counts on the pixels that the truth has and the given mask misses; there are no false positives on them."""
    hidden = truth & ~given
    found = int(np.count_nonzero(prediction & hidden))
    return Counts(found, 0, int(np.count_nonzero(hidden)) - found)


def _ratio(part: int, whole: int, counts: Counts) -> float:
    if whole:
        return part / whole
    return 1.0 if counts.tp + counts.fp + counts.fn == 0 else 0.0


def dice(counts: Counts) -> float:
    """2TP / (2TP + FP + FN); 1 where both masks are empty."""
    return _ratio(2 * counts.tp, 2 * counts.tp + counts.fp + counts.fn, counts)


def jaccard(counts: Counts) -> float:
    """TP / (TP + FP + FN); 1 where both masks are empty."""
    return _ratio(counts.tp, counts.tp + counts.fp + counts.fn, counts)


def precision(counts: Counts) -> float:
    """TP / (TP + FP); where nothing is predicted, 1 if the reference is empty too, else 0."""
    return _ratio(counts.tp, counts.tp + counts.fp, counts)


def recall(counts: Counts) -> float:
    """TP / (TP + FN); where the reference is empty, 1 if the prediction is too, else 0."""
    return _ratio(counts.tp, counts.tp + counts.fn, counts)


def pu_score(counts: Counts) -> float:
    """Recall squared over the share of pixels that are predicted; 0 where nothing is predicted, or nothing marked.

    Of given masks that miss cells at random it is precision times recall against the truth, over the share of cells:
    a number of at least 0, which may exceed 1, and orders predictions of the same frames (Lee and Liu 2003).
    """
    predicted, marked = counts.tp + counts.fp, counts.tp + counts.fn
    if not predicted or not marked:
        return 0.0
    return (counts.tp / marked) ** 2 * (predicted + counts.fn + counts.tn) / predicted


METRICS: dict[str, Callable[[Counts], float]] = dict(zip(METRIC_NAMES, (dice, jaccard, precision, recall), strict=True))


def average(metric: Callable[[Counts], float], per_frame: Sequence[Counts], how: Average) -> float:
    """A metric over frames.

    Args:
        metric: of counts.
        per_frame: at least one.
        how: ``"micro"`` pools the pixels of all frames; ``"macro"`` is the mean of the frames' values.
    """
    if how == "micro":
        return metric(sum(per_frame, start=Counts(0, 0, 0)))
    return float(np.mean([metric(counts) for counts in per_frame]))
