"""Objects in 3-D, and hiding them: whole, exactly so many, at all scales, from the training masks alone."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from cellab.data.dataset import Dataset
from cellab.data.hiding import hide
from cellab.data.objects import find_objects
from cellab.data.splitting import runs
from cellab.data.summary import summarise
from cellab.data.synthetic import Phantom, synthesise
from cellab.errors import DataError

Write = Callable[..., Path]
SPLIT = "t" * 16 + "uvvuee"


def blobs(seed: int, ids: bool = False) -> np.ndarray:
    """(22, 48, 56) uint16: smooth random blobs, as components in 3-D or with ids."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal((22, 48, 56)), (1.2, 2, 2))
    mask = noise > 1.2 * noise.std()
    labelled, _ = ndimage.label(mask, connectivity())
    return (labelled * 3 if ids else mask).astype(np.uint16)


def connectivity() -> np.ndarray:
    """Corners count within a frame, overlap between frames."""
    structure = np.zeros((3, 3, 3), int)
    structure[1] = 1
    structure[:, 1, 1] = 1
    return structure


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_components_are_those_of_scipy_in_3d(write: Write, seed: int) -> None:
    masks = blobs(seed)
    with Dataset.open(write(masks, "t" * 22)) as data:
        found = find_objects(data, np.arange(22))
    expected, count = ndimage.label(masks, connectivity())
    assert found.count == count
    assert sorted(found.pixels) == sorted(np.bincount(expected.ravel())[1:])


def test_a_gap_ends_components_and_an_id_goes_on_behind_it(write: Write) -> None:
    masks = np.zeros((6, 20, 20), np.uint8)
    masks[:, 5:9, 5:9] = 1
    for ids, count in ((False, 2), (True, 1)):
        with Dataset.open(write(masks, "ttuttt", instances=ids, name=f"{ids}.h5")) as data:
            assert find_objects(data, data.indices("train")).count == count


def test_no_part_of_a_hidden_id_is_left_beyond_a_frame_without_a_mask(tmp_path: Path) -> None:
    synthesise(tmp_path / "d.h5", Phantom(n_frames=20, size=96))
    with Dataset.open(tmp_path / "d.h5") as data:
        training = np.intersect1d(data.indices("train"), np.flatnonzero(data.annotated))
        assert (np.diff(training) > 1).any(), "a frame between them has no mask"
        before = {int(i): set(np.unique(data.instances_of(1.0, np.array([i])))) for i in training}
    for seed in range(4):
        hidden = hide(tmp_path / "d.h5", tmp_path / "q.h5", 0.4, seed, overwrite=True)
        with Dataset.open(tmp_path / "q.h5") as data:
            left = {i: set(np.unique(data.instances_of(1.0, np.array([i])))) for i in before}
            kept = set().union(*left.values())
            assert all(left[i] == before[i] & kept for i in before)
            assert len(kept - {0}) == hidden.of_objects - hidden.objects
            summary = summarise(data)["splits"]
            assert summary["train"]["objects"] == len(kept - {0})
            assert summary["unused"]["runs"] == [[run[0], run[-1]] for run in runs(data.indices("unused"))]


def test_in_unrelated_frames_every_part_is_an_object(write: Write) -> None:
    masks = np.zeros((4, 20, 20), np.uint8)
    masks[:, 5:9, 5:9] = 1
    masks[2, 15:, 15:] = 2
    for ids, count in ((False, 5), (True, 5)):
        with Dataset.open(write(masks, "tttt", related=False, instances=ids, name=f"{ids}.h5")) as data:
            assert find_objects(data, np.arange(4)).count == count


def test_touching_ids_are_two_objects_and_one_id_in_parts_is_one(write: Write) -> None:
    masks = np.zeros((2, 20, 20), np.uint8)
    masks[:, 2:6, 2:6], masks[:, 2:6, 6:9], masks[:, 15:, 15:] = 1, 2, 1
    with Dataset.open(write(masks, "tt", instances=True)) as data:
        assert find_objects(data, np.arange(2)).count == 2


@pytest.mark.parametrize("ids", [False, True])
@pytest.mark.parametrize("share", [0.5, 0.3])
def test_whole_objects_disappear_from_training_alone(write: Write, tmp_path: Path, ids: bool, share: float) -> None:
    masks = blobs(4, ids)
    source, target = write(masks, SPLIT, instances=ids), tmp_path / "hidden.h5"
    hidden = hide(source, target, share, seed=7)
    with Dataset.open(source) as before, Dataset.open(target) as after:
        every, train = np.arange(22), before.indices("train")
        given, truth = np.stack(after.instances_of(1.0, every)), np.stack(after.instances_of(1.0, every, truth=True))
        np.testing.assert_array_equal(truth, before.instances_of(1.0, every))
        np.testing.assert_array_equal(given[16:], truth[16:])
        objects, count = ndimage.label(truth[train], connectivity())
        if ids:
            count, objects = len(np.unique(truth[train])) - 1, truth[train]
        left = [(given[train][objects == i] > 0).mean() for i in np.unique(objects)[1:]]
        assert set(left) == {0.0, 1.0}  # whole or not at all
        assert left.count(0.0) == round(share * count) == hidden.objects
        assert hidden.of_objects == count
        assert hidden.pixels == (truth[train] > 0).sum() - (given[train] > 0).sum()
        assert hidden.of_pixels == (truth[train] > 0).sum()
        np.testing.assert_array_equal(after.frames(1.0, every), before.frames(1.0, every))
        assert after.content_digest() == after.digest != before.digest


@pytest.mark.parametrize("ids", [False, True])
def test_all_scales_hide_the_same_objects(write: Write, tmp_path: Path, ids: bool) -> None:
    hide(write(blobs(5, ids), SPLIT, instances=ids), tmp_path / "hidden.h5", 0.5, seed=0)
    with Dataset.open(tmp_path / "hidden.h5") as data:
        train = data.indices("train")
        full, half = np.stack(data.masks(1.0, train)), np.stack(data.masks(0.5, train))
        missing = np.stack(data.truth(1.0, train)) & ~full & 1
        missing_half = np.stack(data.truth(0.5, train)) & ~half & 1
        assert missing_half.sum() == pytest.approx(missing.sum() / 4, rel=0.15)
        blocks = full.reshape(len(train), 24, 2, 28, 2)
        assert (blocks.max((2, 4)) >= half).all()  # nothing hidden shines through
        kept = np.stack(data.truth(0.5, train))[blocks.min((2, 4)) == 1]
        assert (half[blocks.min((2, 4)) == 1] == kept).all()  # and nothing kept is lost


def test_the_seed_decides_and_nothing_else(write: Write, tmp_path: Path) -> None:
    source = write(blobs(6), SPLIT)
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        hide(source, tmp_path / f"{name}.h5", 0.5, seed)
    a, b, c = ((tmp_path / f"{name}.h5").read_bytes() for name in "abc")
    assert a == b != c


def test_truth_that_is_there_stays(write: Write, tmp_path: Path) -> None:
    truth = blobs(7)
    given = truth.copy()
    given[:, :24] = 0
    annotated = np.arange(22) != 3
    source = write(given, SPLIT, truth=truth, annotated=annotated)
    hide(source, tmp_path / "hidden.h5", 0.5, 0)
    with Dataset.open(tmp_path / "hidden.h5") as data:
        np.testing.assert_array_equal(data.truth(1.0, np.arange(22)), truth)
        assert data.split[3] == 0
        assert not data.annotated[3]


def test_frames_of_unknown_truth_become_unused(write: Write, tmp_path: Path) -> None:
    masks = blobs(8)
    annotated = np.arange(22) != 3
    masks[3] = 0
    hidden = hide(write(masks, SPLIT, annotated=annotated), tmp_path / "hidden.h5", 0.5, 0)
    assert "1 frames without a mask became unused" in hidden.notices[0]
    with Dataset.open(tmp_path / "hidden.h5") as data:
        assert data.split[3] == 3


def test_hiding_is_recorded_and_can_be_repeated(write: Write, tmp_path: Path) -> None:
    first = hide(write(blobs(9), SPLIT), tmp_path / "one.h5", 0.5, 0)
    second = hide(tmp_path / "one.h5", tmp_path / "two.h5", 0.5, 0)
    assert second.of_objects == first.of_objects - first.objects
    with Dataset.open(tmp_path / "one.h5") as one, Dataset.open(tmp_path / "two.h5") as two:
        steps = two.provenance["history"]
        assert [step["objects"] for step in steps] == [first.objects, second.objects]
        assert steps[1]["from_digest"] == one.digest
        assert steps[0]["arguments"] == {"objects": 0.5, "seed": 0}


def test_hiding_nothing_changes_no_mask(write: Write, tmp_path: Path) -> None:
    masks = blobs(10)
    assert hide(write(masks, SPLIT), tmp_path / "hidden.h5", 0.0, 0).objects == 0
    with Dataset.open(tmp_path / "hidden.h5") as data:
        np.testing.assert_array_equal(data.masks(1.0, np.arange(22)), masks)


def test_a_data_set_may_replace_itself_when_asked(write: Write) -> None:
    source = write(blobs(11), SPLIT)
    with pytest.raises(DataError, match="is there already"):
        hide(source, source, 0.5, 0)
    hide(source, source, 0.5, 0, overwrite=True)
    with Dataset.open(source) as data:
        assert data.has_truth


@pytest.mark.parametrize(
    ("share", "empty", "said"),
    [
        (1.5, False, "from 0 to 1"),
        (-0.1, False, "from 0 to 1"),
        (1.0, False, "objects hidden: the training masks are all zeros"),
        (0.5, True, "hold no object to hide"),
    ],
)
def test_bad_hiding_leaves_no_file(write: Write, tmp_path: Path, share: float, empty: bool, said: str) -> None:
    source = write(blobs(12) * (not empty), SPLIT)
    with pytest.raises(DataError, match=said):
        hide(source, tmp_path / "hidden.h5", share, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["made.h5"]


def test_a_share_that_hides_nothing_is_refused(write: Write, tmp_path: Path) -> None:
    masks = np.zeros((6, 20, 20), np.uint8)
    masks[:, 5:9, 5:9], masks[:, 12:16, 12:16] = 1, 2
    source = write(masks, "ttttvv", instances=True)
    with pytest.raises(DataError, match=r"objects 0.1: of 2 objects that is none: give 0.5"):
        hide(source, tmp_path / "hidden.h5", 0.1, seed=0)
    assert hide(source, tmp_path / "hidden.h5", 0.0, seed=0).objects == 0
