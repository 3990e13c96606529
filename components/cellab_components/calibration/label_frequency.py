"""Half of the share of cells that are labelled."""

from torch import Tensor

from cellab_components.calibration.levels import check_positives, probabilities
from cellab_components.checks import at_least

SPLITS = ("validation", "train")
ESTIMATORS = ("e1", "e2", "e3")


class LabelFrequency:
    """Half of the label frequency c, the probability that a cell is labelled.

    .. code-block:: text

        P(labelled | x) = c P(cell | x), so that P(cell | x) > 1/2 where P(labelled | x) > c / 2
        e1: c = mean of X over given positives
        e2: c = sum of X over given positives / sum of X over all pixels
        e3: c = maximum of X

    X is what a network says that has learned masks in which each cell is labelled with the same probability c,
    whatever it looks like. Where annotators skip the faint or the small, c is that of those that they label, and the
    cut is too high for the others. Losses that are no proper score (Dice, Tversky, focal) give an X that is no
    probability, of which the mean says little.

    Reference: Elkan and Noto, *Learning classifiers from only positive and unlabeled data*, KDD 2008,
    https://doi.org/10.1145/1401890.1401920, equations 1 to 3.

    Args:
        estimator: `e1`, `e2` or `e3`.
        split: frames whose given masks it looks at: `validation`, which nobody learns from, or `train`.
        frames: at most so many of them, evenly spaced; null: all.

    Raises:
        ValueError: there is no such estimator or split, or `frames` is below 1; when called, nothing is marked.
    """

    def __init__(self, estimator: str, split: str, frames: int | None) -> None:
        if estimator not in ESTIMATORS:
            raise ValueError(f"estimator: {estimator!r} is not allowed; it must be one of {', '.join(ESTIMATORS)}.")
        if split not in SPLITS:
            raise ValueError(f"split: {split!r} is not allowed; it must be one of {', '.join(SPLITS)}.")
        self.estimator = estimator
        self.split = split
        self.frames = None if frames is None else at_least("frames", frames, 1)

    def cut(self, positives: Tensor, pixels: Tensor) -> float:
        """Half of c, of the numbers (L,) of pixels of each probability from 0 to 1: given positives, and all."""
        return self.frequency(positives, pixels) / 2

    def frequency(self, positives: Tensor, pixels: Tensor) -> float:
        """c, in [0, 1]."""
        check_positives(positives)
        probability = probabilities(positives)
        of_positives = float((probability * positives).sum())
        if self.estimator == "e1":
            return of_positives / int(positives.sum())
        if self.estimator == "e2":
            of_all = float((probability * pixels).sum())
            return of_positives / of_all if of_all else 0.0
        return float(probability[pixels > 0].max())
