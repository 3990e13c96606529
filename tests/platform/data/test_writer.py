"""Writing data sets: whole or absent, and a digest of the content alone."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from cellab.data import writer as writing
from cellab.data.dataset import Dataset
from cellab.data.writer import DatasetWriter, smallest_type
from cellab.errors import DataError

IMAGE = {1.0: np.full((6, 8), 7, np.uint8)}


def write_two(path: Path, **options: bool) -> DatasetWriter:
    with DatasetWriter(path, {1.0: (6, 8)}, 2, **options) as writer:
        writer.append("a", "train", IMAGE, IMAGE)
        writer.append("b", "validation", IMAGE, IMAGE, annotated=False)
    return writer


def test_nothing_is_left_by_an_exception(tmp_path: Path) -> None:
    def stumble() -> None:
        with DatasetWriter(tmp_path / "x.h5", {1.0: (6, 8)}, 2) as writer:
            writer.append("a", "train", IMAGE, IMAGE)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stumble()
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_replacement_keeps_what_was_there(tmp_path: Path) -> None:
    digest = write_two(tmp_path / "x.h5").digest
    with pytest.raises(KeyboardInterrupt), DatasetWriter(tmp_path / "x.h5", {1.0: (6, 8)}, 2, overwrite=True):
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["x.h5"]
    with Dataset.open(tmp_path / "x.h5") as data:
        assert data.digest == digest


def test_nothing_is_in_place_before_the_end(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "x.h5", {1.0: (6, 8)}, 1) as writer:
        writer.append("a", "train", IMAGE, IMAGE)
        assert [path.name for path in tmp_path.iterdir()] == ["x.h5.partial"]
    assert [path.name for path in tmp_path.iterdir()] == ["x.h5"]


def test_a_file_is_replaced_only_when_asked(tmp_path: Path) -> None:
    write_two(tmp_path / "x.h5")
    with pytest.raises(DataError, match=r"is there already: .* --force"):
        write_two(tmp_path / "x.h5")
    write_two(tmp_path / "x.h5", overwrite=True)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no folder .*none"):
        write_two(tmp_path / "none" / "x.h5")


def test_a_folder_in_the_files_place(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a folder"):
        write_two(tmp_path, overwrite=True)


def test_trouble_of_the_disk_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DataError, match=r"could not be written: .*No space left"):
        write_two(tmp_path / "x.h5")
    assert list(tmp_path.iterdir()) == []


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    write_two(tmp_path / "x.h5")
    write_two(tmp_path / "y.h5")
    assert (tmp_path / "x.h5").read_bytes() == (tmp_path / "y.h5").read_bytes()


def test_the_digest_does_not_depend_on_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    coarse = write_two(tmp_path / "x.h5").digest
    monkeypatch.setattr(writing, "TILE", 4)
    assert write_two(tmp_path / "y.h5").digest == coarse
    with h5py.File(tmp_path / "y.h5") as file:
        assert file["scales/1/frames"].chunks == (1, 4, 4)


@pytest.mark.parametrize("change", ["frame", "mask", "truth", "name", "split", "annotated", "related", "instances"])
def test_the_digest_depends_on_all_content(write: Callable[..., Path], tmp_path: Path, change: str) -> None:
    def digest(path: Path, changed: str) -> str:
        image = {1.0: IMAGE[1.0].copy()}
        other = {1.0: IMAGE[1.0] + 1}
        with DatasetWriter(
            path, {1.0: (6, 8)}, 1, has_truth=True, related=changed != "related", instances=changed == "instances"
        ) as writer:
            writer.append(
                "b" if changed == "name" else "a",
                "test" if changed == "split" else "train",
                other if changed == "frame" else image,
                other if changed == "mask" else image,
                other if changed == "truth" else image,
                annotated=changed != "annotated",
            )
        return writer.digest

    assert digest(tmp_path / "x.h5", change) != digest(tmp_path / "y.h5", "nothing")


def test_chunks_hold_one_frame_and_at_most_a_tile(tmp_path: Path) -> None:
    big = {1.0: np.zeros((300, 40), np.uint8)}
    with DatasetWriter(tmp_path / "x.h5", {1.0: (300, 40)}, 1) as writer:
        writer.append("a", "train", big, big)
    with h5py.File(tmp_path / "x.h5") as file:
        assert file["scales/1/masks"].chunks == (1, 256, 40)


def test_ids_get_the_smallest_type_that_holds_them() -> None:
    assert [smallest_type(n) for n in (1, 255, 256, 65535, 65536)] == [
        np.uint8,
        np.uint8,
        np.uint16,
        np.uint16,
        np.uint32,
    ]
