"""Studies that are killed, stopped and interrupted, as whole processes: they go on, and end as if nothing had been."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

SLOW = ("scale=smoke", "training.steps=30", "members=1", "acceptance=none", "evaluation.train_frames=2", "seeds=[0]")


def stored(folder: Path) -> int:
    return len(list(folder.glob("runs/store/??/*/manifest.json")))


def start(folder: Path, phantom: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "cellab", "ablate", "unet_width", f"data.path={phantom}", *SLOW, "gan.steps=20"]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def wait_for_stages(process: subprocess.Popen[str], folder: Path, count: int) -> None:
    deadline = time.monotonic() + 240
    while stored(folder) < count:
        assert process.poll() is None, "it ended before it could be interrupted"
        assert time.monotonic() < deadline
        os.sched_yield()


def results_of(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(folder / "runs" / "unet_width" / "results.parquet")


@pytest.mark.slow
def test_killed_and_interrupted_studies_go_on_and_end_alike(phantom, tmp_path):
    """SIGKILL, then a batch system's SIGTERM, Ctrl-C, and to the end: the same results as an undisturbed run."""
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    undisturbed.mkdir()
    disturbed.mkdir()
    process = start(undisturbed, phantom)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors

    process = start(disturbed, phantom)
    wait_for_stages(process, disturbed, 2)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert stored(disturbed) >= 2
    assert not (disturbed / "runs" / "unet_width" / "results.parquet").exists()

    for stop in (signal.SIGTERM, signal.SIGINT):
        process = start(disturbed, phantom)
        assert process.stderr is not None
        # its own word that a stage has finished: workers of the one that was killed may have gone on for a while
        assert any(line.startswith("[") for line in process.stderr), "it ended before it could be interrupted"
        process.send_signal(stop)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 130, errors
        assert "Stopped." in errors
        assert "The same command goes on from here" in errors
        assert "Traceback" not in errors

    before = stored(disturbed)
    process = start(disturbed, phantom)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert f"{before} of them finished before and reused" in errors
    assert results_of(disturbed).equals(results_of(undisturbed))


@pytest.mark.slow
def test_two_studies_at_once_compute_each_stage_once(phantom, tmp_path):
    """And one that is killed while it holds a stage is waited for no longer than it takes to see that it is dead."""
    small = ("scale=smoke", "training.steps=10", "members=1", "acceptance=none", "gan.steps=10", "executor=inline")
    command = [sys.executable, "-m", "cellab", "train", f"data.path={phantom}", *small, "--store", "store", "--name"]

    def begin(name: str) -> subprocess.Popen[str]:
        return subprocess.Popen([*command, name], cwd=tmp_path, stderr=subprocess.PIPE, text=True)

    killed = begin("killed")
    while not list(tmp_path.glob("store/leases/*.json")):
        assert killed.poll() is None
        os.sched_yield()
    killed.kill()
    killed.communicate()

    studies = {name: begin(name) for name in ("one", "other")}
    counts = []
    for name, process in studies.items():
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        counts.append(json.loads((tmp_path / "runs" / name / "provenance.json").read_text())["stages"])
    entries = len(list(tmp_path.glob("store/??/*/manifest.json")))
    assert entries > 2
    assert sum(count["finished"] for count in counts) == entries
    assert [count["finished"] + count["reused"] for count in counts] == [entries, entries]
    assert not [path for folder in ("leases", ".partial") for path in tmp_path.glob(f"store/{folder}/*")]
