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

    Reference: Hann, section 3.

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

    def target(self, votes: Tensor) -> Tensor:
        """The hard pseudo-label (B, 1, H, W), 0.0 or 1.0, of votes (K, B, 1, H, W)."""
        return (votes.mean(dim=0) > self.threshold).to(votes.dtype)


class MajorityVote:
    """More than half of the parents decide, each by itself.

    .. code-block:: text

        target = 1 where 1/K sum_k [p_k > threshold] > 0.5, else 0,   p_k = sigmoid(f_k(image))

    A tie is background. A gate on entropies sees the mean of the probabilities, as with `MeanVote`: hard votes would
    have no entropy where unsure parents agree.

    Reference: the majority vote of classifiers, e.g. Lam and Suen, https://doi.org/10.1109/3468.618255.

    Args:
        threshold: probability above which a parent sees a cell.

    Shapes:
        as `MeanVote`.

    Raises:
        ValueError: as `MeanVote`.
    """

    def __init__(self, threshold: float) -> None:
        self.threshold = between("threshold", threshold, 0, 1, open_high=True)

    def votes(self, members: Members, images: Tensor) -> Tensor:
        """Each member's probability (K, B, 1, H, W)."""
        return _probabilities(members, images)

    def target(self, votes: Tensor) -> Tensor:
        """The hard pseudo-label (B, 1, H, W), 0.0 or 1.0, of votes (K, B, 1, H, W)."""
        ayes = (votes > self.threshold).to(votes.dtype).mean(dim=0)
        return (ayes > 0.5).to(votes.dtype)


class SoftVote:
    """The mean of the parents' probabilities, and it is the target itself.

    .. code-block:: text

        X = 1/K sum_k sigmoid(f_k(image)),   target = X

    Reference: Hinton et al., *Distilling the knowledge in a neural network*, https://arxiv.org/abs/1503.02531.

    Shapes:
        as `MeanVote`.

    Raises:
        ValueError: when called, there is no member.
    """

    def votes(self, members: Members, images: Tensor) -> Tensor:
        """Each member's probability (K, B, 1, H, W)."""
        return _probabilities(members, images)

    def target(self, votes: Tensor) -> Tensor:
        """The soft pseudo-label (B, 1, H, W): the mean of votes (K, B, 1, H, W)."""
        return votes.mean(dim=0)


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

    def target(self, votes: Tensor) -> Tensor:
        """The hard pseudo-label (B, 1, H, W), 0.0 or 1.0, of votes (K, B, 1, H, W)."""
        return (votes.mean(dim=0) > self.threshold).to(votes.dtype)


def _probabilities(members: Members, images: Tensor) -> Tensor:
    """Each member's probability (K, B, 1, H, W)."""
    if not members:
        raise ValueError("members: there is none; a vote needs at least one parent.")
    return torch.stack([torch.sigmoid(member(images)) for member in members])
