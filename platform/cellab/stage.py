"""A stage: one unit of compute, addressed by the content of its request."""

import functools
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, get_args

from cellab.data.hidden import DataFile
from cellab.requests import Request, as_json
from cellab.stage_kinds import kind_of


@dataclass(frozen=True)
class Limits:
    """What a stage may take where it runs.

    Args:
        gpu_share: of a GPU, where its device is cuda.
        seconds: after which it has timed out, if ever.
        stall_seconds: without progress, after which people are told, if ever.
    """

    gpu_share: float = 1.0
    seconds: float | None = None
    stall_seconds: float | None = None


@dataclass(frozen=True)
class Stage:
    """One unit of compute and where it belongs.

    Args:
        label: what it is for, to people: of the trial that asked first, e.g. ``gan_loss=wgan seed=1 gen 2 member 0``.
        part: of its lineage: ``generator``, ``gen 1 member 0``.
        request: all that its result depends on but the code.
        code: fingerprint of the code that it runs.
        needs: keys of the stages that it reads.
        limits: what it may take; not part of its identity.
        generation: that it belongs to; None: to the whole lineage.
        only_for: the trial that shares it with no other; None: whoever asks for it.
    """

    label: str
    part: str
    request: Request = field(repr=False)
    code: str = field(repr=False)
    needs: tuple[str, ...] = field(default=(), repr=False)
    limits: Limits = field(default_factory=Limits, repr=False)
    generation: int | None = field(default=None, repr=False)
    only_for: str | None = field(default=None, repr=False)

    @property
    def kind(self) -> str:
        """The name of what it does, e.g. ``"train_gan"``."""
        return kind_of(self.request).name

    @functools.cached_property
    def identity(self) -> dict[str, object]:
        """All that its result depends on, as plain JSON values."""
        whose = {} if self.only_for is None else {"only_for": self.only_for}
        return {"stage": self.kind, **as_json(self.request), "code": self.code, **whose}

    @functools.cached_property
    def key(self) -> str:
        """SHA-256 (hex) of its identity in canonical JSON."""
        return hashlib.sha256(canonical_json(self.identity).encode()).hexdigest()

    @property
    def threads(self) -> int:
        """CPU threads that it computes with."""
        return self.request.compute.threads

    @property
    def device(self) -> str:
        """``"cpu"`` or ``"cuda"``."""
        return self.request.compute.device


def canonical_json(value: object) -> str:
    """JSON with sorted keys and no white space: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


How = Literal["finished", "reused", "diverged", "failed", "timed out", "stopped", "skipped"]  # a stage ends
HOWS: tuple[How, ...] = get_args(How)


class Watch(Protocol):
    """Told what happens to stages."""

    def begin(self, stage: Stage) -> None:
        """A stage begins to compute."""

    def progress(self, key: str, step: int, steps: int) -> None:
        """Step `step` of `steps` of a stage is done."""

    def warn(self, stage: Stage, text: str) -> None:
        """Something of a stage is not as it should be, though it goes on: the end of a sentence."""

    def end(self, stage: Stage, how: How) -> None:
        """A stage has ended."""


class Progress(Protocol):
    """Told by a stage how far it is."""

    def __call__(self, step: int, steps: int) -> None:
        """Step `step` of `steps` is done."""


@dataclass(frozen=True)
class Workplace:
    """What a running stage is given besides its request: folders to read and write, and somebody to tell.

    Args:
        data: the data set's file, of which what is read is checked to be what the request asks for.
        output: an empty folder; all files in it become the stage's result.
        inputs: the folder of each stage that it reads, by key.
        progress: called now and then.
        checkpoint: load and save the state of a long stage; see `cellab.training.checkpoint`.
    """

    data: DataFile
    output: Path
    inputs: dict[str, Path]
    progress: Progress
    checkpoint: "CheckpointFile"


@dataclass(frozen=True)
class CheckpointFile:
    """Where a stage's unfinished state lies, if anywhere, and how often it is written.

    Args:
        key: of the stage.
        read: gives the last state written, as bytes, or None.
        write: replaces it, atomically.
        refuse: told why the last state written cannot be used; removes it.
        seconds: at least this long between two of them.
    """

    key: str
    read: Callable[[], bytes | None]
    write: Callable[[bytes], None]
    refuse: Callable[[str], None]
    seconds: float
