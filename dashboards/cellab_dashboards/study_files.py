"""A study as a report sees it: its files, read, and what follows from them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import h5py
import polars as pl

from cellab.errors import CellabError
from cellab.plain import PlainMapping
from cellab.study_files.folder import StudyFolder, damaged, read
from cellab.study_files.records import ArmSummary, Description, Ranking, Status, TrialSummary

NOT_RUN: Literal["not run"] = "not run"  # nothing is known of a planned trial


@dataclass(frozen=True)
class PlannedTrial:
    """What is known of a trial that was planned."""

    arm: str
    seed: int
    status: Status | Literal["not run"]
    stage: str | None = None
    step: int | None = None
    message: str | None = None

    @classmethod
    def of(cls, arm: str, seed: int, known: TrialSummary | None) -> "PlannedTrial":
        """The trial of an arm and a seed, of which something is known or nothing."""
        if known is None:
            return cls(arm, seed, NOT_RUN)
        return cls(arm, seed, known.status, known.stage, known.step, known.message)


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
        calibrations: `calibrations.parquet`, a row for each calibrated vote, and for each of its members.
    """

    folder: StudyFolder
    description: Description
    plan: PlainMapping
    ranking: Ranking
    provenance: PlainMapping
    results: pl.DataFrame
    counters: pl.DataFrame
    calibrations: pl.DataFrame

    @property
    def arms(self) -> list[ArmSummary]:
        """The arms in the order of their ranks; those without a rank last."""
        return sorted(self.ranking.arms, key=lambda arm: (arm.rank is None, arm.rank or 0))

    @property
    def baseline(self) -> str:
        """The baseline's name."""
        return next((arm.arm for arm in self.arms if arm.baseline), self.arms[0].arm)

    @property
    def seeds(self) -> list[int]:
        """The seeds that every arm gets."""
        return self.description.seeds

    @property
    def reference(self) -> str:
        """What ranks: ``"truth"`` or ``"given"``."""
        return self.ranking.rank_reference

    @property
    def trials(self) -> list[PlannedTrial]:
        """Every planned trial, arms in the order of their ranks."""
        found = {(arm.arm, trial.seed): trial for arm in self.arms for trial in arm.trials}
        every = dict.fromkeys([*found, *((arm.arm, seed) for arm in self.arms for seed in self.seeds)])
        order = [arm.arm for arm in self.arms]
        ordered = sorted(every, key=lambda key: (order.index(key[0]), key[1]))
        return [PlannedTrial.of(arm, seed, found.get((arm, seed))) for arm, seed in ordered]

    @contextmanager
    def open_images(self) -> Iterator[h5py.File]:
        """`images.h5`, open to read.

        Raises:
            CellabError: something in it cannot be read.
        """
        try:
            with h5py.File(self.folder.images) as file:
                yield file
        except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
            raise damaged(self.folder.images, str(error)) from error


def read_study(path: Path) -> StudyFiles:
    """Reads a study's folder.

    Raises:
        CellabError: the folder or a file is missing, or a file is damaged.
    """
    if not path.is_dir():
        raise CellabError(f"{path} is not a study's folder: there is none. `cellab ablate` makes one, runs/STUDY.")
    folder = StudyFolder(path)
    read(folder.images, lambda images: h5py.File(images).close())
    return StudyFiles(
        folder=folder,
        description=folder.read_description(),
        plan=folder.read_plan(),
        ranking=folder.read_ranking(),
        provenance=folder.read_provenance(),
        results=folder.read_results(),
        counters=folder.read_pseudo_labels(),
        calibrations=folder.read_calibrations(),
    )
