"""Acceptance: which pseudo-labels are sure enough to learn from."""

from collections import deque
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from cellab_components.checks import at_least, between


class RunningMean:
    """The paper's gate: a mask passes if its entropy is at most the running mean of all masks before it.

    .. code-block:: text

        accept X_t if E(X_t) <= T_t,   T_t = inertia * T_{t-1} + (1 - inertia) * E(X_{t-1}),   T_0 = 0

    Every mask moves the threshold, accepted or not. While the inertia is above 0, equal entropies above 0 never pass
    (T approaches them from below); at 0.99 a realistic spread first passes after tens of masks, and settles at 50 to
    70 %.

    Reference: Hann, section 4.2.

    Args:
        inertia: gamma of the paper.

    Shapes:
        entropies (B), in any unit -> B booleans, one after the other.

    Raises:
        ValueError: `inertia` is not in [0, 1).
    """

    def __init__(self, inertia: float) -> None:
        self.inertia = between("inertia", inertia, 0, 1, open_high=True)
        self.threshold = 0.0

    def __call__(self, entropies: Sequence[float], votes: Tensor) -> list[bool]:  # noqa: ARG002
        """Whether each of the next masks, in this order, passes."""
        passed = []
        for entropy in entropies:
            passed.append(entropy <= self.threshold)
            # The recurrence in its incremental form: while the inertia is above 0.5, rounding cannot lift the
            # threshold to an entropy that stays the same.
            self.threshold += (1 - self.inertia) * (entropy - self.threshold)
        return passed

    def state_dict(self) -> dict[str, float]:
        """What the gate remembers."""
        return {"threshold": self.threshold}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Goes on from a remembered state."""
        self.threshold = state["threshold"]


class Quantile:
    """A mask passes if its entropy is at most a quantile of the masks just before it.

    .. code-block:: text

        accept X_t if E(X_t) <= T_t,   T_t = quantile of E(X_{t-n}), ..., E(X_{t-1}),   T_0 = 0

    Before any mask was seen only one without entropy passes. Until `window` masks were seen, the quantile is of those
    that there are. Every mask is remembered, accepted or not. Unlike the running mean it lets equal entropies pass,
    and a single huge one does not move it far.

    Reference: ours; the running mean of Hann, section 4.2, made robust.

    Args:
        quantile: share of masks that pass in the long run, in [0, 1]; between two entropies it is interpolated.
        window: n, masks that it looks back on.

    Shapes:
        as `RunningMean`.

    Raises:
        ValueError: `quantile` is not in [0, 1], or `window` is not a whole number of at least 1.
    """

    def __init__(self, quantile: float, window: int) -> None:
        self.quantile = between("quantile", quantile, 0, 1)
        self.seen: deque[float] = deque(maxlen=at_least("window", window, 1))

    @property
    def threshold(self) -> float:
        """What the next mask is held against."""
        return float(np.quantile(self.seen, self.quantile)) if self.seen else 0.0

    def __call__(self, entropies: Sequence[float], votes: Tensor) -> list[bool]:  # noqa: ARG002
        """Whether each of the next masks, in this order, passes."""
        passed = []
        for entropy in entropies:
            passed.append(entropy <= self.threshold)
            self.seen.append(entropy)
        return passed

    def state_dict(self) -> dict[str, list[float]]:
        """What the gate remembers."""
        return {"seen": list(self.seen)}

    def load_state_dict(self, state: Mapping[str, Sequence[float]]) -> None:
        """Goes on from a remembered state."""
        self.seen.clear()
        self.seen.extend(state["seen"])


class Fixed:
    """A mask passes if its entropy is at most a threshold that never moves, in proportion to its pixels.

    .. code-block:: text

        accept X if E(X) <= threshold * H * W

    For entropies that are summed over pixels (`paper`, `binary`). One that is their mean, `mean_binary`, is never above
    ln 2, so that a larger crop lets all of it pass: choose a sum.

    Reference: a confidence threshold as in FixMatch, Sohn et al., https://arxiv.org/abs/2001.07685, on entropies.

    Args:
        threshold: in nats a pixel, so that crops of every size are held to the same.

    Shapes:
        entropies (B), votes (K, B, 1, H, W) -> B booleans.

    Raises:
        ValueError: `threshold` is below 0, or not finite.
    """

    def __init__(self, threshold: float) -> None:
        self.per_pixel = float(between("threshold", threshold, 0, float("inf"), open_high=True))
        self.threshold = self.per_pixel  # of one pixel, before there is a crop

    def __call__(self, entropies: Sequence[float], votes: Tensor) -> list[bool]:
        """Whether each mask passes."""
        height, width = votes.shape[-2:]
        self.threshold = self.per_pixel * height * width
        return [entropy <= self.threshold for entropy in entropies]

    def state_dict(self) -> dict[str, float]:
        """Nothing is remembered."""
        return {}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Nothing is remembered."""


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


class AcceptAll:
    """No gate: every mask passes.

    .. code-block:: text

        accept X

    Reference: the control of the gate of Hann, section 4.2.

    Shapes:
        as `RunningMean`.
    """

    threshold = float("inf")

    def __call__(self, entropies: Sequence[float], votes: Tensor) -> list[bool]:  # noqa: ARG002
        """True for each mask."""
        return [True] * len(entropies)

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
