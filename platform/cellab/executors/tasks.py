"""Stages as Ray tasks: how one is started, what it tells while it runs, and why one ended that gave no outcome."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import ray
from ray._common.utils import get_system_memory

from cellab import stages
from cellab.costs import peak_bytes
from cellab.executors.driver import in_words
from cellab.outcomes import Outcome
from cellab.stage import How, Stage
from cellab.store import Store

PROGRESS_SECONDS = 1.0
DRIVERS_SHARE = 0.01  # of a stage's CPUs, left to the drivers: else two CPUs would hold one stage and some drivers
GIB = 2**30


@dataclass(frozen=True)
class Obtained:
    """What a task gives.

    Args:
        outcome: of its stage.
        how: it came by it.
    """

    outcome: Outcome
    how: How


@dataclass(frozen=True)
class Trouble:
    """Why a task gave nothing.

    Args:
        message: in words.
        may_pass: it was no fault of the stage's own code: another try may do better.
    """

    message: str
    may_pass: bool


@dataclass
class Memory:
    """What is known of a stage's memory, in bytes; 0: nothing."""

    peak: int = 0
    of: int = 0

    def __str__(self) -> str:
        told = f"peak {self.peak / GIB:.2g} GiB" if self.peak else ""
        return f" ({told} of {self.of / GIB:.2g})" if told and self.of else f" ({told})" if told else ""


class Tasks(Protocol):
    """Starts and ends tasks."""

    async def run(self, stage: Stage, needs: Sequence[Outcome]) -> Obtained:
        """Runs a stage once; raises what Ray does where that gives nothing."""

    def kill(self, key: str) -> None:
        """Ends the task of a stage, and the worker with it."""


class RayTasks:
    """Starts tasks on the cluster that this process is of; it must be an actor, which tasks tell how they are.

    Args:
        store_url: where results are read and written.
        data_path: the data set's file.
    """

    def __init__(self, store_url: str, data_path: Path) -> None:
        self.store_url = store_url
        self.data_path = data_path
        self.references: dict[str, ray.ObjectRef[Obtained]] = {}

    async def run(self, stage: Stage, needs: Sequence[Outcome]) -> Obtained:
        """Runs a stage once, wherever there is room for it."""
        task = run_stage.options(
            name=stage.label,
            num_cpus=stage.threads - DRIVERS_SHARE,
            num_gpus=stage.limits.gpu_share if stage.device == "cuda" else 0,
            scheduling_strategy="DEFAULT",
        )
        broker = ray.get_runtime_context().current_actor
        self.references[stage.key] = task.remote(stage, self.store_url, self.data_path, broker, *needs)
        try:
            obtained: Obtained = await self.references[stage.key]
            return obtained
        finally:
            self.references.pop(stage.key, None)

    def kill(self, key: str) -> None:
        """Ends the task of a stage, and the worker with it."""
        if key in self.references:
            ray.cancel(self.references[key], force=True)


@ray.remote(max_retries=0)  # whoever asked tries again: Ray's own retries of what ran out of memory have no end
def run_stage(stage: Stage, store_url: str, data_path: Path, broker: Any, *needs: Outcome) -> Obtained:
    """The task of one stage."""
    watch = _Remote(broker)
    outcome = stages.obtain(stage, Store(store_url), data_path, needs, watch)
    return Obtained(outcome, watch.how)


class _Remote:
    """Tells a broker, of progress not too often."""

    def __init__(self, broker: Any) -> None:
        self.broker = broker
        self.told = 0.0
        self.how: How = "finished"

    def begin(self, stage: Stage) -> None:
        """A stage begins."""
        self.broker.begin.remote(stage.key, get_system_memory())

    def progress(self, key: str, step: int, steps: int) -> None:
        """A stage is at a step."""
        if (now := time.monotonic()) - self.told >= PROGRESS_SECONDS:
            self.told = now
            self.broker.progress.remote(key, step, steps, peak_bytes())

    def warn(self, stage: Stage, text: str) -> None:
        """Something of a stage is not as it should be."""
        self.broker.warn.remote(stage.key, text)

    def end(self, stage: Stage, how: How) -> None:  # noqa: ARG002
        """A stage has ended: the task gives that back."""
        self.how = how


def trouble(error: BaseException, label: str, memory: Memory) -> Trouble:
    """Why a task gave nothing.

    Args:
        error: that Ray raised instead.
        label: of its stage, by which Ray calls the task.
        memory: what is known of the stage's.
    """
    if isinstance(error, ray.exceptions.TaskCancelledError):
        return Trouble("its worker was told to end", may_pass=True)
    if isinstance(error, ray.exceptions.RayTaskError):
        return Trouble(_reason(error), may_pass=False)
    if isinstance(error, ray.exceptions.OutOfMemoryError):
        return Trouble(f"out of memory{_told_by_ray(str(error), label, memory)}", may_pass=True)
    if isinstance(error, ray.exceptions.WorkerCrashedError):
        return Trouble(f"its worker was killed{memory}, as is what runs out of memory", may_pass=True)
    return Trouble(f"{type(error).__name__}: {error}".partition("\n")[0], isinstance(error, ray.exceptions.RayError))


def _told_by_ray(text: str, label: str, memory: Memory) -> Memory:
    """Memory as the node saw it when it ended a worker."""
    used = re.search(rf"task name={re.escape(label)},.*?actual memory used=([\d.]+)GB", text)
    limit = re.search(r"/ ([\d.]+)GB limit", text)
    return Memory(
        max(memory.peak, int(float(used[1]) * GIB) if used else 0),
        int(float(limit[1]) * GIB) if limit else memory.of,
    )


def _reason(error: ray.exceptions.RayTaskError) -> str:
    """What went wrong in the task; the traceback is in Ray's logs."""
    cause: BaseException = error
    while isinstance(cause, ray.exceptions.RayTaskError) and isinstance(cause.cause, BaseException):
        cause = cause.cause
    return in_words(cause)
