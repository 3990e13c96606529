"""The actor that hands out a study's stages on Ray, and the task that a stage is there."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from cellab import stages
from cellab.executors.driver import Ending
from cellab.executors.monitor import Monitor, Snapshot
from cellab.executors.stopping import Endings
from cellab.outcomes import Outcome
from cellab.stage import How, Stage
from cellab.store import Store

PROGRESS_SECONDS = 1.0
DRIVERS_SHARE = 0.01  # of a stage's CPUs, left to the drivers: else two CPUs would hold one stage and some drivers


@dataclass(frozen=True)
class State:
    """How far a study had come when it was stopped.

    Args:
        snapshot: of its stages, those that ran stopped.
        endings: of the trials that had ended.
        running: keys of the stages that ran.
        waiting: keys of those that had not begun.
    """

    snapshot: Snapshot
    endings: Endings
    running: tuple[str, ...]
    waiting: tuple[str, ...]


@ray.remote(num_cpus=0)
class Broker:
    """Hands out references to stages, so that each runs once, and knows how far they are.

    Args:
        store_url: where results are read and written.
        data_path: the data set's file.
        wanted: all distinct stages of the study.
        slots: how many can run at once.
    """

    def __init__(self, store_url: str, data_path: Path, wanted: list[Stage], slots: int) -> None:
        self.store_url = store_url
        self.data_path = data_path
        self.monitor = Monitor.of(wanted, slots)
        self.references: dict[str, ray.ObjectRef[Outcome]] = {}
        self.stages: dict[str, Stage] = {}
        self.endings: Endings = {}

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

    def end(self, key: str, how: How) -> None:
        """A stage has ended."""
        self.monitor.end(self.stages[key], how)

    def end_trial(self, arm: str, seed: int, ending: Ending) -> None:
        """A trial has ended."""
        self.endings[arm, seed] = ending

    def stop(self) -> State:
        """The study is stopped: how far it has come."""
        running = self.monitor.stop()
        return State(self.monitor.snapshot(), self.endings, running, tuple(self.monitor.waiting))

    def snapshot(self) -> Snapshot:
        """The state of the study now."""
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

    def end(self, stage: Stage, how: How) -> None:
        """A stage has ended."""
        self.broker.end.remote(stage.key, how)
