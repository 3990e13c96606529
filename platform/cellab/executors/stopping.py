"""Says what became of the trials of a study that was stopped before its end."""

from collections.abc import Collection, Iterable

from cellab.executors.driver import Ending
from cellab.stage import Stage
from cellab.study import Study

Endings = dict[tuple[str, int], Ending]


class Stopped(KeyboardInterrupt):
    """A study was stopped.

    Args:
        endings: how each trial ended, by (arm, seed).
    """

    def __init__(self, endings: Endings) -> None:
        self.endings = endings
        super().__init__()


def endings_when_stopped(study: Study, known: Endings, running: Collection[str], waiting: Collection[str]) -> Endings:
    """How each trial ended: as is known, else stopped, in the stages of it that ran.

    Args:
        study: what was stopped.
        known: the trials that had ended before.
        running: keys of the stages that ran.
        waiting: keys of those that had not begun.
    """
    return {
        key: known.get(key) or _stopped(trial.lineage.stages, running, waiting)
        for trial in study.trials
        for key in [(trial.arm.name, trial.seed)]
    }


def _stopped(stages: Iterable[Stage], running: Collection[str], waiting: Collection[str]) -> Ending:
    if all(stage.key in waiting for stage in stages):
        return Ending("stopped", "it had not begun")
    where = ", ".join(stage.part for stage in stages if stage.key in running)
    return Ending("stopped", "it was stopped before its end", where or None)
