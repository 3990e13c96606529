"""The actor that hands out stages on Ray, and the task that a stage is there."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from cellab import stages
from cellab.executors.monitor import Monitor, Snapshot
from cellab.executors.protocol import Key
from cellab.executors.stopping import key_of
from cellab.lineage import Lineage
from cellab.outcomes import Outcome
from cellab.stage import How, Stage
from cellab.store import Store

PROGRESS_SECONDS = 1.0
DRIVERS_SHARE = 0.01  # of a stage's CPUs, left to the drivers: else two CPUs would hold one stage and some drivers


@dataclass(frozen=True)
class State:
    """How far all had come when it was stopped.

    Args:
        snapshot: of the stages, those that ran stopped.
        running: keys of the stages that ran.
        waiting: keys of those that had not begun.
    """

    snapshot: Snapshot
    running: tuple[str, ...]
    waiting: tuple[str, ...]


@ray.remote(num_cpus=0)
class Broker:
    """Hands out references to stages, so that each runs once, and knows how far they are.

    Args:
        store_url: where results are read and written.
        data_path: the data set's file.
        slots: how many stages can run at once.
    """

    def __init__(self, store_url: str, data_path: Path, slots: int) -> None:
        self.store_url = store_url
        self.data_path = data_path
        self.monitor = Monitor(slots)
        self.lineages: dict[Key, Lineage] = {}
        self.references: dict[str, ray.ObjectRef[Outcome]] = {}
        self.stages: dict[str, Stage] = {}

    def add(self, lineages: list[Lineage]) -> None:
        """Lineages that will be asked for."""
        for lineage in lineages:
            self.lineages[key_of(lineage)] = lineage
            self.monitor.add(lineage)

    def lineage(self, key: Key) -> Lineage:
        """The one of an arm and a seed."""
        return self.lineages[key]

    def ask(self, wanted: list[Stage]) -> dict[str, "ray.ObjectRef[Outcome]"]:
        """References to the outcomes of stages; begins those that nobody asked for before."""
        return {stage.key: self._reference(stage) for stage in wanted}

    def _reference(self, stage: Stage) -> "ray.ObjectRef[Outcome]":
        if stage.key not in self.references:
            self.stages[stage.key] = stage
            self.references[stage.key] = self._begin(stage)
        return self.references[stage.key]

    def _begin(self, stage: Stage) -> "ray.ObjectRef[Outcome]":
        task = run_stage.options(
            name=stage.label,
            num_cpus=stage.threads - DRIVERS_SHARE,
            num_gpus=stage.gpu_share if stage.device == "cuda" else 0,
            scheduling_strategy="DEFAULT",
        )
        needs = [self.references[key] for key in stage.needs]
        broker = ray.get_runtime_context().current_actor
        reference: ray.ObjectRef[Outcome] = task.remote(stage, self.store_url, self.data_path, broker, *needs)
        return reference

    def begin(self, key: str) -> None:
        """A stage begins."""
        self.monitor.begin(self.stages[key])

    def progress(self, key: str, step: int, steps: int) -> None:
        """A stage is at a step."""
        self.monitor.progress(key, step, steps)

    def warn(self, key: str, text: str) -> None:
        """Something of a stage is not as it should be."""
        self.monitor.warn(self.stages[key], text)

    def end(self, key: str, how: How) -> None:
        """A stage has ended."""
        self.monitor.end(self.stages[key], how)

    def stop(self) -> State:
        """All is stopped: how far it has come."""
        running = self.monitor.stop()
        return State(self.monitor.snapshot(), running, tuple(self.monitor.waiting))

    def snapshot(self) -> Snapshot:
        """The state now."""
        return self.monitor.snapshot()


@ray.remote(max_retries=1)
def run_stage(stage: Stage, store_url: str, data_path: Path, broker: Any, *needs: Outcome) -> Outcome:
    """The task of one stage; its needs' outcomes come resolved."""
    watch = _Remote(broker)
    try:
        return stages.obtain(stage, Store(store_url), data_path, needs, watch)
    except BaseException as error:
        if not isinstance(error, Exception):  # else it has failed, and that is told
            watch.end(stage, "stopped")
        raise


class _Remote:
    """Tells a broker, of progress not too often."""

    def __init__(self, broker: Any) -> None:
        self.broker = broker
        self.told = 0.0

    def begin(self, stage: Stage) -> None:
        """A stage begins."""
        self.broker.begin.remote(stage.key)

    def progress(self, key: str, step: int, steps: int) -> None:
        """A stage is at a step."""
        if (now := time.monotonic()) - self.told >= PROGRESS_SECONDS:
            self.told = now
            self.broker.progress.remote(key, step, steps)

    def warn(self, stage: Stage, text: str) -> None:
        """Something of a stage is not as it should be."""
        self.broker.warn.remote(stage.key, text)

    def end(self, stage: Stage, how: How) -> None:
        """A stage has ended."""
        self.broker.end.remote(stage.key, how)
