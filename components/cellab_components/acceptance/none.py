"""No gate."""

from collections.abc import Mapping, Sequence

from torch import Tensor


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
