"""The random streams of a stage: each use of chance has its own, derived from the stage's seed by its name."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypedDict

import torch
from torch import Tensor

from cellab.seeding import derive_seed


class _State(TypedDict):
    """States of generators, by the names of their streams."""

    drawn: dict[str, Tensor]
    torchs: dict[str, dict[str, Tensor]]


class Streams:
    """Random streams by name, so that what one of them is asked for changes nothing of the others.

    `streams["crops"]` is a generator on the CPU, so that every device sees the same numbers. What draws from torch's
    global generators (initialisation, dropout) does so in `with streams.torchs("dropout")`.

    Args:
        seed: of the stage.
        device: whose global generator is used besides the CPU's.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self.seed = seed
        self.device = device
        self._drawn: dict[str, torch.Generator] = {}
        self._torchs: dict[str, dict[str, Tensor]] = {}

    def __getitem__(self, name: str) -> torch.Generator:
        """The stream of a name."""
        if name not in self._drawn:
            self._drawn[name] = torch.Generator().manual_seed(derive_seed(self.seed, name))
        return self._drawn[name]

    @contextmanager
    def torchs(self, name: str) -> Iterator[None]:
        """While the block runs torch's global generators go on in the stream of a name; then they are as before."""
        before = self._global_state()
        if name in self._torchs:
            self._set_global_state(self._torchs[name])
        else:
            torch.manual_seed(derive_seed(self.seed, name))
        try:
            yield
        finally:
            self._torchs[name] = self._global_state()
            self._set_global_state(before)

    def _global_state(self) -> dict[str, Tensor]:
        state = {"cpu": torch.get_rng_state()}
        return state | {"cuda": torch.cuda.get_rng_state(self.device)} if self.device.type == "cuda" else state

    def _set_global_state(self, state: dict[str, Tensor]) -> None:
        torch.set_rng_state(state["cpu"])
        if "cuda" in state:
            torch.cuda.set_rng_state(state["cuda"], self.device)

    def state_dict(self) -> _State:
        """How far each stream is."""
        return {"drawn": {name: each.get_state() for name, each in self._drawn.items()}, "torchs": dict(self._torchs)}

    def load_state_dict(self, state: _State) -> None:
        """Goes on from there."""
        for name, each in state["drawn"].items():
            self[name].set_state(each)
        self._torchs = dict(state["torchs"])
