"""A gate on how much the parents' masks overlap."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import torch
from torch import Tensor

from cellab_components.checks import between


class Agreement:
    """A mask passes if the parents' hard masks overlap enough, whatever its entropy.

    .. code-block:: text

        accept X if 2 / (K (K - 1)) sum_{i<j} Dice(M_i, M_j) >= minimum,   M_k = [vote_k > cutoff]
        Dice(A, B) = 2 |A and B| / (|A| + |B|)

    Two empty masks agree (their Dice is 1), and so does a single parent with itself.

    Reference:
        Roy et al., *Bayesian QuickNAT: model uncertainty in deep whole-brain segmentation for structure-wise quality
        control*, https://arxiv.org/abs/1811.09800, whose Dice agreement in Monte Carlo samples this is for parents.

    Args:
        minimum: mean Dice of all pairs of parents that is enough.
        cutoff: vote above which a pixel of a parent's mask is positive.

    Shapes:
        votes (K, B, 1, H, W) in [0, 1] -> B booleans.

    Raises:
        ValueError: `minimum` is not in [0, 1], or `cutoff` not in [0, 1).
    """

    threshold = float("inf")  # none on entropies
    needs_votes = True

    def __init__(self, minimum: float, cutoff: float) -> None:
        self.minimum = between("minimum", minimum, 0, 1)
        self.cutoff = between("cutoff", cutoff, 0, 1, open_high=True)

    def __call__(self, entropies: Sequence[float], votes: Tensor) -> list[bool]:  # noqa: ARG002
        """Whether the parents agree on each mask."""
        return [agreement >= self.minimum for agreement in self.agreement(votes).tolist()]

    def agreement(self, votes: Tensor) -> Tensor:
        """The mean pairwise Dice (B,) of the votes' hard masks, float64."""
        masks = (votes > self.cutoff).flatten(2)  # (K, B, H * W)
        if len(masks) == 1:
            return torch.ones(masks.shape[1], dtype=torch.float64)
        return torch.stack([_dice(one, other) for one, other in combinations(masks, 2)]).mean(dim=0)

    def state_dict(self) -> dict[str, float]:
        """Nothing is remembered."""
        return {}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Nothing is remembered."""


def _dice(one: Tensor, other: Tensor) -> Tensor:
    """The Dice coefficient (B,), float64, of boolean masks (B, P); 1 where both are empty."""
    both = (one & other).sum(dim=1).double()
    either = (one.sum(dim=1) + other.sum(dim=1)).double()
    return torch.where(either > 0, 2 * both / either.clamp(min=1), 1.0)
