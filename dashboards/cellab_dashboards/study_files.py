"""Reads the files that a study leaves in its folder, and sees that they hold what a report needs."""

import io
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import h5py
import polars as pl
import yaml

from cellab.errors import CellabError

T = TypeVar("T")

REMEDY = "run the study again, finished stages are reused."
RANKING_KEYS = ("study", "question", "rank_by", "rank_reference", "generation", "arms")
ARM_KEYS = (
    "rank",
    "arm",
    "baseline",
    "generation",
    "overrides",
    "planned",
    "completed",
    "validation",
    "test",
    "trials",
)
TRIAL_KEYS = ("seed", "status", "stage", "step", "message")
RESULTS = ("arm", "seed", "generation", "split", "reference", "average", "metric", "value")
FATES = ("accepted", "rejected_by_prominence", "rejected_by_entropy", "rejected_as_empty")
COUNTERS = ("arm", "seed", "generation", "member", "source", "tried", *FATES, "refreshes", "gave_up")
PSEUDO_LABELS = (*COUNTERS, "dice_accepted", "dice_rejected", "threshold")


@dataclass(frozen=True)
class StudyFiles:
    """What a study left.

    Args:
        folder: of the study.
        description: `study.yaml`.
        plan: `plan.json`.
        ranking: `arms.json`.
        provenance: `provenance.json`.
        results: `results.parquet`, a row for each trial, generation, split, reference, average and metric.
        counters: `pseudo_labels.parquet`, a row for each member and source of pseudo-labels.
    """

    folder: Path
    description: dict[str, Any]
    plan: dict[str, Any]
    ranking: dict[str, Any]
    provenance: dict[str, Any]
    results: pl.DataFrame
    counters: pl.DataFrame

    @property
    def arms(self) -> list[dict[str, Any]]:
        """The arms in the order of their ranks; those without a rank last."""
        arms: list[dict[str, Any]] = self.ranking["arms"]
        return sorted(arms, key=lambda arm: (arm["rank"] is None, arm["rank"] or 0))

    @property
    def baseline(self) -> str:
        """The baseline's name."""
        return next((str(arm["arm"]) for arm in self.arms if arm["baseline"]), str(self.arms[0]["arm"]))

    @property
    def seeds(self) -> list[int]:
        """The seeds that every arm gets."""
        return [int(seed) for seed in self.description["seeds"]]

    @property
    def reference(self) -> str:
        """What ranks: ``"truth"`` or ``"given"``."""
        return str(self.ranking["rank_reference"])

    @property
    def trials(self) -> list[dict[str, Any]]:
        """Every planned trial with its arm; one of which nothing is known has the status ``"not run"``."""
        unknown = {"status": "not run", "stage": None, "step": None, "message": None}
        found = {(arm["arm"], trial["seed"]): trial for arm in self.arms for trial in arm["trials"]}
        every = dict.fromkeys([*found, *((arm["arm"], seed) for arm in self.arms for seed in self.seeds)])
        order = [arm["arm"] for arm in self.arms]
        return [
            {"arm": arm, "seed": seed, **(found.get((arm, seed)) or unknown)}
            for arm, seed in sorted(every, key=lambda key: (order.index(key[0]), key[1]))
        ]

    @contextmanager
    def open_images(self) -> Iterator[h5py.File]:
        """`images.h5`, open to read.

        Raises:
            CellabError: something in it cannot be read.
        """
        path = self.folder / "images.h5"
        try:
            with h5py.File(path) as file:
                yield file
        except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
            raise _damaged(path, str(error)) from error


def read_study(folder: Path) -> StudyFiles:
    """Reads a study's folder.

    Raises:
        CellabError: the folder or a file is missing, or a file is damaged.
    """
    if not folder.is_dir():
        raise CellabError(f"{folder} is not a study's folder: there is none. `cellab ablate` makes one, runs/STUDY.")
    _read(folder / "images.h5", lambda path: h5py.File(path).close())
    return StudyFiles(
        folder=folder,
        description=_read(folder / "study.yaml", _description),
        plan=_read(folder / "plan.json", _mapping),
        ranking=_read(folder / "arms.json", _ranking),
        provenance=_read(folder / "provenance.json", _mapping),
        results=_read(folder / "results.parquet", lambda path: _table(path, RESULTS)),
        counters=_read(folder / "pseudo_labels.parquet", lambda path: _table(path, PSEUDO_LABELS)),
    )


def _read(path: Path, read: Callable[[Path], T]) -> T:
    if not path.is_file():
        raise CellabError(f"{path} is missing: {REMEDY}")
    try:
        return read(path)
    except (OSError, ValueError, TypeError, yaml.YAMLError, pl.exceptions.PolarsError) as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, reason: str) -> CellabError:
    first_line = (reason.strip().splitlines() or ["it cannot be read"])[0][:200]
    return CellabError(f"{path} is damaged ({first_line}): {REMEDY}")


def _mapping(path: Path) -> dict[str, Any]:
    return _with_keys(json.loads(path.read_text(encoding="utf-8")), ())


def _description(path: Path) -> dict[str, Any]:
    description = _with_keys(yaml.safe_load(path.read_text(encoding="utf-8")), ("name", "seeds"))
    if not isinstance(description["seeds"], list) or not description["seeds"]:
        raise ValueError("its seeds are no list")
    return description


def _ranking(path: Path) -> dict[str, Any]:
    ranking = _with_keys(json.loads(path.read_text(encoding="utf-8")), RANKING_KEYS)
    if not isinstance(ranking["arms"], list) or not ranking["arms"]:
        raise ValueError("it names no arm")
    for arm in ranking["arms"]:
        for trial in _with_keys(arm, ARM_KEYS)["trials"]:
            _with_keys(trial, TRIAL_KEYS)
    return ranking


def _with_keys(content: Any, keys: Iterable[str]) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise ValueError(f"a mapping is expected, found {type(content).__name__}")
    if lacking := [key for key in keys if key not in content]:
        raise ValueError(f"it lacks {', '.join(lacking)}")
    return content


def _table(path: Path, columns: Iterable[str]) -> pl.DataFrame:
    table = pl.read_parquet(io.BytesIO(path.read_bytes()))  # polars itself takes only names that are UTF-8
    if lacking := [name for name in columns if name not in table.columns]:
        raise ValueError(f"it lacks the columns {', '.join(lacking)}")
    return table
