"""Voting: how the parents of a generation agree on a pseudo-label."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from cellab_components.checks import between


class MeanVote:
    """The mean of the parents' probabilities; above a threshold it is a cell.

    .. code-block:: text

        X = 1/K sum_k sigmoid(f_k(image)),   target = 1 where X > threshold, else 0

    Reference: Hann, section 4.2.

    Args:
        threshold: probability above which a pixel is positive.

    Shapes:
        members: K functions of images (B, 1, H, W) to logits (B, 1, H, W);
        images (B, 1, H, W) -> votes (K, B, 1, H, W) in [0, 1], whose mean is X.

    Raises:
        ValueError: `threshold` is not in [0, 1), or, when called, there is no member.
    """

    def __init__(self, threshold: float) -> None:
        self.threshold = between("threshold", threshold, 0, 1, open_high=True)

    def votes(self, members: Sequence[Callable[[Tensor], Tensor]], images: Tensor) -> Tensor:
        """Each member's probability (K, B, 1, H, W)."""
        if not members:
            raise ValueError("members: there is none; a vote needs at least one parent.")
        return torch.stack([torch.sigmoid(member(images)) for member in members])

    def target(self, probability: Tensor) -> Tensor:
        """The hard pseudo-label, 0.0 or 1.0, of a probability; both (B, 1, H, W)."""
        return (probability > self.threshold).to(probability.dtype)
