"""Voting: how the parents of a generation agree on a pseudo-label."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from cellab_components.checks import between

Members = Sequence[Callable[[Tensor], Tensor]]


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

    def votes(self, members: Members, images: Tensor) -> Tensor:
        """Each member's probability (K, B, 1, H, W)."""
        return _probabilities(members, images)

    def target(self, probability: Tensor) -> Tensor:
        """The hard pseudo-label, 0.0 or 1.0, of a probability; both (B, 1, H, W)."""
        return (probability > self.threshold).to(probability.dtype)


class MajorityVote:
    """The share of parents that see a cell; more than half of them decide.

    .. code-block:: text

        X = 1/K sum_k [sigmoid(f_k(image)) > threshold],   target = 1 where X > 0.5, else 0

    A tie is background.

    Reference: Hann, section 4.2.

    Args:
        threshold: probability above which a parent sees a cell.

    Shapes:
        as `MeanVote`; votes are 0.0 or 1.0.

    Raises:
        ValueError: as `MeanVote`.
    """

    def __init__(self, threshold: float) -> None:
        self.threshold = between("threshold", threshold, 0, 1, open_high=True)

    def votes(self, members: Members, images: Tensor) -> Tensor:
        """Each member's hard mask (K, B, 1, H, W)."""
        probabilities = _probabilities(members, images)
        return (probabilities > self.threshold).to(probabilities.dtype)

    def target(self, probability: Tensor) -> Tensor:
        """The hard pseudo-label, 0.0 or 1.0, of a share of votes; both (B, 1, H, W)."""
        return (probability > 0.5).to(probability.dtype)


class SoftVote:
    """The mean of the parents' probabilities, and it is the target itself.

    .. code-block:: text

        X = 1/K sum_k sigmoid(f_k(image)),   target = X

    Shapes:
        as `MeanVote`.

    Raises:
        ValueError: when called, there is no member.
    """

    def votes(self, members: Members, images: Tensor) -> Tensor:
        """Each member's probability (K, B, 1, H, W)."""
        return _probabilities(members, images)

    def target(self, probability: Tensor) -> Tensor:
        """The soft pseudo-label: the probability (B, 1, H, W) itself."""
        return probability


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
            upright = _probabilities(members, turned)
            mirrored = _probabilities(members, turned.flip(3)).flip(4)
            views.append(torch.rot90(upright + mirrored, -turns, (3, 4)))
        return torch.stack(views).sum(dim=0) / 8

    def target(self, probability: Tensor) -> Tensor:
        """The hard pseudo-label, 0.0 or 1.0, of a probability; both (B, 1, H, W)."""
        return (probability > self.threshold).to(probability.dtype)


def _probabilities(members: Members, images: Tensor) -> Tensor:
    """Each member's probability (K, B, 1, H, W)."""
    if not members:
        raise ValueError("members: there is none; a vote needs at least one parent.")
    return torch.stack([torch.sigmoid(member(images)) for member in members])
