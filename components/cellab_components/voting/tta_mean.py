"""The mean of the parents' probabilities, and of flips and turns."""

import torch
from torch import Tensor

from cellab_components.checks import between
from cellab_components.voting.parents import Members, probabilities


class TtaMeanVote:
    """The mean of the parents' probabilities, each parent's averaged over the eight flips and quarter turns.

    .. code-block:: text

        X = 1/K sum_k 1/8 sum_s s^-1 sigmoid(f_k(s image)),   target = 1 where X > threshold, else 0

    s runs through the symmetries of the square, so that X turns and flips with the image. Eight times the cost.

    Reference:
        Moshkov et al., *Test-time augmentation for deep learning-based cell segmentation on microscopy images*,
        https://doi.org/10.1038/s41598-020-61808-3.

    Args:
        threshold: probability above which a pixel is positive.

    Shapes:
        as `MeanVote`, with H = W.

    Raises:
        ValueError: as `MeanVote`, or, when called, images are not square.
    """

    def __init__(self, threshold: float) -> None:
        self.threshold = between("threshold", threshold, 0, 1, open_high=True)

    def votes(self, members: Members, images: Tensor) -> Tensor:
        """Each member's mean probability (K, B, 1, S, S)."""
        height, width = images.shape[2:]
        if height != width:
            raise ValueError(f"images: {height} x {width} is not allowed; quarter turns need squares.")
        views = []
        for turns in range(4):
            turned = torch.rot90(images, turns, (2, 3))
            upright = probabilities(members, turned)
            mirrored = probabilities(members, turned.flip(3)).flip(4)
            views.append(torch.rot90(upright + mirrored, -turns, (3, 4)))
        return torch.stack(views).sum(dim=0) / 8

    def target(self, votes: Tensor) -> Tensor:
        """The hard pseudo-label (B, 1, H, W), 0.0 or 1.0, of votes (K, B, 1, H, W)."""
        return (votes.mean(dim=0) > self.threshold).to(votes.dtype)
