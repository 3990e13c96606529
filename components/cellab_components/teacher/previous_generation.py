"""The previous generation as the teacher."""

from collections.abc import Mapping


class PreviousGeneration:
    """All members of the previous generation label, and no older ones.

    Reference: Hann, section 3.
    """

    inherits = True

    def shares(self, shares: Mapping[str, float], progress: float) -> dict[str, float]:  # noqa: ARG002
        """The shares of a batch's sources, as the data mix says; `progress` is that of the training, in [0, 1]."""
        return dict(shares)
