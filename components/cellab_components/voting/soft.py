"""The mean of the parents' probabilities, uncut."""

from torch import Tensor

from cellab_components.voting.parents import Members, probabilities


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
        return probabilities(members, images)

    def target(self, votes: Tensor) -> Tensor:
        """The soft pseudo-label (B, 1, H, W): the mean of votes (K, B, 1, H, W)."""
        return votes.mean(dim=0)
