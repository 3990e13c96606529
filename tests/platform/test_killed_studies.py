"""Studies that are killed, stopped and interrupted, as whole processes: they go on, and end as if nothing had been."""

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
