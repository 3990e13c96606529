"""What several areas' tests share: a small phantom, a way to run the command line, one Ray cluster a session."""

import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cellab.data.synthetic import Phantom, synthesise

ROOT = Path(__file__).parents[1]
NUCLEI = ROOT.parent / "shared" / "data" / "nuclei-dsb2018"

# Ray's workers outlive a test otherwise, and its usage statistics ask the network
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A phantom of 18 sections of 96 x 96 pixels with truth: enough for smoke scale."""
    path = tmp_path_factory.mktemp("data") / "phantom.h5"
    synthesise(path, Phantom(n_frames=18, size=96, seed=3))
    return path


@pytest.fixture
def cellab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `cellab ARGUMENTS` in an empty folder in this process; gives what a finished process would."""
    from cellab.__main__ import main

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = ["cellab", *map(str, arguments)]
        streams = [io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2)]
        with monkeypatch.context() as patched:
            patched.chdir(tmp_path)
            patched.setattr(sys, "argv", command)
            patched.setattr(sys, "stdout", streams[0])
            patched.setattr(sys, "stderr", streams[1])
            for name, value in (("TYPER_USE_RICH", "1"), ("COLUMNS", "160"), ("NO_COLOR", "1")):
                patched.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                main()
        texts = []
        for stream in streams:
            stream.flush()
            texts.append(stream.buffer.getvalue().decode())
        return subprocess.CompletedProcess(command, int(ended.value.code or 0), *texts)

    return run


@pytest.fixture
def cellab_process(tmp_path: Path) -> Run:
    """Runs `cellab ARGUMENTS` in an empty folder, as a person would; gives the finished process."""

    def run(*arguments: object, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cellab", *map(str, arguments)]
        environment = os.environ | {"COLUMNS": "160", "NO_COLOR": "1"}
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=timeout, env=environment, check=False
        )

    return run


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """One local Ray cluster of two CPUs, without a dashboard, in a folder with a short name."""
    import ray

    from cellab.executors.connecting import connect

    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp", ignore_cleanup_errors=True) as folder:
        disconnect = connect(None, temporary=folder)
        assert ray.is_initialized()
        yield
        disconnect()
