"""What a study's files say: what it asks, what it takes, how its arms rank, what became of every trial."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal, TypedDict, get_args

from pydantic import TypeAdapter, ValidationError

from cellab.plain import PlainMapping, mapping

Status = Literal["completed", "diverged", "failed", "stopped"]
STATUSES: tuple[Status, ...] = get_args(Status)


class StageCounts(TypedDict):
    """How many stages of one kind are asked for, how many of them are distinct, and how many of those are stored."""

    asked: int
    distinct: int
    stored: int


class PlannedArm(TypedDict):
    """An arm, and what sets it apart."""

    name: str
    overrides: list[str]


class Plan(TypedDict):
    """What running a study would take (`plan.json`): its arms, seeds and trials, and stages by their kinds."""

    study: str
    arms: list[PlannedArm]
    seeds: list[int]
    trials: int
    stages: dict[str, StageCounts]


@dataclass(frozen=True)
class Description:
    """The study as it was asked for (`study.yaml`).

    Args:
        content: all of it.
        seeds: that every arm gets, at least one.
    """

    content: PlainMapping
    seeds: list[int]

    @classmethod
    def of(cls, content: object) -> "Description":
        """Of what was read.

        Raises:
            ValueError: it is no mapping, or lacks something, in one line.
        """
        described = mapping(content)
        if lacking := [key for key in ("name", "seeds") if key not in described]:
            raise ValueError(f"it lacks {', '.join(lacking)}")
        seeds = described["seeds"]
        if not isinstance(seeds, list) or not seeds:
            raise ValueError("its seeds are no list")
        return cls(described, TypeAdapter(list[int]).validate_python(seeds))


@dataclass(frozen=True)
class Configurations:
    """The resolved configuration of every arm (`configurations.json`).

    Args:
        baseline: the arm that others are compared with.
        arms: each one's, by its name, under the keys of `trial.yaml`.
    """

    baseline: str
    arms: Mapping[str, PlainMapping]

    @classmethod
    def of(cls, content: object) -> "Configurations":
        """Of what was read.

        Raises:
            ValueError: it is something else.
        """
        found = TypeAdapter(Configurations).validate_python(content)
        if found.baseline not in found.arms:
            raise ValueError("its baseline is none of its arms")
        return found


@dataclass(frozen=True)
class TrialSummary:
    """What became of one trial.

    Args:
        seed: of the trial.
        status: what became of it.
        stage: the part of the lineage in which it diverged or was stopped, where that is known.
        step: the optimiser step at which it diverged, counted from 1.
        message: why it did not complete.
    """

    seed: int
    status: Status
    stage: str | None = None
    step: int | None = None
    message: str | None = None


@dataclass(frozen=True)
class Score:
    """A metric over seeds: its mean, the standard deviation of the sample (None for one seed), how many seeds."""

    mean: float
    sd: float | None
    n: int


@dataclass(frozen=True)
class ArmSummary:
    """One arm over its seeds.

    Args:
        rank: from 1; None where no trial completed.
        arm: its name.
        baseline: whether the others are compared with it.
        overrides: what sets it apart.
        generation: its last one, which is scored.
        best: the one that the score of given masks alone, on validation, puts first; the last where there is no score.
        planned: how many trials it has.
        completed: how many of them completed; `diverged`, `failed` and `stopped` likewise.
        validation: scores on validation, by metric, over completed trials.
        test: scores on test, and the recall on hidden objects of training frames.
        trials: one for each seed.
    """

    rank: int | None
    arm: str
    baseline: bool
    overrides: tuple[str, ...]
    generation: int
    best: int
    planned: int
    completed: int
    diverged: int
    failed: int
    stopped: int
    validation: Mapping[str, Score]
    test: Mapping[str, Score]
    trials: tuple[TrialSummary, ...]

    def count(self, status: Status) -> int:
        """How many trials ended so."""
        counts = {
            "completed": self.completed,
            "diverged": self.diverged,
            "failed": self.failed,
            "stopped": self.stopped,
        }
        return counts[status]


@dataclass(frozen=True)
class Ranking:
    """The arms of a study, those of the highest score first.

    Args:
        study: its name.
        question: what it asks.
        rank_by: the metric that ranks.
        rank_split: the frames that rank.
        rank_reference: what they are compared with: ``"truth"`` or ``"given"``.
        rank_average: how frames are put together.
        generation: the highest that an arm ends in.
        arms: at least one.
    """

    study: str
    question: str
    rank_by: str
    rank_split: str
    rank_reference: str
    rank_average: str
    generation: int
    arms: tuple[ArmSummary, ...]

    @property
    def trials(self) -> list[TrialSummary]:
        """Those of all arms."""
        return [trial for arm in self.arms for trial in arm.trials]

    def to_json(self) -> str:
        """The content of `arms.json`."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> "Ranking":
        """What `to_json` gave.

        Raises:
            ValueError: it is no JSON, lacks something, or has something of another type, in one line.
        """
        try:
            ranking = _RANKING.validate_python(json.loads(text))
        except ValidationError as error:
            raise ValueError(_first_mistake(error)) from error
        if not ranking.arms:
            raise ValueError("it names no arm")
        return ranking


_RANKING = TypeAdapter(Ranking)


def _first_mistake(error: ValidationError) -> str:
    """All that one thing lacks, or the first value of a wrong type and where it is."""
    mistakes = error.errors()
    where = mistakes[0]["loc"][:-1]
    lacking = [str(each["loc"][-1]) for each in mistakes if each["type"] == "missing" and each["loc"][:-1] == where]
    if lacking:
        return f"it lacks {', '.join(lacking)}"
    key = ".".join(map(str, mistakes[0]["loc"]))
    return f"{key}: {mistakes[0]['msg']}" if key else mistakes[0]["msg"]
