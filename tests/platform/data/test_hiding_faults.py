"""Hiding as annotators leave labels out: the small or the faint first, for runs of frames, with stale outlines."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from typer.testing import CliRunner

from cellab.cli.data import app
from cellab.data.contrast import RING, contrasts
from cellab.data.dataset import Dataset
from cellab.data.hiding import hide
from cellab.data.hiding_plan import Hiding, make_plan
from cellab.data.objects import find_objects
from cellab.data.synthetic import _given
from cellab.data.writer import DatasetWriter
from cellab.errors import DataError

Write = Callable[..., Path]


def grid(sizes: np.ndarray, ids: bool = True) -> np.ndarray:
    """(N, 96, 96) uint16 from (N, 16) sides in pixels: sixteen squares a frame, far apart."""
    masks = np.zeros((len(sizes), 96, 96), np.uint16)
    for frame, sides in enumerate(sizes.tolist()):
        for place, side in enumerate(sides):
            row, column = 24 * (place // 4) + 6, 24 * (place % 4) + 6
            masks[frame, row : row + side, column : column + side] = place + 1 if ids else 1
    return masks


def columns(n_frames: int = 20, ids: bool = True) -> np.ndarray:
    """(N, 96, 64) uint16: twelve objects of 4 × 8 pixels, one above the other, that move 2 pixels a frame."""
    masks = np.zeros((n_frames, 96, 64), np.uint16)
    for frame in range(n_frames):
        for place in range(12):
            masks[frame, 8 * place : 8 * place + 4, 2 * frame : 2 * frame + 8] = place + 1 if ids else 1
    return masks


def given_and_truth(path: Path, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    with Dataset.open(path) as data:
        every = np.arange(data.n_frames)
        return np.stack(data.instances_of(scale, every)), np.stack(data.instances_of(scale, every, truth=True))


@pytest.mark.parametrize("ids", [False, True])
def test_the_small_are_hidden_first(write: Write, tmp_path: Path, ids: bool) -> None:
    sides = np.random.default_rng(0).permuted(np.tile(np.r_[2:10, 10:18], (4, 1)), axis=1)
    source = write(grid(sides, ids), "ttvv", instances=ids, related=False)
    hidden = hide(source, tmp_path / "h.h5", (0.75, 0.25), 1, bias="size")
    assert (hidden.objects, hidden.of_objects, hidden.halves) == (16, 32, ((12, 16), (4, 16)))
    given, truth = given_and_truth(tmp_path / "h.h5")
    gone = [
        sides[frame, place]
        for frame in range(2)
        for place in range(16)
        if not given[frame][grid(np.eye(16, dtype=int)[place][None] * sides[frame])[0] > 0].any()
    ]
    assert len(gone) == 16
    assert sum(side < 10 for side in gone) == 12
    np.testing.assert_array_equal(given[2:], truth[2:])


def test_the_faint_are_hidden_first_whether_bright_or_dark(write: Write, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    masks = grid(rng.integers(4, 12, (4, 16)))
    steps = rng.permuted(np.tile(np.r_[5:13, 40:48], (4, 1)), axis=1) * rng.choice([-1, 1], (4, 16))
    background = np.array([90, 150, 100, 100])[:, None]
    grey = np.concatenate([background, background + steps], axis=1)
    frames = np.stack([grey[i][masks[i]] for i in range(4)]).astype(np.uint8)
    source = write(masks, "ttvv", frames=frames, instances=True, related=False)
    with Dataset.open(source) as data:
        objects = find_objects(data, data.indices("train"))
        np.testing.assert_allclose(contrasts(data, objects), np.abs(steps[:2]).ravel())
    hidden = hide(source, tmp_path / "h.h5", (1.0, 0.0), 0, bias="contrast")
    assert hidden.halves == ((16, 16), (0, 16))
    given, _ = given_and_truth(tmp_path / "h.h5")
    for frame in range(2):
        assert set(np.unique(given[frame])) - {0} == set(np.flatnonzero(np.abs(steps[frame]) >= 40) + 1)


def test_contrast_is_against_background_near_by_and_other_objects_only_where_there_is_none(write: Write) -> None:
    masks = np.zeros((1, 60, 60), np.uint8)
    masks[0, 16:36, 16:36], masks[0, 16:36, 36:46], masks[0, 24:28, 24:28] = 1, 2, 3
    frames = np.array([60, 100, 250, 180], np.uint8)[masks]
    far = np.ones((60, 60), bool)
    far[16 - RING : 36 + RING, 16 - RING : 46 + RING] = False
    frames[0][far] = 255
    with Dataset.open(write(masks, "t", frames=frames, instances=True, scales=(1.0,))) as data:
        measured = contrasts(data, find_objects(data, np.arange(1)))
    assert measured.tolist() == [40, 190, 80], "3 lies within 1, and there is nothing else around it"


def test_an_object_that_fills_its_frame_has_no_contrast(write: Write) -> None:
    with Dataset.open(write(np.ones((1, 20, 20), np.uint8), "t", scales=(1.0,))) as data:
        assert contrasts(data, find_objects(data, np.arange(1))).tolist() == [0.0]


def test_between_equals_chance_decides(write: Write, tmp_path: Path) -> None:
    source = write(grid(np.full((3, 16), 6)), "tvv", instances=True, related=False)
    left = []
    for seed in range(3):
        hide(source, tmp_path / f"{seed}.h5", (1.0, 0.0), seed, bias="size")
        left.append(frozenset(np.unique(given_and_truth(tmp_path / f"{seed}.h5")[0][0])))
    assert len(set(left)) == 3
    assert all(len(ids - {0}) == 8 for ids in left)


def touching() -> np.ndarray:
    """(8, 40, 64) uint16, binary: two objects a frame that move through each other's places, all one in 3-D."""
    masks = np.zeros((8, 40, 64), np.uint16)
    for frame in range(8):
        masks[frame, 4:36, 6 * frame + 2 : 6 * frame + 10] = 1
        masks[frame, 4:36, 6 * frame + 12 : 6 * frame + 20] = 1
    return masks


def test_within_frames_every_component_is_an_object(write: Write, tmp_path: Path) -> None:
    masks = touching()
    source = write(masks, "ttttttvv")
    with pytest.raises(DataError, match="of 1 objects that is none"):
        hide(source, tmp_path / "h.h5", 0.3, 0)
    hidden = hide(source, tmp_path / "h.h5", 0.25, 0, within="frames")
    assert (hidden.objects, hidden.of_objects) == (3, 12)
    given, truth = given_and_truth(tmp_path / "h.h5")
    np.testing.assert_array_equal(truth, masks)
    parts = [(ndimage.label(truth[i])[0], given[i]) for i in range(6)]
    left = [(mask[labelled == label] > 0).mean() for labelled, mask in parts for label in (1, 2)]
    assert sorted(left) == [0.0] * 3 + [1.0] * 9
    assert hide(source, tmp_path / "g.h5", 0.0, 0, within="frames", gaps=0.4).gaps == 2, "of five tracks of two frames"


def test_tracks_follow_what_overlaps_most_and_never_branch(write: Write) -> None:
    with Dataset.open(write(touching(), "ttttttvv")) as data:
        objects = find_objects(data, np.arange(6), linking="tracks")
        assert objects.count == 7, "of three overlaps between two frames only the largest counts"
        assert all(len(set(of.tolist())) == len(of) for of in objects.of_label.values())
    slow = columns(ids=False)
    with Dataset.open(write(slow, "t" * 20, name="slow.h5")) as data:
        assert find_objects(data, np.arange(20), linking="tracks").count == 12
        assert find_objects(data, np.arange(20), linking="none").count == 240


@pytest.mark.parametrize("within", ["stack", "frames"])
def test_gaps_and_stale_outlines(write: Write, tmp_path: Path, within: str) -> None:
    """Objects follow one another slowly, so that ids and components must give the same masks."""
    split = "t" * 17 + "vee"
    for ids in (True, False):
        source = write(columns(ids=ids), split, instances=ids, name=f"{ids}.h5")
        hidden = hide(source, tmp_path / f"h{ids}.h5", 0.0, 3, within=within, gaps=0.25, stale=0.5)
        assert (hidden.objects, hidden.gaps, hidden.stale) == (0, 3, 6)
    for scale in (1.0, 0.5):
        given, truth = given_and_truth(tmp_path / "hTrue.h5", scale)
        np.testing.assert_array_equal(given > 0, given_and_truth(tmp_path / "hFalse.h5", scale)[0] > 0)
        np.testing.assert_array_equal(given[17:], truth[17:])
        missing, stale = np.zeros(13, int), np.zeros(13, int)
        for frame in range(17):
            for i in range(1, 13):
                shown = given[frame] == i
                ages = [age for age in range(frame + 1) if np.array_equal(shown, truth[frame - age] == i)]
                assert ages or not shown.any()
                missing[i] += not shown.any()
                stale[i] += bool(ages) and ages[0] > 0
                assert not ages or ages[0] <= 4
        assert sorted(missing[missing > 0].tolist()) == sorted(n for n in missing.tolist() if 3 <= n <= 10)
        assert (np.count_nonzero(missing), np.count_nonzero(stale)) == (3, 6)
        assert stale.sum() == hidden.stale_outlines


@pytest.mark.parametrize("seed", range(4))
def test_overlapping_outlines_are_laid_over_each_other_as_in_a_phantom(write: Write, tmp_path: Path, seed: int) -> None:
    truth = np.zeros((20, 24, 200), np.uint16)
    for frame in range(20):
        for place in range(6):
            truth[frame, 4:20, 5 * frame + 8 * place : 5 * frame + 8 * place + 8] = place + 1
    source = write(truth, "t" * 17 + "vee", instances=True)
    hide(source, tmp_path / "h.h5", 0.0, seed, stale=1.0)
    with Dataset.open(source) as data:
        faults = make_plan(data, data.indices("train"), Hiding((0.0,), seed, stale=1.0)).faults
    assert faults
    given, _ = given_and_truth(tmp_path / "h.h5")
    for index in range(17):
        expected = _given(truth[index].astype(int), index, faults, lambda frame: truth[frame])
        np.testing.assert_array_equal(given[index], expected)


def test_faults_are_of_what_is_not_hidden(write: Write, tmp_path: Path) -> None:
    source = write(columns(), "t" * 17 + "vee", instances=True)
    plain = hide(source, tmp_path / "plain.h5", 0.5, 0)
    both = hide(source, tmp_path / "both.h5", 0.5, 0, gaps=0.5, stale=0.5)
    assert (both.objects, both.pixels, both.gaps, both.stale) == (plain.objects, plain.pixels, 3, 3)
    shown, kept = (np.unique(given_and_truth(tmp_path / name)[0][:17]) for name in ("both.h5", "plain.h5"))
    np.testing.assert_array_equal(shown, kept)


def test_no_stale_outline_stands_for_what_is_hidden_in_its_frame(write: Write, tmp_path: Path) -> None:
    source = write(columns(), "t" * 17 + "vee", instances=True)
    hide(source, tmp_path / "plain.h5", 0.3, 5, within="frames")
    hide(source, tmp_path / "stale.h5", 0.3, 5, within="frames", stale=1.0)
    plain, stale = given_and_truth(tmp_path / "plain.h5")[0], given_and_truth(tmp_path / "stale.h5")[0]
    assert (plain != stale).any()
    for before, after in zip(plain, stale, strict=True):
        assert set(np.unique(before)) == set(np.unique(after))


def test_frames_without_a_mask_stay_without(write: Write, tmp_path: Path) -> None:
    annotated = np.arange(20) % 5 != 4
    masks = columns()
    masks[~annotated] = 0
    source = write(masks, "t" * 16 + "vvee", truth=columns(), annotated=annotated, instances=True)
    hide(source, tmp_path / "h.h5", 0.0, 0, stale=1.0)
    given, truth = given_and_truth(tmp_path / "h.h5")
    assert not given[~annotated].any()
    np.testing.assert_array_equal(truth, columns())


def test_all_of_it_together_is_recorded_repeatable_and_told(write: Write, tmp_path: Path) -> None:
    source = write(columns(ids=False), "t" * 17 + "vee")
    options = ["--objects", "0.5,0.25", "--bias", "contrast", "--within", "frames", "--gaps", "0.2", "--stale", "0.2"]
    said = ""
    for name, seed in (("a", "2"), ("b", "2"), ("c", "3")):
        said = (
            CliRunner()
            .invoke(app, ["hide", str(source), str(tmp_path / f"{name}.h5"), *options, "--seed", seed])
            .stdout
        )
    digests = []
    for name in "abc":
        with Dataset.open(tmp_path / f"{name}.h5") as data:
            digests.append(data.digest)
    assert digests[0] == digests[1] != digests[2]
    with Dataset.open(tmp_path / "c.h5") as data:
        (step,) = json.loads(json.dumps(data.provenance["history"]))
    assert step["arguments"] == {
        "objects": [0.5, 0.25],
        "seed": 3,
        "bias": "contrast",
        "within": "frames",
        "gaps": 0.2,
        "gap_frames": [3, 10],
        "stale": 0.2,
        "stale_frames": [2, 4],
    }
    assert (step["objects"], step["of_objects"], step["halves"]) == (77, 204, [[51, 102], [26, 102]])
    assert f"{step['objects']} of 204 objects in single frames of the training masks are hidden" in said
    assert f"{step['gaps']} of the others have no label for a run of frames" in said
    assert f"outlines of {step['stale']} are stale for a run of frames, {step['stale_outlines']} in all" in said
    table = " ".join(CliRunner().invoke(app, ["info", str(tmp_path / "c.h5")], env={"COLUMNS": "400"}).stdout.split())
    assert "objects 0.5,0.25, seed 3, bias contrast, within frames, gaps 0.2, gap_frames 3,10, stale 0.2" in table
    assert f"of 204 objects, {step['gaps']} with gaps, {step['stale']} stale)" in table


def test_within_frames_says_where_it_changes_nothing(write: Write, tmp_path: Path) -> None:
    source = write(grid(np.full((3, 16), 6)), "tvv", instances=True, related=False)
    assert "changes nothing" in hide(source, tmp_path / "a.h5", 0.5, 0, within="frames").notices[0]
    hide(source, tmp_path / "b.h5", 0.5, 0)
    np.testing.assert_array_equal(*(given_and_truth(tmp_path / name)[0] for name in ("a.h5", "b.h5")))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--bias size", "two shares to hide, of the smaller and of the larger half"),
        ("--bias contrast --objects 0.5", "of the fainter and of the clearer half"),
        ("--bias size --objects 0.5,0.5,0.5", "two shares"),
        ("--objects 0.9,0.5", "give one share to hide, e.g. 0.5, or a bias"),
        ("--objects half", "e.g. 0.5, or 0.95,0.5 with --bias"),
        ("--bias size --objects 0.5,1.5", "objects 1.5: give the share to hide, from 0 to 1"),
        ("--bias size --objects 0.05,0.5", "objects 0.05: of 6 objects that is none: give 0.17"),
        ("--bias age", "bias 'age': give size or contrast"),
        ("--within cells", "within 'cells': give stack or frames"),
        ("--gaps 1.1", "gaps 1.1: give from 0 to 1"),
        ("--stale nan", "stale nan"),
        ("--gaps 0.01", "gaps 0.01: of the objects that are left"),
        ("--stale 0.01", "stale 0.01: of the objects that are left"),
    ],
)
def test_bad_arguments_are_told_and_nothing_is_written(write: Write, tmp_path: Path, options: str, said: str) -> None:
    source = write(columns(), "t" * 17 + "vee", instances=True)
    result = CliRunner().invoke(app, ["hide", str(source), str(tmp_path / "h.h5"), *options.split()])
    assert isinstance(result.exception, DataError)
    assert said in str(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["made.h5"]


@pytest.mark.parametrize("fault", ["gaps", "stale"])
def test_unrelated_frames_have_no_runs(write: Write, tmp_path: Path, fault: str) -> None:
    source = write(columns(), "t" * 17 + "vee", instances=True, related=False)
    with pytest.raises(DataError, match=f"^{fault} 0.5: the frames of .* are unrelated"):
        hide(source, tmp_path / "h.h5", 0.5, 0, **{fault: 0.5})


def test_outlines_of_frames_of_other_sizes_do_not_fit(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "made.h5", {1.0: (20, 20)}, 6, instances=True) as writer:
        for index, split in enumerate(["train"] * 4 + ["validation"] * 2):
            image = np.eye(20, 20 - index % 2, dtype=np.uint8)
            writer.append(str(index), split, {1.0: image}, {1.0: image})
    with pytest.raises(DataError, match="differ in size"):
        hide(tmp_path / "made.h5", tmp_path / "h.h5", 0.0, 0, stale=1.0)
    assert hide(tmp_path / "made.h5", tmp_path / "h.h5", 0.0, 0, gaps=1.0).gaps == 1


def test_one_object_has_no_halves(write: Write, tmp_path: Path) -> None:
    masks = np.zeros((3, 20, 20), np.uint8)
    masks[:, 5:9, 5:9] = 1
    with pytest.raises(DataError, match="one object has no halves"):
        hide(write(masks, "tvv"), tmp_path / "h.h5", (0.5, 0.5), 0, bias="size")
