"""The paper's gate: a running mean of entropies."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from cellab_components.checks import between


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
