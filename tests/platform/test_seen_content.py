"""A data set is hashed once for each state of its file, and never trained on where its content is not its digest's."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

from cellab.data.dataset import Dataset
from cellab.errors import DataError
from cellab.seen_content import check_content
from cellab.store import Store


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The data sets whose content was hashed, one entry each time."""
    seen: list[Path] = []
    whole: Callable[[Dataset], str] = Dataset.content_digest
    monkeypatch.setattr(Dataset, "content_digest", lambda self: seen.append(self.path) or whole(self))
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
