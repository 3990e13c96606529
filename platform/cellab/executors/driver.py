"""Drives one lineage: asks for its stages, waits for each generation, and reports it. Imports no torch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from cellab.errors import CellabError
from cellab.lineage import Lineage
from cellab.outcomes import Outcome
from cellab.requests import Evaluated
from cellab.stage import Stage
from cellab.study_files.records import Status


class Runner(Protocol):
    """Runs stages, each once."""

    def start(self, lineage: Lineage) -> None:
        """Announces all stages of a lineage, which may begin as soon as those that they read are there."""

    def wait(self, key: str) -> Outcome:
        """The outcome of a stage; `diverged` also where one that it reads diverged.

        Raises:
            StageError: it failed, or one that it reads.
        """


class StageError(CellabError):
    """A stage that failed.

    Args:
        message: why.
        part: of its lineage, that it was.
    """

    def __init__(self, message: str, part: str) -> None:
        self.part = part
        super().__init__(message)


def timed_out(stage: Stage) -> str:
    """What is said of a stage that has run longer than it may."""
    return f"timed out: it ran longer than resources.stage_seconds={stage.limits.seconds:g}"


@dataclass(frozen=True)
class Ending:
    """How a trial ended.

    Args:
        status: what became of it.
        message: why, where it did not complete.
        stage: the part of the lineage in which it failed or was stopped, where that is known.
    """

    status: Status
    message: str | None = None
    stage: str | None = None


def drive(lineage: Lineage, runner: Runner, report: Callable[[dict[str, float]], None]) -> Ending:
    """Runs a lineage to its end, or to the stage that diverged.

    Args:
        lineage: what to run.
        runner: what runs its stages.
        report: told after each generation: its number and the validation metrics.
    """
    runner.start(lineage)
    for number, generation in enumerate(lineage.generations):
        for key in (*generation.members, generation.evaluation):
            outcome = runner.wait(key)
            if outcome.diverged:
                return Ending("diverged", str(outcome.diverged))
        report({"generation": number, **validation_metrics(outcome)})
    for stage in lineage.stages:  # those too on which no generation waits
        if diverged := runner.wait(stage.key).diverged:
            return Ending("diverged", str(diverged))
    return Ending("completed")


def in_words(error: BaseException) -> str:
    """Our own errors in their own words; others by their type and last line."""
    if isinstance(error, CellabError):
        return str(error)
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or ['no message'])[-1]}"


def validation_metrics(outcome: Outcome) -> dict[str, float]:
    """Micro-averaged metrics on validation, against the truth where there is one, else against the given masks."""
    rows = [row for row in outcome.of(Evaluated).rows if row.split == "validation" and row.average == "micro"]
    rows.sort(key=lambda row: row.reference == "truth")
    return {row.metric: row.value for row in rows}
