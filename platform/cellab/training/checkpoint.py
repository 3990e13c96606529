"""Saves and restores the whole state of a training loop, without pickle.

A state is a nest of dicts and lists of tensors and plain values; the tensors go into one safetensors blob, the nest
into its metadata as JSON.
"""

import json
import tempfile
import time
from typing import Any, Protocol

import torch
from safetensors import safe_open
from safetensors.torch import save

from cellab.stage import CheckpointFile


class Stateful(Protocol):
    """What has a state: modules, optimisers, buffers, gates."""

    def state_dict(self) -> dict[str, Any]:
        """Its state."""

    def load_state_dict(self, state: dict[str, Any], /) -> Any:
        """Takes on a state."""


class RandomState:
    """The state of torch's global random stream and of the given ones.

    Args:
        streams: generators on the CPU.
    """

    def __init__(self, *streams: torch.Generator) -> None:
        self.streams = streams

    def state_dict(self) -> dict[str, Any]:
        """The states as byte tensors."""
        states = {"global": torch.get_rng_state()}
        if torch.cuda.is_available():
            states["cuda"] = torch.cuda.get_rng_state()
        return states | {str(i): stream.get_state() for i, stream in enumerate(self.streams)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes on the states."""
        torch.set_rng_state(state["global"])
        if "cuda" in state:
            torch.cuda.set_rng_state(state["cuda"])
        for i, stream in enumerate(self.streams):
            stream.set_state(state[str(i)])


class Checkpoint:
    """The state of a training loop on disk.

    Args:
        file: where it is read and written.
        parts: everything that changes while the loop runs, by name.
    """

    def __init__(self, file: CheckpointFile, parts: dict[str, Stateful]) -> None:
        self.file = file
        self.parts = parts
        self.written = time.monotonic()

    def restore(self) -> int:
        """Puts every part into its last saved state.

        Returns:
            The number of steps that were done then; 0 where there is no checkpoint.
        """
        content = self.file.read()
        if content is None:
            return 0
        nest = _unpack(content)
        for name, part in self.parts.items():
            part.load_state_dict(nest["parts"][name])
        return int(nest["step"])

    def save_if_due(self, step: int) -> None:
        """Saves every part after `step` steps, if the last time is long enough ago."""
        if time.monotonic() - self.written < self.file.seconds:
            return
        self.file.write(_pack({"step": step, "parts": {k: part.state_dict() for k, part in self.parts.items()}}))
        self.written = time.monotonic()


def _pack(nest: dict[str, Any]) -> bytes:
    tensors: dict[str, torch.Tensor] = {}

    def flatten(value: Any) -> Any:
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


def _unpack(content: bytes) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile(suffix=".safetensors") as file:
        file.write(content)
        file.flush()
        with safe_open(file.name, framework="pt") as opened:
            text = opened.metadata()["nest"]
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - no mapping

    def build(value: dict[str, Any]) -> Any:
        if "tensor" in value:
            return tensors[value["tensor"]]
        if "dict" in value:
            return {key: build(item) for key, item in value["dict"]}
        if "list" in value:
            return [build(item) for item in value["list"]]
        return value["value"]

    nest: dict[str, Any] = build(json.loads(text))
    return nest
