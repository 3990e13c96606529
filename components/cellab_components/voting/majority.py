"""The majority of the parents' masks."""

from torch import Tensor

from cellab_components.checks import between
from cellab_components.voting.parents import Members, probabilities


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
        return probabilities(members, images)

    def target(self, votes: Tensor) -> Tensor:
        """The hard pseudo-label (B, 1, H, W), 0.0 or 1.0, of votes (K, B, 1, H, W)."""
        ayes = (votes > self.threshold).to(votes.dtype).mean(dim=0)
        return (ayes > 0.5).to(votes.dtype)
