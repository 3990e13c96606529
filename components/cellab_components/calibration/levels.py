"""Counts of pixels by their probability, in the levels that calibrations get."""

import torch
from torch import Tensor


def probabilities(counts: Tensor) -> Tensor:
    """The probability (L,) float64 that each of L levels stands for, from 0 to 1."""
    return torch.linspace(0, 1, len(counts), dtype=torch.float64, device=counts.device)


def at_or_above(counts: Tensor) -> Tensor:
    """How many pixels (L,) float64 are of each level or a higher one."""
    return counts.double().flip(0).cumsum(0).flip(0)


def check_positives(positives: Tensor) -> None:
    """ValueError where there is no pixel to go by."""
    if int(positives.sum()) == 0:
        raise ValueError("the given masks of the frames that it looks at mark no pixel.")
