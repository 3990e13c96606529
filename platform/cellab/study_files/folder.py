"""A study's folder: the path of each file in it, how they are written, and how they are read."""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import polars as pl
import yaml

from cellab.errors import CellabError
from cellab.plain import PlainMapping, mapping
from cellab.study_files.records import Configurations, Description, Ranking
from cellab.study_files.status import RunStatus
from cellab.study_files.tables import CALIBRATIONS, PSEUDO_LABELS, RESULTS, STAGES, read_table, write_table

T = TypeVar("T")

DESCRIPTION = "study.yaml"
KEYS = "keys.json"
REMEDY = "run the study again, finished stages are reused."
REAL_IMAGES = "real"  # in `images.h5`: (n, S, S) crops that the generated images stand beside


def generated_images(arm: str) -> str:
    """Where `images.h5` has an arm's generated images: a group with a data set (n, S, S) for each seed."""
    return f"generated/{quote(arm, safe='')}"


def overlays(arm: str) -> str:
    """Where `images.h5` has an arm's outputs: a group of seeds, each of generations, splits and frames."""
    return f"overlays/{quote(arm, safe='')}"


@dataclass(frozen=True)
class StudyFolder:
    """What a study leaves, and where.

    Reading raises a CellabError where a file is missing or damaged; writing raises an OSError where there is no room.

    Args:
        path: of the folder, e.g. ``runs/gan_loss``.
    """

    path: Path

    @property
    def description(self) -> Path:
        """The study as it was asked for, resolved."""
        return self.path / DESCRIPTION

    @property
    def plan(self) -> Path:
        """How many stages it has, and how many were stored before."""
        return self.path / "plan.json"

    @property
    def configurations(self) -> Path:
        """The resolved configuration of every arm."""
        return self.path / "configurations.json"

    @property
    def keys(self) -> Path:
        """The keys of its stages, by which the store has their results."""
        return self.path / KEYS

    @property
    def results(self) -> Path:
        """A row for each trial, generation, split, reference, average and metric."""
        return self.path / "results.parquet"

    @property
    def pseudo_labels(self) -> Path:
        """A row for each member and source of pseudo-labels."""
        return self.path / "pseudo_labels.parquet"

    @property
    def calibrations(self) -> Path:
        """A row for each calibrated vote, and for each of its members."""
        return self.path / "calibrations.parquet"

    @property
    def stages(self) -> Path:
        """A row for each stage of each trial: what it took, and whether it ran for this trial."""
        return self.path / "stages.parquet"

    @property
    def ranking(self) -> Path:
        """The arms by rank, and what became of each trial."""
        return self.path / "arms.json"

    @property
    def images(self) -> Path:
        """Generated images and outputs on full frames."""
        return self.path / "images.h5"

    @property
    def provenance(self) -> Path:
        """Code, packages, hardware and data that it was run with."""
        return self.path / "provenance.json"

    @property
    def report(self) -> Path:
        """What there is to look at."""
        return self.path / "report.html"

    @property
    def running(self) -> Path:
        """Is there while a command runs the study, and locked."""
        return self.path / ".running"

    @property
    def status(self) -> Path:
        """How the last command that ran it gets on."""
        return self.path / "status.json"

    @property
    def ray_logs(self) -> Path:
        """Ray Tune's own files."""
        return self.path / "ray"

    def write_plan(self, plan: Mapping[str, object]) -> None:
        """Writes `plan.json`."""
        _write_json(self.plan, plan)

    def write_configurations(self, configurations: Configurations) -> None:
        """Writes `configurations.json`."""
        _write_json(self.configurations, asdict(configurations))

    def write_keys(self, keys: Iterable[str]) -> None:
        """Writes `keys.json`."""
        _write_json(self.keys, {"keys": sorted(keys)})

    def write_provenance(self, provenance: Mapping[str, object]) -> None:
        """Writes `provenance.json`."""
        _write_json(self.provenance, provenance)

    def write_ranking(self, ranking: Ranking) -> None:
        """Writes `arms.json`."""
        replace(self.ranking, lambda path: path.write_text(ranking.to_json(), encoding="utf-8"))

    def write_status(self, status: str) -> None:
        """Writes `status.json`, of which `RunStatus.to_json` gives the content."""
        replace(self.status, lambda path: path.write_text(status, encoding="utf-8"))

    def write_results(self, results: pl.DataFrame) -> None:
        """Writes `results.parquet`."""
        replace(self.results, lambda path: write_table(results, path))

    def write_pseudo_labels(self, counters: pl.DataFrame) -> None:
        """Writes `pseudo_labels.parquet`."""
        replace(self.pseudo_labels, lambda path: write_table(counters, path))

    def write_calibrations(self, calibrations: pl.DataFrame) -> None:
        """Writes `calibrations.parquet`."""
        replace(self.calibrations, lambda path: write_table(calibrations, path))

    def write_stages(self, stages: pl.DataFrame) -> None:
        """Writes `stages.parquet`."""
        replace(self.stages, lambda path: write_table(stages, path))

    def read_description(self) -> Description:
        """`study.yaml`."""
        return read(self.description, _description)

    def read_plan(self) -> PlainMapping:
        """`plan.json`."""
        return read(self.plan, _json)

    def read_configurations(self) -> Configurations:
        """`configurations.json`."""
        return read(self.configurations, lambda path: Configurations.of(_json(path)))

    def read_keys(self) -> set[str]:
        """`keys.json`."""
        return read(self.keys, _keys)

    def read_provenance(self) -> PlainMapping:
        """`provenance.json`."""
        return read(self.provenance, _json)

    def read_ranking(self) -> Ranking:
        """`arms.json`."""
        return read(self.ranking, lambda path: Ranking.from_json(path.read_text(encoding="utf-8")))

    def read_status(self) -> RunStatus:
        """`status.json`."""
        return read(self.status, lambda path: RunStatus.from_json(path.read_text(encoding="utf-8")))

    def read_results(self) -> pl.DataFrame:
        """`results.parquet`, with the columns `RESULTS`."""
        return read(self.results, lambda path: read_table(path, RESULTS))

    def read_calibrations(self) -> pl.DataFrame:
        """`calibrations.parquet`, with the columns `CALIBRATIONS`."""
        return read(self.calibrations, lambda path: read_table(path, CALIBRATIONS))

    def read_stages(self) -> pl.DataFrame:
        """`stages.parquet`, with the columns `STAGES`."""
        return read(self.stages, lambda path: read_table(path, STAGES))

    def read_pseudo_labels(self) -> pl.DataFrame:
        """`pseudo_labels.parquet`, with the columns `PSEUDO_LABELS`."""
        return read(self.pseudo_labels, lambda path: read_table(path, PSEUDO_LABELS))


def replace(path: Path, write: Callable[[Path], Any]) -> None:
    """Writes a file beside and renames it into place, so that it is whole or as before."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(beside)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def read(path: Path, how: Callable[[Path], T]) -> T:
    """Reads a file of a study.

    Raises:
        CellabError: it is missing or damaged.
    """
    if not path.is_file():
        raise CellabError(f"{path} is missing: {REMEDY}")
    try:
        return how(path)
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        raise damaged(path, str(error)) from error


def damaged(path: Path, reason: str) -> CellabError:
    """What is said of a file that cannot be what a study left."""
    first_line = (reason.strip().splitlines() or ["it cannot be read"])[0][:200]
    return CellabError(f"{path} is damaged ({first_line}): {REMEDY}")


def _write_json(path: Path, content: Mapping[str, object]) -> None:
    replace(path, lambda beside: beside.write_text(json.dumps(content, indent=2), encoding="utf-8"))


def _json(path: Path) -> PlainMapping:
    return mapping(json.loads(path.read_text(encoding="utf-8")))


def _keys(path: Path) -> set[str]:
    keys = _json(path).get("keys")
    if not isinstance(keys, list):
        raise ValueError("it lists no keys")
    return {str(key) for key in keys}


def _description(path: Path) -> Description:
    return Description.of(yaml.safe_load(path.read_text(encoding="utf-8")))
