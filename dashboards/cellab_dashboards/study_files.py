"""Reads the files that a study leaves in its folder."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import polars as pl
import yaml

from cellab.errors import CellabError


@dataclass(frozen=True)
class StudyFiles:
    """What a study left.

    Args:
        folder: of the study.
        description: `study.yaml`.
        ranking: `arms.json`.
        provenance: `provenance.json`.
        results: `results.parquet`, a row for each trial, generation, split, reference, average and metric.
        counters: `pseudo_labels.parquet`, a row for each member and source of pseudo-labels.
    """

    folder: Path
    description: dict[str, Any]
    ranking: dict[str, Any]
    provenance: dict[str, Any]
    results: pl.DataFrame
    counters: pl.DataFrame

    @property
    def images(self) -> Path:
        """`images.h5`."""
        return self.folder / "images.h5"

    @property
    def arms(self) -> list[dict[str, Any]]:
        """The arms in the order of their ranks."""
        arms: list[dict[str, Any]] = self.ranking["arms"]
        return arms

    @property
    def baseline(self) -> str:
        """The baseline's name."""
        return next((str(arm["arm"]) for arm in self.arms if arm["baseline"]), str(self.arms[0]["arm"]))

    @property
    def reference(self) -> str:
        """What ranks: ``"truth"`` or ``"given"``."""
        return str(self.ranking["rank_reference"])

    @property
    def trials(self) -> list[dict[str, Any]]:
        """Every trial, with its arm."""
        return [{"arm": arm["arm"], **trial} for arm in self.arms for trial in arm["trials"]]


def read_study(folder: Path) -> StudyFiles:
    """Reads a study's folder.

    Raises:
        CellabError: a file is missing or damaged.
    """
    files = StudyFiles(
        folder=folder,
        description=_read(folder / "study.yaml", lambda path: yaml.safe_load(path.read_text())),
        ranking=_read(folder / "arms.json", _json),
        provenance=_read(folder / "provenance.json", _json),
        results=_read(folder / "results.parquet", pl.read_parquet),
        counters=_read(folder / "pseudo_labels.parquet", pl.read_parquet),
    )
    _read(files.images, lambda path: h5py.File(path).close())
    return files


def _json(path: Path) -> Any:
    return json.loads(path.read_text())


def _read(path: Path, read: Any) -> Any:
    if not path.is_file():
        raise CellabError(f"{path} is missing: run the study again, finished stages are reused.")
    try:
        return read(path)
    except (OSError, ValueError, yaml.YAMLError, pl.exceptions.PolarsError) as error:
        raise CellabError(
            f"{path} is damaged ({type(error).__name__}): run the study again, finished stages are reused."
        ) from error
