"""A data set is hashed once for each state of its file, and never trained on where its content is not its digest's.

What is read of it is what was hashed, whatever has become of the file since.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

from cellab.data.dataset import Dataset
from cellab.data.digest import FrameDigests
from cellab.data.hiding_plan import Hiding
from cellab.errors import DataError
from cellab.seen_content import check_content, checked_file
from cellab.store import Store


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The data sets whose content was hashed, one entry each time."""
    seen: list[Path] = []
    whole: Callable[[Dataset], tuple[str, FrameDigests]] = Dataset.seen
    monkeypatch.setattr(Dataset, "seen", lambda self: seen.append(self.path) or whole(self))
    return seen


@pytest.fixture
def data(phantom: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(phantom, tmp_path / "data.h5"))


@pytest.mark.parametrize("url", ["{}/store", "memory://seen{}"])
def test_the_same_file_is_hashed_once(data: Path, hashed: list[Path], tmp_path: Path, url: str) -> None:
    store = Store(url.format(tmp_path))
    for _ in range(3):
        check_content(data, store)
    assert hashed == [data]
    check_content(data, Store(str(tmp_path / "another")))
    assert len(hashed) == 2, "each store for itself"
    os.utime(data, ns=(0, 0))
    check_content(data, store)
    assert len(hashed) == 3, "somebody touched it"


def test_a_change_is_noticed_though_size_and_time_of_change_are_as_before(
    data: Path, hashed: list[Path], tmp_path: Path
) -> None:
    store = Store(str(tmp_path / "store"))
    check_content(data, store)
    before = data.stat()
    with h5py.File(data, "r+") as file:
        file["split"][0] = 1 - file["split"][0]
    os.utime(data, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert data.stat().st_size == before.st_size
    for _ in range(2):
        with pytest.raises(DataError, match="its content is not what its digest says"):
            check_content(data, store)
    assert len(hashed) == 3


def digest_of(path: Path) -> str:
    with Dataset.open(path) as data:
        return data.digest


@pytest.mark.parametrize("array", ["frames", "masks", "truth"])
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_what_changed_since_it_was_hashed_is_told_as_it_is_read(
    data: Path, tmp_path: Path, array: str, scale: float
) -> None:
    file = checked_file(data, digest_of(data), Store(str(tmp_path / "store")))
    with h5py.File(data, "r+") as content:
        content[f"scales/{scale:g}/{array}"][3, 1, 2] ^= 1
    with file.open() as opened:
        read = getattr(opened, array)
        assert len(read(scale, [0, 2, 4])) == 3
        named = rf"data\.h5 changed .* the {array} of frame 3 \({opened.names[3]}\) at scale {scale:g} .* Put back"
        with pytest.raises(DataError, match=named):
            read(scale, [2, 3])


@pytest.mark.parametrize("name", ["split", "annotated"])
def test_what_is_said_of_frames_is_checked_as_the_file_is_opened(data: Path, tmp_path: Path, name: str) -> None:
    file = checked_file(data, digest_of(data), Store(str(tmp_path / "store")))
    with h5py.File(data, "r+") as content:
        content[name][0] = 1 - content[name][0]
    for hiding in (None, Hiding((0.5,), 0)):
        with pytest.raises(DataError, match=r"data\.h5 changed while the study ran"):
            file.open(hiding)


def test_what_the_store_lost_or_spoilt_is_hashed_again(data: Path, hashed: list[Path], tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    check_content(data, store)
    known = checked_file(data, digest_of(data), store)
    assert len(hashed) == 1
    (note,) = (tmp_path / "store" / "content").glob("*.frames")
    content = note.read_bytes()
    for spoilt in (b"", content[:-1], content[:70] + b"x" + content[71:], None):
        if spoilt is None:
            note.unlink()
        else:
            note.write_bytes(spoilt)
        assert checked_file(data, digest_of(data), store) == known
        assert note.read_bytes() == content
    assert len(hashed) == 5
