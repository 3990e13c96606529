"""The mean of the parents' probabilities, cut at a threshold."""

from torch import Tensor

from cellab_components.checks import between
from cellab_components.voting.parents import Members, probabilities


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
        return probabilities(members, images)

    def target(self, votes: Tensor) -> Tensor:
        """The hard pseudo-label (B, 1, H, W), 0.0 or 1.0, of votes (K, B, 1, H, W)."""
        return (votes.mean(dim=0) > self.threshold).to(votes.dtype)
