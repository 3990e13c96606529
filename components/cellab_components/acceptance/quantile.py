"""A gate at a quantile of the entropies just seen."""

from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from cellab_components.checks import at_least, between


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
