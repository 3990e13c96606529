"""Writing files of studies: one command a folder, full disks, odd names. One message, and no half-written file."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import h5py
import polars as pl
import pytest

import cellab.__main__ as entry
from cellab import hdf5, paths
from cellab.cli import app as command_line
from cellab.cli import study as commands
from cellab.errors import CellabError, StoreError
from cellab.executors import make
from cellab.executors.monitor import Snapshot
from cellab.executors.protocol import Executed
from cellab.run import Nobody, run_study
from cellab.stage import Stage
from cellab.store import Store
from cellab.study import Study
from cellab.study_files.claim import alone
from cellab.study_files.folder import StudyFolder


def half(path: Path, content: bytes) -> int:
    """Stands in for `Path.write_bytes` on a full disk."""
    with path.open("wb") as file:
        file.write(content[: len(content) // 2])
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_one_command_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "gan_loss"
    with alone(StudyFolder(folder)):
        with (
            pytest.raises(CellabError, match=r"another command runs a study in .*gan_loss: wait .* --name"),
            alone(StudyFolder(folder)),
        ):
            pytest.fail("it runs twice")
        assert folder.is_dir()
    assert names(tmp_path) == set(), "nothing came of it"


def test_a_folder_with_results_stays_and_a_killed_runs_lock_does_not(tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / ".running").write_text("killed")
    with alone(StudyFolder(tmp_path / "study")):
        (tmp_path / "study" / "plan.json").touch()
    assert names(tmp_path) == {"study", "study/plan.json"}


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    code = "import os, sys, pathlib; from cellab.locking import Claim; Claim(pathlib.Path(sys.argv[1])); os._exit(9)"
    path = StudyFolder(tmp_path).running
    assert subprocess.run([sys.executable, "-c", code, path], check=False).returncode == 9
    assert path.exists()
    with alone(StudyFolder(tmp_path)):
        assert path.exists()


@pytest.mark.parametrize("name", ["file/study", "s" * 300])
def test_a_folder_that_cannot_be(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(CellabError, match=r"the study's folder .* cannot be written: .*--runs"),
        alone(StudyFolder(tmp_path / name)),
    ):
        pytest.fail("there is no such folder")
    assert names(tmp_path) == {"file"}


def test_a_name_that_is_too_long_is_told_before_work() -> None:
    with pytest.raises(CellabError, match=r"--name éé.*must be shorter"):
        commands._folder_name("é" * 101, "gan_loss")
    assert commands._folder_name("é" * 100, "gan_loss") == "é" * 100


def test_ray_takes_only_utf_8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["cellab", os.fsdecode(b"runs\xff")])
    make("inline", None, tmp_path)
    with pytest.raises(CellabError, match="Ray takes only names in UTF-8"):
        make("ray", None, tmp_path)


def test_results_that_do_not_fit(study: Callable[..., Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, store = study("unet.width", [4], "executor=inline"), Store(str(tmp_path / "store"))
    folder = tmp_path / "runs" / "small"
    nothing = Executed({}, Snapshot(0, (), (), None))
    executor = SimpleNamespace(connected=lambda _: nullcontext(), run=lambda *_: nothing)
    with alone(StudyFolder(folder)):
        run_study(made, store, StudyFolder(folder), executor, Nobody())

    def left() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "status.json"}

    before = left()
    assert pl.read_parquet(folder / "results.parquet").is_empty()
    monkeypatch.setattr(Path, "write_bytes", half)
    with (
        alone(StudyFolder(folder)),
        pytest.raises(CellabError, match=r"results in .* could not be written: No space left"),
    ):
        run_study(made, store, StudyFolder(folder), executor, Nobody())
    assert left() == before
    assert StudyFolder(folder).read_status().state == "failed"


def test_a_stage_that_does_not_fit(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(str(tmp_path))
    monkeypatch.setattr(Path, "write_bytes", half)

    def run_stage() -> None:
        with store.writing(stage) as folder, hdf5.new_file(folder / "samples.h5") as file:
            file["real"] = list(range(1000))

    with pytest.raises(StoreError, match=r"could not take a seed=0 generator: No space left on device\."):
        run_stage()
    monkeypatch.setattr(os, "fsync", lambda _file: half(tmp_path / "probe", b""))
    with pytest.raises(OSError, match="No space left"):
        store.write_checkpoint(stage.key, b"state" * 100)
    (tmp_path / "probe").unlink()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert store.read_checkpoint(stage.key) is None


def test_two_commands_may_end_the_same_stage(stage: Stage, tmp_path: Path) -> None:
    one, other = Store(str(tmp_path)), Store(str(tmp_path))
    one.write_checkpoint(stage.key, b"state")
    for store in (one, other):
        with store.writing(stage) as folder:
            (folder / "metrics.json").write_text("{}")
        store.drop_checkpoint(stage.key)
    other.discard(stage.key)  # it was not there when the other command looked
    assert one.is_sound(stage.key)
    other.discard("0" * 64)


def test_small_hdf5_files_are_whole_or_absent(tmp_path: Path) -> None:
    with hdf5.new_file(tmp_path / "x.h5") as file:
        file["a"] = [1, 2, 3]
    with h5py.File(tmp_path / "x.h5") as file:
        assert file["a"][:].tolist() == [1, 2, 3]

    def fail() -> None:
        with hdf5.new_file(tmp_path / "y.h5") as file:
            file["a"] = [1]
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        fail()
    assert names(tmp_path) == {"x.h5"}


def test_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert paths.given("~/x.h5") == Path("/home/somebody/x.h5")
    assert paths.given("~nobody-of-this-name/x") == Path("~nobody-of-this-name/x")
    assert paths.given("a~/x") == Path("a~/x")
    assert commands._store_url(Path("runs"), "~/store") == "/home/somebody/store"
    assert commands._store_url(Path("runs"), "s3://bucket/~/store") == "s3://bucket/~/store"
    with pytest.raises(CellabError, match="a path is empty"):
        commands._store_url(Path("runs"), "")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.EROFS, "x", "/some/file"), "error: /some/file: Read-only file system.\n"),
        (PermissionError(errno.EACCES, "x", "a", None, "b"), "error: a and b: Permission denied.\n"),
        (OSError(errno.EDQUOT, "x"), "error: a file: Disk quota exceeded.\n"),
    ],
)
def test_what_the_system_refuses_is_one_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: OSError, told: str
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(command_line, "app", fail)
    with pytest.raises(SystemExit) as ended:
        entry.main()
    assert ended.value.code == 2
    assert capsys.readouterr() == ("", told)


def test_a_librarys_own_error_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError("not the system's")

    monkeypatch.setattr(command_line, "app", fail)
    with pytest.raises(OSError, match="not the system's"):
        entry.main()
