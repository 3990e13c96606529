"""Saves and restores the whole state of a training loop, without pickle.

A state is a nest of dicts and lists of tensors and plain values; the tensors go into one safetensors blob, the nest
into its metadata as JSON.
"""

import json
import tempfile
import time
from collections.abc import Mapping
from typing import Any, Protocol, TypedDict

import torch
from safetensors import safe_open
from safetensors.torch import save

from cellab.plain import PlainMapping, listed, mapping
from cellab.stage import CheckpointFile


class Stateful(Protocol):
    """What has a state: modules, optimisers, buffers, gates."""

    def state_dict(self) -> Mapping[str, object]:
        """Its state."""

    def load_state_dict(self, state: Any, /) -> object:
        """Takes on a state."""


class TrainingState(TypedDict):
    """The state of a training: how many steps are done, and that of each of its parts by name."""

    step: int
    parts: dict[str, Mapping[str, object]]


class TrainingRun:
    """What is trained step by step; the states of its parts are its own.

    Attributes:
        step: those that are done.
    """

    step = 0

    def parts(self) -> Mapping[str, Stateful]:
        """All of it that changes, by name."""
        raise NotImplementedError

    def state_dict(self) -> TrainingState:
        """All of it that changes."""
        return {"step": self.step, "parts": {name: part.state_dict() for name, part in self.parts().items()}}

    def load_state_dict(self, state: TrainingState) -> None:
        """Goes on from there."""
        self.step = state["step"]
        for name, part in self.parts().items():
            part.load_state_dict(state["parts"][name])


class Checkpoint:
    """The state of a training on disk.

    Args:
        file: where it is read and written.
        training: everything that changes while it runs.
    """

    def __init__(self, file: CheckpointFile, training: Stateful) -> None:
        self.file = file
        self.training = training
        self.written = time.monotonic()

    def restore(self) -> bool:
        """Puts the training into its last saved state; tells whether there was one."""
        content = self.file.read()
        if content is None:
            return False
        self.training.load_state_dict(_unpack(content))
        return True

    def save_if_due(self) -> None:
        """Saves the training's state, if the last time is long enough ago."""
        if time.monotonic() - self.written < self.file.seconds:
            return
        self.file.write(_pack(self.training.state_dict()))
        self.written = time.monotonic()


def _pack(nest: Mapping[str, object]) -> bytes:
    tensors: dict[str, torch.Tensor] = {}

    def flatten(value: object) -> dict[str, object]:
        if isinstance(value, torch.Tensor):
            tensors[str(len(tensors))] = value.detach().clone(memory_format=torch.contiguous_format).cpu()
            return {"tensor": str(len(tensors) - 1)}
        if isinstance(value, dict):
            return {"dict": [[key, flatten(item)] for key, item in value.items()]}
        if isinstance(value, list | tuple):
            return {"list": [flatten(item) for item in value]}
        return {"value": value}

    text = json.dumps(flatten(nest))
    return save(tensors, metadata={"nest": text})


def _unpack(content: bytes) -> object:
    with tempfile.NamedTemporaryFile(suffix=".safetensors") as file:
        file.write(content)
        file.flush()
        with safe_open(file.name, framework="pt") as opened:
            text = opened.metadata()["nest"]
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - no mapping

    def build(value: PlainMapping) -> object:
        (how, inside), *_ = value.items()
        if how == "tensor":
            return tensors[str(inside)]
        if how == "dict":
            return {key: build(mapping(item)) for key, item in map(listed, listed(inside))}
        return [build(mapping(item)) for item in listed(inside)] if how == "list" else inside

    return build(mapping(json.loads(text)))
