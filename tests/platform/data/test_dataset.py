"""Reading data sets: what comes back, and what is said of files that are none."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from cellab.data.dataset import Dataset, check_trainable
from cellab.errors import DataError

Write = Callable[..., Path]


@pytest.fixture
def masks() -> np.ndarray:
    masks = np.zeros((8, 20, 30), np.uint8)
    masks[:, 4:12, 6:18] = 1
    return masks


def test_what_is_written_comes_back(write: Write, masks: np.ndarray) -> None:
    truth = masks.copy()
    truth[:, 14:18, 20:28] = 1
    with Dataset.open(write(masks, "tttuvutt", truth=truth)) as data:
        assert data.scales == (1.0, 0.5)
        assert data.sizes(0.5).tolist() == [[10, 15]] * 8
        assert data.n_frames == 8
        assert data.names[3] == "frame 3"
        assert data.has_truth
        assert data.related
        assert not data.instances
        assert data.indices("train").tolist() == [0, 1, 2, 6, 7]
        assert data.indices("unused").tolist() == [3, 5]
        everything = np.arange(8)
        np.testing.assert_array_equal(data.masks(1.0, everything), masks)
        np.testing.assert_array_equal(data.truth(1.0, everything), truth)
        np.testing.assert_array_equal(data.masks(0.5, everything), masks[:, ::2, ::2])
        assert {frame.dtype for frame in data.frames(1.0, everything)} == {np.dtype(np.uint8)}


@pytest.mark.parametrize("indices", [[5, 1, 2, 3, 0], [2, 2, 7], [], [6], [0, 1, 2, 3, 4, 5, 6, 7]])
def test_scattered_frames_come_in_the_order_asked_for(write: Write, masks: np.ndarray, indices: list[int]) -> None:
    with Dataset.open(write(masks, "tttttttv")) as data:
        whole = data.frames(1.0, np.arange(8))
        np.testing.assert_array_equal(data.frames(1.0, indices), [whole[i] for i in indices])


def test_ids_are_read_raw_and_masks_binary(write: Write, masks: np.ndarray) -> None:
    ids = masks.astype(np.uint16) * 300
    with Dataset.open(write(ids, "ttttttvv", instances=True)) as data:
        np.testing.assert_array_equal(data.instances_of(1.0, np.array([4])), ids[4:5])
        np.testing.assert_array_equal(data.masks(1.0, np.array([4])), masks[4:5])
        assert data.masks(1.0, np.array([4]))[0].dtype == np.uint8


def test_a_missing_scale_or_truth_names_what_there_is(write: Write, masks: np.ndarray) -> None:
    with Dataset.open(write(masks, "ttttttvv")) as data:
        with pytest.raises(DataError, match=r"no scale 0\.25: it has 1, 0\.5"):
            data.frames(0.25, np.array([0]))
        with pytest.raises(DataError, match="has no truth"):
            data.truth(1.0, np.array([0]))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no data set .*none\.h5"):
        Dataset.open(tmp_path / "none.h5")


def test_a_file_that_is_not_hdf5(tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("no")
    with pytest.raises(DataError, match="is not an HDF5 file"):
        Dataset.open(tmp_path / "text.h5")


def test_hdf5_of_somebody_elses(tmp_path: Path) -> None:
    h5py.File(tmp_path / "other.h5", "w").close()
    with pytest.raises(DataError, match="no data set of cellab's"):
        Dataset.open(tmp_path / "other.h5")


def test_another_format_version(write: Write, masks: np.ndarray) -> None:
    path = write(masks, "ttttttvv")
    with h5py.File(path, "r+") as file:
        file.attrs["version"] = 1
    with pytest.raises(DataError, match="format version 1, and this cellab reads version 2"):
        Dataset.open(path)


@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_a_truncated_file(phantom_file: Path, tmp_path: Path, share: float) -> None:
    content = phantom_file.read_bytes()
    (tmp_path / "cut.h5").write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match="truncated or damaged"):
        Dataset.open(tmp_path / "cut.h5")


def test_a_file_that_lacks_a_part(write: Write, masks: np.ndarray) -> None:
    path = write(masks, "ttttttvv")
    with h5py.File(path, "r+") as file:
        del file["split"]
    with pytest.raises(DataError, match="is damaged"):
        Dataset.open(path)


def replace(file: h5py.File, name: str, content: object) -> None:
    del file[name]
    if content is None:
        file.create_group(name)
    else:
        file[name] = content


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda file: replace(file, "split", None), "split is missing or of another kind"),
        (lambda file: replace(file, "split", np.zeros(5, np.uint8)), "split has 5 frames, other parts have"),
        (lambda file: replace(file, "split", np.full(8, 7, np.uint8)), "codes above 3"),
        (lambda file: replace(file, "annotated", np.ones(3, bool)), "'annotated': 3"),
        (lambda file: file.attrs.modify("provenance", "[]"), "provenance is no mapping"),
        (lambda file: file.__delitem__("scales/1/masks"), "/scales/1 has no masks"),
        (lambda file: replace(file, "scales/1/masks", np.zeros((8, 3, 3), np.uint8)), "arrays of shapes"),
        (lambda file: replace(file, "scales", None), "it has no scale"),
    ],
)
def test_a_file_whose_parts_do_not_fit(write: Write, masks: np.ndarray, change: Callable, told: str) -> None:
    path = write(masks, "ttttttvv")
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(DataError, match="is damaged") as caught:
        Dataset.open(path)
    assert told in str(caught.value)


def test_validation_without_an_object_cannot_rank(write: Write, masks: np.ndarray) -> None:
    empty = masks.copy()
    empty[6:] = 0
    with Dataset.open(write(empty, "ttttttvv")) as data, pytest.raises(DataError, match="validation masks are all"):
        check_trainable(data)
    with Dataset.open(write(masks, "ttttttvv", name="whole.h5")) as data:
        check_trainable(data)


def test_the_digest_tells_changed_content(write: Write, masks: np.ndarray) -> None:
    path = write(masks, "ttttttvv")
    with Dataset.open(path) as data:
        assert data.content_digest() == data.digest
    with h5py.File(path, "r+") as file:
        file["scales/0.5/masks"][3, 2, 2] = 0 if file["scales/0.5/masks"][3, 2, 2] else 1
    with Dataset.open(path) as data:
        assert data.content_digest() != data.digest


def test_a_sound_data_set_is_trainable(write: Write, masks: np.ndarray) -> None:
    masks[:5] = 0  # one marked training mask is enough
    with Dataset.open(write(masks, "ttttttvu")) as data:
        check_trainable(data)


@pytest.mark.parametrize(
    ("split", "marked", "annotated", "said"),
    [
        ("vvvvvvvu", True, True, ["no training frame"]),
        ("tttttttu", True, True, ["no validation frame"]),
        ("ttttttvv", False, True, ["training masks are all zeros"]),
        ("ttttttvv", True, False, ["no training frame has a mask", "no validation frame has a mask"]),
        ("uuuuuuuu", True, True, ["no training frame", "no validation frame"]),
        ("tttttttt", False, True, ["all zeros", "no validation frame"]),
    ],
)
def test_all_that_prevents_training_is_said_at_once(
    write: Write, masks: np.ndarray, split: str, marked: bool, annotated: bool, said: list[str]
) -> None:
    path = write(masks * marked, split, annotated=np.full(8, annotated))
    with Dataset.open(path) as data, pytest.raises(DataError) as error:
        check_trainable(data)
    assert all(part in str(error.value) for part in [*said, str(path)])


def test_validation_frames_without_a_mask_can_be_scored_against_truth(write: Write, masks: np.ndarray) -> None:
    annotated = np.array([True] * 6 + [False] * 2)
    with Dataset.open(write(masks, "ttttttvv", truth=masks, annotated=annotated)) as data:
        check_trainable(data)
