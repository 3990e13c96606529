"""Runs a study in this process, one stage after the other, without Ray: for debugging and tests."""

import logging
from pathlib import Path

from cellab import interruption, stages
from cellab.errors import CellabError
from cellab.executors.driver import Ending, drive, in_words
from cellab.executors.monitor import Monitor
from cellab.executors.stopping import Endings, Stopped, endings_when_stopped
from cellab.lineage import Lineage
from cellab.outcomes import Outcome
from cellab.stage import Stage
from cellab.store import Store
from cellab.study import Study, Trial

logger = logging.getLogger(__name__)


class InlineRunner:
    """Runs each stage when it is waited for, those that it reads first.

    Args:
        store: where results are read and written.
        data_path: the data set's file.
        monitor: told what happens.
        checkpoint_seconds: at least this long between two checkpoints of a stage.
    """

    def __init__(
        self, store: Store, data_path: Path, monitor: Monitor, checkpoint_seconds: float = stages.CHECKPOINT_SECONDS
    ) -> None:
        self.store = store
        self.data_path = data_path
        self.monitor = monitor
        self.checkpoint_seconds = checkpoint_seconds
        self.asked: dict[str, Stage] = {}
        self.outcomes: dict[str, Outcome] = {}

    def start(self, lineage: Lineage) -> None:
        """Notes the lineage's stages."""
        self.asked |= {stage.key: stage for stage in lineage.stages}

    def wait(self, key: str) -> Outcome:
        """Runs a stage unless its result is stored and sound."""
        if key not in self.outcomes:
            self.outcomes[key] = self._run(self.asked[key])
        return self.outcomes[key]

    def _run(self, stage: Stage) -> Outcome:
        needs = [self.wait(key) for key in stage.needs]
        watch = _Interruptible(self.monitor)
        return stages.obtain(stage, self.store, self.data_path, needs, watch, self.checkpoint_seconds)


class _Interruptible:
    """Tells a monitor, and stops where a signal's exception was swallowed by a library."""

    def __init__(self, monitor: Monitor) -> None:
        self.begin, self.end, self.monitor = monitor.begin, monitor.end, monitor

    def progress(self, key: str, step: int, steps: int) -> None:
        """A stage is at a step."""
        interruption.check()
        self.monitor.progress(key, step, steps)


def run_study(study: Study, store: Store, monitor: Monitor) -> Endings:
    """Runs every trial; one that fails does not stop the others.

    Returns:
        How each trial ended, by (arm, seed).

    Raises:
        Stopped: Ctrl-C, with the endings so far.
    """
    runner = InlineRunner(store, study.data_path, monitor)
    endings: Endings = {}
    try:
        for trial in study.trials:
            endings[trial.arm.name, trial.seed] = _run_trial(trial, runner)
    except KeyboardInterrupt as error:
        interruption.received()
        raise Stopped(endings_when_stopped(study, endings, monitor.stop(), monitor.waiting)) from error
    return endings


def _run_trial(trial: Trial, runner: InlineRunner) -> Ending:
    try:
        return drive(trial.lineage, runner, lambda _metrics: None)
    except Exception as error:
        if not isinstance(error, CellabError):
            logger.exception("%s seed=%s", trial.arm.name, trial.seed)  # where it is, for who debugs
        return Ending("failed", in_words(error))
