"""Keeps pairs of images and pseudo-labels for the time that a member is trained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

PARTS = ("images", "targets", "weights")
FIRST_ROOM = 64  # pairs


@dataclass(frozen=True)
class Batch:
    """What a member is trained on: images, targets and weights, all (B, 1, S, S) float."""

    images: Tensor
    targets: Tensor
    weights: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, which: slice | Tensor) -> "Batch":
        """Some of its pairs."""
        return Batch(self.images[which], self.targets[which], self.weights[which])

    def state_dict(self) -> dict[str, Tensor]:
        """Its tensors."""
        return {part: getattr(self, part) for part in PARTS}

    @classmethod
    def of_state(cls, state: Mapping[str, Tensor], device: torch.device) -> "Batch":
        """What `state_dict` gave."""
        return cls(*(state[part].to(device) for part in PARTS))


def concatenate(batches: Sequence[Batch]) -> Batch:
    """One batch of several."""
    return Batch(*(torch.cat([getattr(batch, part) for batch in batches]) for part in PARTS))


class ReplayBuffer:
    """A ring of pairs: once it is full, a new one takes the place of the oldest.

    Args:
        capacity: pairs that it holds.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._room: Batch | None = None  # its first `_held` pairs are kept ones
        self._held = 0
        self._next = 0  # where the next pair goes

    def __len__(self) -> int:
        return self._held

    def push(self, batch: Batch) -> None:
        """Adds pairs, the oldest first."""
        batch = batch[-self.capacity :]
        if len(batch) == 0:
            return
        room = self._with_room(batch)
        places = (self._next + torch.arange(len(batch), device=batch.images.device)) % self.capacity
        for part in PARTS:
            getattr(room, part)[places] = getattr(batch, part)
        self._next = (self._next + len(batch)) % self.capacity
        self._held = min(self._held + len(batch), self.capacity)

    def _with_room(self, batch: Batch) -> Batch:
        """The ring, made larger where the batch does not fit and its capacity allows; before that nothing wraps."""
        wanted = min(self._held + len(batch), self.capacity)
        have = len(self._room) if self._room else 0
        if self._room is None or have < wanted:
            length = min(max(2 * have, wanted, FIRST_ROOM), self.capacity)
            added = Batch(*(getattr(batch, part).new_empty((length - have, *batch.images.shape[1:])) for part in PARTS))
            self._room = concatenate([self._room, added]) if self._room else added
        return self._room

    def sample(self, count: int, generator: torch.Generator) -> Batch:
        """Uniform draws with replacement.

        Raises:
            IndexError: nothing is kept.
        """
        if len(self) == 0:
            raise IndexError("nothing is kept")
        return self._by_age(torch.randint(len(self), (count,), generator=generator))

    def _by_age(self, numbers: Tensor) -> Batch:
        """Pairs by their age, 0 for the oldest: wherever they lie, a draw depends on what is kept alone."""
        assert self._room is not None
        first = self._next if self._held == self.capacity else 0
        return self._room[((first + numbers) % self.capacity).to(self._room.images.device)]

    def state_dict(self) -> dict[str, Tensor]:
        """The pairs as three tensors, the oldest first."""
        return self._by_age(torch.arange(len(self))).state_dict() if len(self) else {}

    def load_state_dict(self, state: Mapping[str, Tensor], device: torch.device) -> None:
        """Takes on the pairs."""
        self._room, self._held, self._next = None, 0, 0
        if state:
            self.push(Batch.of_state(state, device))
