"""Says what a study was run with: code, packages, hardware, data."""

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import TypedDict

from cellab.data.dataset import Dataset
from cellab.plain import PlainMapping
from cellab.stage import How
from cellab.study import Study

PACKAGES = ("torch", "ray", "optuna", "hydra-core", "numpy", "scipy", "h5py", "plotly", "polars", "safetensors")


class GitState(TypedDict):
    """The code's commit, and the diff of what is not committed."""

    commit: str
    dirty: str


class Hardware(TypedDict):
    """The machine that the command ran on."""

    machine: str
    system: str
    cpus: int | None
    gpus: list[str]


class DataUsed(TypedDict):
    """The data set: its file, the digest of its content, and where it came from."""

    path: str
    digest: str
    provenance: PlainMapping


class Provenance(TypedDict):
    """The content of `provenance.json`."""

    cellab: str
    git: GitState | None
    packages: dict[str, str]
    python: str
    hardware: Hardware
    data: DataUsed
    seeds: list[int]
    durations: dict[str, float]
    stages: dict[How, int]


def provenance(study: Study, seconds: float, stages: Mapping[How, int]) -> Provenance:
    """The content of `provenance.json`.

    Args:
        study: what was run.
        seconds: how long this run took.
        stages: how many of the study's stages it computed (`finished`), reused and so on.
    """
    from cellab import __version__

    installed = {d.name.lower(): d.version for d in distributions()}
    with Dataset.open(study.data_path) as data:
        described: DataUsed = {"path": str(study.data_path), "digest": data.digest, "provenance": data.provenance}
    return {
        "cellab": __version__,
        "git": _git(),
        "packages": {name: installed[name] for name in PACKAGES if name in installed},
        "python": platform.python_version(),
        "hardware": _hardware(),
        "data": described,
        "seeds": list(study.ablation.seeds),
        "durations": {"last_run_seconds": round(seconds, 1)},
        "stages": dict(stages),
    }


def _git() -> GitState | None:
    """Commit and uncommitted changes of the code, where it runs from a checkout."""

    def ask(*arguments: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *arguments]
        return subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=True).stdout

    try:
        return {"commit": ask("rev-parse", "HEAD").strip(), "dirty": ask("diff", "HEAD")}
    except (OSError, subprocess.CalledProcessError):
        return None


def _hardware() -> Hardware:
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {"machine": platform.machine(), "system": platform.platform(), "cpus": os.cpu_count(), "gpus": gpus}
