"""The previous generation as the teacher."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # planning a lineage asks who teaches, and needs no PyTorch for it
    from torch import Tensor, nn


class PreviousGeneration:
    """All members of the previous generation label, and no older ones.

    Reference: Hann, section 3.
    """

    lone_generation = 0  # who has no parents
    pairs_age = False

    def parents(self, members: Sequence[str]) -> Sequence[str]:
        """All of them."""
        return members

    def start(self, member: "nn.Module", parents: Sequence["nn.Module"]) -> None:
        """Takes a new member and its parents."""
        self._member, self._parents = member, parents

    def labellers(self) -> Sequence["nn.Module"]:
        """The parents."""
        return self._parents

    def shares(self, shares: Mapping[str, float], progress: float) -> Mapping[str, float]:  # noqa: ARG002
        """The shares of a batch's sources, as the data mix says; `progress` is that of the training, in [0, 1]."""
        return shares

    def update(self, step: int, logits: "Tensor", targets: "Tensor") -> None:
        """Parents learn nothing more."""

    def kept(self) -> "nn.Module":
        """The member itself."""
        return self._member

    def state_dict(self) -> Mapping[str, "Tensor"]:
        """Nothing changes."""
        return {}

    def load_state_dict(self, state: Mapping[str, "Tensor"]) -> None:
        """Nothing changes."""
