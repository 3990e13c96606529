"""The cut that given positives favour."""

import torch
from torch import Tensor

from cellab_components.calibration.label_frequency import SPLITS
from cellab_components.calibration.levels import at_or_above, check_positives, probabilities
from cellab_components.checks import at_least


class PuScore:
    """The cut that maximises recall squared over the share of pixels called positive.

    .. code-block:: text

        cut = argmax_t r(t)^2 / P(X >= t),   r(t) the recall of X >= t on given positives

    Where cells are labelled at random r is also the recall on all cells, and r^2 / P(X >= t) is precision times recall
    against the truth, divided by the share of cells: no truth is needed to compare cuts. Any monotone X will do. Of
    few objects it is noisy, and where labelling is not at random the cut favours those that are labelled.

    Reference: Lee and Liu, *Learning with positive and unlabeled examples using weighted logistic regression*,
    ICML 2003, section 4.

    Args:
        split: frames whose given masks it looks at: `train` or `validation`.
        frames: at most so many of them, evenly spaced; null: all.

    Raises:
        ValueError: there is no such split, or `frames` is below 1; when called, nothing is marked.
    """

    def __init__(self, split: str, frames: int | None) -> None:
        if split not in SPLITS:
            raise ValueError(f"split: {split!r} is not allowed; it must be one of {', '.join(SPLITS)}.")
        self.split = split
        self.frames = None if frames is None else at_least("frames", frames, 1)

    def cut(self, positives: Tensor, pixels: Tensor) -> float:
        """The best cut, of the numbers (L,) of pixels of each probability from 0 to 1: given positives, and all."""
        check_positives(positives)
        found, called = at_or_above(positives), at_or_above(pixels)
        score = torch.where(called > 0, found**2 / called.clamp(min=1), 0.0)
        best = int(score[1:].argmax()) + 1  # from level 0 on everything is a cell
        return float(probabilities(positives)[best - 1 : best + 1].mean())
