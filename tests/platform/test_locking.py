"""Claims: one holder at a time, and what the dead leave is no obstacle."""

import errno
import fcntl
import os
from pathlib import Path

import pytest

from cellab.locking import Claim, TakenError


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "claimed"
    with Claim(path) as claim:
        os.write(claim.descriptor, b"mine")
        with pytest.raises(TakenError):
            Claim(path)
        assert path.read_bytes() == b"mine"
    assert not path.exists()
    with Claim(path):
        assert path.read_bytes() == b""


def test_what_a_killed_process_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "claimed"
    path.write_bytes(b"half of it")
    with Claim(path):
        assert path.read_bytes() == b""


def test_a_left_over_that_is_another_files_name_too_is_not_emptied(tmp_path: Path) -> None:
    finished, path = tmp_path / "finished", tmp_path / "claimed"
    finished.write_bytes(b"whole")
    os.link(finished, path)
    with Claim(path) as claim:
        os.write(claim.descriptor, b"new")
    assert finished.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [finished]


def test_a_file_that_was_renamed_stays(tmp_path: Path) -> None:
    with Claim(tmp_path / "claimed"):
        (tmp_path / "claimed").rename(tmp_path / "kept")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_file_is_left_alone(tmp_path: Path, kind: str) -> None:
    path, elsewhere = tmp_path / "claimed", tmp_path / "elsewhere"
    elsewhere.write_bytes(b"precious")
    {"link": lambda: path.symlink_to(elsewhere), "pipe": lambda: os.mkfifo(path), "folder": path.mkdir}[kind]()
    with pytest.raises(OSError, match="claimed"):
        Claim(path)
    assert path.exists()
    assert elsewhere.read_bytes() == b"precious"


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with Claim(tmp_path / "claimed"):
        assert (tmp_path / "claimed").is_file()
    monkeypatch.setattr(fcntl, "flock", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "trouble")))
    with pytest.raises(OSError, match="trouble"):
        Claim(tmp_path / "claimed")
