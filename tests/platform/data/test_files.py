"""Files of data sets: full disks, two writers, locks, odd names, signals. One message, and nothing left."""

import errno
import fcntl
import os
import resource
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from cellab.cli.data import app
from cellab.data import objects, opening, reservation, storage
from cellab.data.dataset import Dataset
from cellab.data.reservation import Reservation
from cellab.data.synthetic import Phantom, synthesise
from cellab.data.writer import DatasetWriter
from cellab.errors import CellabError, DataError

SIZE = (20, 30)
SMALL = ("--frames", "8", "--size", "64")


def write(path: Path | Reservation, **options: Any) -> str:
    """Twelve noisy frames; gives the digest."""
    noise = np.random.default_rng(0).integers(0, 255, (12, *SIZE)).astype(np.uint8)
    with DatasetWriter(path, {1.0: SIZE}, len(noise), **options) as writer:
        for number, frame in enumerate(noise):
            writer.append(f"frame {number}", "train", {1.0: frame}, {1.0: frame // 128})
    return writer.digest


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def command(name: str, source: Path, out: Path) -> list[str]:
    return {
        "synth": ["synth", str(out), *SMALL],
        "hide": ["hide", str(source), str(out), "--objects", "0"],
        "info": ["info", str(source), "--verify"],
    }[name]


class Disk:
    """Stands in for `os` below a data set: from its n-th write on it takes half of one, and then refuses all."""

    def __init__(self, refuses_from: int, number: int = errno.ENOSPC) -> None:
        self.refuses_from, self.number, self.writes = refuses_from, number, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def pwrite(self, descriptor: int, content: memoryview, offset: int) -> int:
        self.writes += 1
        if self.writes < self.refuses_from:
            return os.pwrite(descriptor, content, offset)
        if self.writes == self.refuses_from and len(content) > 1:
            return os.pwrite(descriptor, content[: len(content) // 2], offset)
        raise OSError(self.number, os.strerror(self.number))


def test_a_disk_that_is_full_at_any_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Disk(10**9)
    monkeypatch.setattr(storage, "os", whole)
    write(tmp_path / "x.h5")
    (tmp_path / "x.h5").unlink()
    assert whole.writes > 20
    for refuses_from in range(whole.writes):
        monkeypatch.setattr(storage, "os", Disk(refuses_from))
        with pytest.raises(DataError, match=r"x\.h5 could not be written: No space left on device"):
            write(tmp_path / "x.h5")
        assert files(tmp_path) == {}, refuses_from


@pytest.mark.parametrize("number", [errno.EDQUOT, errno.EIO, errno.EFBIG])
def test_other_troubles_of_disks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    write(tmp_path / "x.h5")
    before = files(tmp_path)
    monkeypatch.setattr(storage, "os", Disk(15, number))
    with pytest.raises(DataError, match=os.strerror(number)):
        write(tmp_path / "x.h5", overwrite=True)
    assert files(tmp_path) == before


@pytest.mark.parametrize("function", ["fsync", "link"])
def test_a_disk_that_fails_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(reservation.os, function, refuse)
    with pytest.raises(DataError, match="No space left"):
        write(tmp_path / "x.h5")
    assert files(tmp_path) == {}


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("name", ["synth", "hide"])
def test_commands_under_a_limit_on_files(tmp_path: Path, phantom: Path, name: str) -> None:
    with largest_file(30_000):
        result = CliRunner().invoke(app, command(name, phantom, tmp_path / "x.h5"))
    assert isinstance(result.exception, DataError)
    assert "could not be written: File too large" in str(result.exception)
    assert files(tmp_path) == {}


def test_the_first_of_two_writers_is_not_disturbed(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    with Reservation(path) as place:
        for overwrite in (False, True):
            with pytest.raises(DataError, match="is being written by another command"):
                write(path, overwrite=overwrite)
        digest = write(place)
    with Dataset.open(path) as data:
        assert data.content_digest() == digest
    assert list(files(tmp_path)) == ["x.h5"]


def test_a_second_command_is_refused_before_it_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cellab.data.synthetic.Tissue", lambda *_: pytest.fail("it worked"))
    with (
        Reservation(tmp_path / "x.h5"),
        pytest.raises(DataError, match="another command"),
    ):
        synthesise(tmp_path / "x.h5", Phantom(n_frames=12, size=64))


def test_a_killed_writers_partial_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "x.h5.partial").write_bytes(b"\x89HDF half")
    write(tmp_path / "x.h5")
    assert list(files(tmp_path)) == ["x.h5"]


@pytest.mark.parametrize("links", [True, False])
def test_what_came_to_be_there_meanwhile_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "this file system has none")

    if not links:
        monkeypatch.setattr(reservation.os, "link", no_links)
    path = tmp_path / "x.h5"
    with Reservation(path) as place:
        path.write_bytes(b"somebody else's")
        with pytest.raises(DataError, match="was made by somebody else meanwhile"):
            write(place)
    assert files(tmp_path) == {"x.h5": b"somebody else's"}
    path.unlink()
    write(path)
    assert list(files(tmp_path)) == ["x.h5"]


def test_a_file_that_somebody_reads_can_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    digest = write(path)
    with Dataset.open(path) as reader:
        write(path, overwrite=True, related=False)
        assert reader.content_digest() == digest
    with Dataset.open(path) as data:
        assert not data.related


def test_a_link_to_a_data_set_stays_one(tmp_path: Path) -> None:
    link, behind = tmp_path / "link.h5", tmp_path / "behind.h5"
    write(behind)
    link.symlink_to(behind)
    with pytest.raises(DataError, match="is there already"):
        write(link)
    write(link, overwrite=True, related=False)
    assert link.is_symlink()
    with Dataset.open(behind) as data:
        assert not data.related


def make_odd(path: Path, kind: str) -> None:
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("nowhere" if kind == "dangling link" else path)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("pipe", "is a device or a pipe"),
        ("folder", "is a folder"),
        ("dangling link", "is a link to nowhere, which is not there"),
        ("circular link", "is a link to .*, which is not there"),
    ],
)
def test_what_is_no_file_is_neither_read_nor_written(tmp_path: Path, kind: str, told: str) -> None:
    path = tmp_path / "odd.h5"
    make_odd(path, kind)
    before = path.lstat().st_ino
    with pytest.raises(DataError, match=rf"odd\.h5 {told}"):
        Dataset.open(path)
    for overwrite in (False, True):
        with pytest.raises(DataError, match=rf"odd\.h5 {told}"):
            write(path, overwrite=overwrite)
    assert path.lstat().st_ino == before
    assert [each.name for each in tmp_path.iterdir()] == ["odd.h5"]


def test_a_device_is_never_replaced() -> None:
    with pytest.raises(DataError, match="/dev/null is a device"):
        write(Path(os.devnull), overwrite=True)


def test_a_file_among_the_folders_of_a_path(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file is a file: x\.h5 must be in a folder"):
        write(tmp_path / "file" / "x.h5")
    with pytest.raises(DataError, match="there is no data set"):
        Dataset.open(tmp_path / "file" / "x.h5")


@pytest.mark.parametrize("name", ["a" * 252 + ".h5", "b" * 242 + ".h5", os.fsdecode(b"n\xff.h5"), "~.h5", "a b\n.h5"])
def test_odd_names_work(tmp_path: Path, name: str) -> None:
    digest = write(tmp_path / name)
    with Dataset.open(tmp_path / name) as data:
        assert data.content_digest() == digest
    assert list(files(tmp_path)) == [name]
    with Reservation(tmp_path / name, overwrite=True), pytest.raises(DataError, match="another command"):
        write(tmp_path / name, overwrite=True)


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 253 + ".h5")
    with pytest.raises(DataError, match="cannot be written: File name too long"):
        write(path)
    with pytest.raises(DataError, match="cannot be read: File name too long"):
        Dataset.open(path)


def test_folders_that_may_not_be_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stat(self: Path, **_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "stat", stat)
    monkeypatch.setattr(Path, "is_file", stat)  # which asks the system itself in later versions of Python
    with pytest.raises(DataError, match="cannot be written: Permission denied"):
        write(tmp_path / "x.h5")
    with pytest.raises(DataError, match="cannot be read: Permission denied"):
        Dataset.open(tmp_path / "x.h5")


def test_a_file_that_is_open_to_write_elsewhere_is_not_damaged(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    digest = write(path)
    with path.open("rb+") as elsewhere:
        fcntl.flock(elsewhere, fcntl.LOCK_EX)
        with pytest.raises(DataError, match="is locked, since another program has it open to write"):
            Dataset.open(path)
        fcntl.flock(elsewhere, fcntl.LOCK_SH)  # another reader
        with Dataset.open(path) as data:
            assert data.content_digest() == digest


def test_a_file_whose_writer_was_killed(tmp_path: Path) -> None:
    h5py.File(tmp_path / "whole.h5", "w", libver="latest").close()
    with h5py.File(tmp_path / "whole.h5", "r+", libver="latest") as writing:
        writing.flush()
        shutil.copy(tmp_path / "whole.h5", tmp_path / "marked.h5")
    with pytest.raises(DataError, match=r"is marked as open to write.*h5clear -s"):
        Dataset.open(tmp_path / "marked.h5")


@pytest.mark.parametrize(
    ("number", "told"), [(errno.ENOLCK, None), (errno.EACCES, None), (errno.EWOULDBLOCK, "is locked")]
)
def test_file_systems_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, told: str | None
) -> None:
    digest, real = write(tmp_path / "x.h5"), h5py.File

    def opened(path: Path, mode: str, locking: bool | None = None) -> h5py.File:
        if locking is False:
            return real(path, mode, locking=False)
        raise OSError(number, f"Unable to open file (unable to lock file, errno = {number}, error message = '...')")

    monkeypatch.setattr(opening.h5py, "File", opened)
    if told:
        with pytest.raises(DataError, match=told):
            Dataset.open(tmp_path / "x.h5")
    else:
        with Dataset.open(tmp_path / "x.h5") as data:
            assert data.digest == digest


def test_what_the_system_does_not_read_is_not_damaged() -> None:
    error = OSError("Can't read data (file read failed: time = ..., errno = 5, error message = 'Input/output error')")
    assert str(opening.unreadable(Path("x.h5"), error)) == "x.h5 cannot be read: Input/output error."
    assert "damaged in /a" in str(opening.unreadable(Path("x.h5"), OSError("wrong checksum"), " in /a"))


def test_paths_as_people_give_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert CliRunner().invoke(app, ["synth", "~/x.h5", *SMALL]).exit_code == 0
    assert list(files(tmp_path)) == ["x.h5"]
    assert CliRunner().invoke(app, ["info", "~/x.h5"]).exit_code == 0
    for path, told in [("", "a path is empty"), ("-", "- stands for no file"), ("~/new/", "~/new/ names a folder")]:
        result = CliRunner().invoke(app, ["synth", path, *SMALL])
        assert isinstance(result.exception, CellabError)
        assert told in str(result.exception)
    assert list(files(tmp_path)) == ["x.h5"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("name", ["synth", "hide", "info"])
def test_signals_stop_commands(
    tmp_path: Path, phantom: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    """A handler that raised within HDF5's callbacks would be lost, or would crash the process."""
    (tmp_path / "out").mkdir()

    def during(function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            monkeypatch.undo()  # once
            os.kill(os.getpid(), number)
            return function(*arguments)

        return run

    if name == "info":
        monkeypatch.setattr(objects, "labels", during(objects.labels))
    else:
        monkeypatch.setattr(storage.Storage, "write", during(storage.Storage.write))
    result = CliRunner().invoke(app, command(name, phantom, tmp_path / "out" / "x.h5"))
    assert result.exit_code == 128 + number
    assert result.stdout == ""
    assert result.stderr == ("Stopped.\n" if name == "info" else "Stopped: nothing was written.\n")
    assert files(tmp_path / "out") == {}


def test_a_signal_at_the_very_end_finds_the_whole_file(
    tmp_path: Path, phantom: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Reservation.move_into_place

    def move(self: Reservation) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        real(self)

    monkeypatch.setattr(Reservation, "move_into_place", move)
    result = CliRunner().invoke(app, command("hide", phantom, tmp_path / "x.h5"))
    assert result.exit_code == 0
    with Dataset.open(tmp_path / "x.h5") as data:
        assert data.content_digest() == data.digest


def test_ctrl_c_outside_of_commands_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = storage.Storage.write

    def write_and_interrupt(self: storage.Storage, content: bytes) -> int:
        os.kill(os.getpid(), signal.SIGINT)
        return real(self, content)

    monkeypatch.setattr(storage.Storage, "write", write_and_interrupt)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "x.h5")
    assert files(tmp_path) == {}
