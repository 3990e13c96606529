"""Saves and restores the whole state of a training loop, without pickle.

A state is a nest of dicts and lists of tensors and plain values; the tensors go into one safetensors blob, the nest
into its metadata as JSON, with the format's version, the key of the stage and a digest of all that.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Generic, Protocol, TypedDict, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from cellab.plain import PlainMapping, listed, mapping
from cellab.stage import CheckpointFile

VERSION = "1"  # of the format
# what taking on a state raises that is of another shape, and reading one that is no state or lies behind a broken disk
UNUSABLE = (ValueError, TypeError, LookupError, AttributeError, RuntimeError, ArithmeticError, OSError)


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


_Training = TypeVar("_Training", bound=Stateful)


class Checkpoint(Generic[_Training]):
    """The state of a training on disk.

    Args:
        file: where it is read and written.
        begin: makes the training as it is before its first step.

    Attributes:
        training: everything that changes while it runs.
    """

    def __init__(self, file: CheckpointFile, begin: Callable[[], _Training]) -> None:
        self.file = file
        self.begin = begin
        self.training = begin()
        self.written = time.monotonic()

    def restore(self) -> bool:
        """Puts the training into its last saved state; tells whether there was one.

        One that cannot be used is refused, and the training is as it is before its first step.
        """
        try:
            content = self.file.read()
            if content is None:
                return False
            self.training.load_state_dict(_unpack(content, self.file.key))
        except UNUSABLE as error:
            self.file.refuse((str(error).strip().splitlines() or [type(error).__name__])[0])
            self.training = self.begin()  # part of the state may have been taken on
            return False
        return True

    def save_if_due(self) -> None:
        """Saves the training's state, if the last time is long enough ago."""
        if time.monotonic() - self.written < self.file.seconds:
            return
        self.file.write(_pack(self.training.state_dict(), self.file.key))
        self.written = time.monotonic()


def _pack(nest: Mapping[str, object], key: str) -> bytes:
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

    said = {"nest": json.dumps(flatten(nest)), "version": VERSION, "stage": key}
    return save(tensors, metadata={**said, "digest": _digest(said, tensors)})


def _digest(said: Mapping[str, object], tensors: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 (hex) of all that a checkpoint holds, however it is laid out."""
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _read(content: bytes, key: str) -> tuple[str, dict[str, torch.Tensor]]:
    """The nest and the tensors of a stage's checkpoint.

    Raises:
        ValueError: it is damaged, or of another version or stage.
    """
    damaged = "it is damaged"
    try:
        tensors = load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        said = mapping(header["__metadata__"])
        digest, version = said.pop("digest"), said["version"]
    except (SafetensorError, ValueError, LookupError, TypeError) as error:
        raise ValueError(damaged) from error
    if version != VERSION:
        raise ValueError(f"it has format version {version}, and this cellab reads version {VERSION}")
    if digest != _digest(said, tensors):
        raise ValueError(damaged)
    if said["stage"] != key:
        raise ValueError("it is of another stage")
    return str(said["nest"]), tensors


def _unpack(content: bytes, key: str) -> object:
    text, tensors = _read(content, key)

    def build(value: PlainMapping) -> object:
        (how, inside), *_ = value.items()
        if how == "tensor":
            return tensors[str(inside)]
        if how == "dict":
            return {key: build(mapping(item)) for key, item in map(listed, listed(inside))}
        return [build(mapping(item)) for item in listed(inside)] if how == "list" else inside

    return build(mapping(json.loads(text)))
