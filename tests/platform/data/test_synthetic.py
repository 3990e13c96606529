"""The phantom: deterministic, gradual, learnable, and wrong in its masks exactly where it says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cellab.data.dataset import Dataset, check_trainable
from cellab.data.label_faults import FaultRates, LabelFaults
from cellab.data.phantom import Anatomy
from cellab.data.splitting import Splitting
from cellab.data.staining import Optics, Tissue
from cellab.data.synthetic import Phantom, _given, synthesise
from cellab.errors import DataError

TINY = Phantom(n_frames=8, size=64)
CLEAN = FaultRates(never_labelled=0, gaps=0, stale=0, unannotated=0)


def digest(path: Path, phantom: Phantom) -> str:
    synthesise(path, phantom, overwrite=True)
    with Dataset.open(path) as data:
        return data.digest


def test_the_seed_decides(tmp_path: Path) -> None:
    first = digest(tmp_path / "a.h5", TINY)
    assert digest(tmp_path / "b.h5", TINY) == first
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    assert digest(tmp_path / "c.h5", replace(TINY, seed=1)) != first


def test_it_is_trainable_with_truth_and_ids(phantom_file: Path, small_phantom: Phantom) -> None:
    with Dataset.open(phantom_file) as data:
        check_trainable(data)
        assert data.has_truth
        assert data.instances
        assert data.related
        assert data.n_frames == small_phantom.n_frames
        assert data.scales == (1.0, 0.5)
        assert 0.2 < np.mean(data.truth(1.0, np.arange(data.n_frames))) < 0.5
        np.testing.assert_array_equal(
            data.instances_of(0.5, np.array([3]), truth=True),
            data.instances_of(1.0, [3], truth=True)[0][None, 1::2, 1::2],
        )


def test_neighbouring_sections_are_alike_and_distant_ones_are_not() -> None:
    tissue = Tissue(seed=0, n_frames=40, size=128)

    def overlap(a: int, b: int) -> float:
        one, other = tissue.ids(a), tissue.ids(b)
        return float(((one == other) & (one > 0)).sum() / ((one > 0) | (other > 0)).sum())

    assert overlap(10, 11) > 0.6
    assert overlap(10, 14) < overlap(10, 12) < overlap(10, 11)
    assert overlap(10, 39) < 0.1
    assert tissue.ids(10).max() <= len(tissue.cells.owners)


def test_sections_have_the_contrasts_of_electron_microscopy() -> None:
    frame, ids = Tissue(seed=1, n_frames=10, size=160).section(5)
    assert 95 < frame.mean() < 150
    assert 30 < frame.std() < 60
    inner = frame[ids > 0].mean()
    assert inner < frame[ids == 0].mean() - 8  # cells are darker than the tissue between them, on the whole
    edge = (ids > 0) & ((np.roll(ids, 1, 0) == 0) | (np.roll(ids, -1, 0) == 0))
    assert frame[edge].mean() < inner - 25  # and their membranes are darker still
    np.testing.assert_array_equal(Tissue(seed=1, n_frames=10, size=160).ids(5), ids)


def test_masks_without_faults_are_the_truth(tmp_path: Path) -> None:
    synthesise(tmp_path / "x.h5", replace(TINY, faults=CLEAN))
    with Dataset.open(tmp_path / "x.h5") as data:
        everything = np.arange(8)
        np.testing.assert_array_equal(
            data.instances_of(1.0, everything), data.instances_of(1.0, everything, truth=True)
        )


def test_masks_lack_what_the_record_says(phantom_file: Path) -> None:
    with Dataset.open(phantom_file) as data:
        recorded = data.provenance["label_faults"]["train"]
        train = data.indices("train")
        given, truth = np.stack(data.instances_of(1.0, train)), np.stack(data.instances_of(1.0, train, truth=True))
        ids = set(np.unique(truth).tolist()) - {0}
        assert recorded["cells"] == len(ids)
        assert recorded["unannotated_frames"] == (~data.annotated[train]).sum() > 0
        assert recorded["never_labelled_cells"] == round(0.5 * len(ids))
        assert len(ids - set(np.unique(given).tolist())) >= recorded["never_labelled_cells"] > 0
        moved = {
            cell
            for cell in ids
            for g, t in zip(given == cell, truth == cell, strict=True)
            if g.any() and (g != t).any()
        }
        assert len(moved) == recorded["stale_cells"] > 0


def test_stale_cells_keep_their_outline_and_the_others_are_right(tmp_path: Path) -> None:
    phantom = Phantom(n_frames=20, size=128, faults=replace(CLEAN, stale=0.5, stale_frames=(3, 3)))
    recorded = synthesise(tmp_path / "x.h5", phantom)["train"]
    with Dataset.open(tmp_path / "x.h5") as data:
        train = data.indices("train")
        given, truth = np.stack(data.instances_of(1.0, train)), np.stack(data.instances_of(1.0, train, truth=True))
    cells = np.unique(truth)[1:]
    wrong = {int(c): np.flatnonzero(((given == c) != (truth == c)).any((1, 2))) for c in cells}
    stale = {cell: frames for cell, frames in wrong.items() if len(frames)}
    assert len(stale) == recorded["stale_cells"] == round(0.5 * len(cells))
    assert sum(map(len, stale.values())) == recorded["stale_cell_masks"]
    for cell, frames in stale.items():
        assert len(frames) <= 3
        old = truth[frames[0] - 1] == cell
        assert old.any()
        for frame in frames:
            covered = (given[frame] > 0) & (given[frame] != cell)
            np.testing.assert_array_equal(given[frame] == cell, old & ~covered)


def test_a_right_outline_wins_over_a_stale_one() -> None:
    truth = np.array([[0, 1, 2, 2]])
    before = np.array([[1, 1, 1, 0]])
    faults = LabelFaults(np.zeros((2, 3), bool), np.array([[0, 0, 0], [1, 0, 1]]), np.ones(2, bool), {})
    np.testing.assert_array_equal(_given(truth, 1, faults, {0: before}.__getitem__), [[1, 1, 2, 2]])
    gone = LabelFaults(np.array([[False] * 3, [False, False, True]]), faults.shown, np.ones(2, bool), {})
    np.testing.assert_array_equal(_given(truth, 1, gone, {0: before}.__getitem__), [[1, 1, 1, 0]])


def test_each_fault_has_its_rate(tmp_path: Path) -> None:
    phantom = Phantom(n_frames=20, size=96, faults=replace(CLEAN, never_labelled=0.5))
    synthesise(tmp_path / "x.h5", phantom)
    with Dataset.open(tmp_path / "x.h5") as data:
        train = data.indices("train")
        given, truth = (set(np.unique(data.instances_of(1.0, train, truth=t)).tolist()) for t in (False, True))
        assert len(truth - given) == round(0.5 * (len(truth) - 1))


def test_blocks_are_apart(phantom_file: Path) -> None:
    with Dataset.open(phantom_file) as data:
        train, validation, test = (data.indices(name) for name in ("train", "validation", "test"))
        assert train[-1] + 1 < validation[0]
        assert validation[-1] + 1 < test[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"size": 8}, "size 8: give a whole number, at least 32 pixels"),
        ({"size": float("nan")}, "size nan"),
        ({"n_frames": 2}, "frames 2: give a whole number, at least 3"),
        ({"n_frames": 8.5}, "frames 8.5"),
        ({"seed": -1}, "seed -1"),
        ({"scales": (1.0, 3.0)}, "at most 1"),
    ],
)
def test_impossible_phantoms(change: dict[str, object], said: str) -> None:
    with pytest.raises(DataError, match=said):
        replace(TINY, **change)  # type: ignore[arg-type]


NAN, INFINITE = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("of", "name", "values", "allowed"),
    [
        (Anatomy, "coverage", (0, -1, 2, NAN, INFINITE), "more than 0, at most 0.5"),
        (Anatomy, "cell_radius", ((0, 9), (-5, 9), (30, 15), (NAN, 20), (20, NAN), (20, INFINITE)), "4 to 500 pixels"),
        (Anatomy, "section_thickness", (0, -2, NAN, INFINITE), "more than 0, at most 100 pixels"),
        (Anatomy, "process_diameter", (0, -3, NAN, INFINITE), "from 2 to 500 pixels"),
        (Anatomy, "mitochondria", (-1, NAN, INFINITE), "from 0 to 1000"),
        (Anatomy, "mitochondria_outside", (-1, NAN, INFINITE), "from 0 to 100"),
        (Optics, "blur", (-1, NAN, INFINITE), "from 0 to 50 pixels"),
        (Optics, "noise", (-3, NAN, INFINITE), "from 0 to 255 grey values"),
        (Optics, "drift", (-1, NAN, INFINITE), "from 0 to 100"),
    ],
)
def test_impossible_tissue_and_optics(
    of: type[Anatomy | Optics], name: str, values: tuple[object, ...], allowed: str
) -> None:
    for value in values:
        with pytest.raises(DataError) as caught:
            of(**{name: value})
        assert str(caught.value).startswith(f"{name.replace('_', '-')} {value}: give ")
        assert allowed in str(caught.value)


@pytest.mark.parametrize(
    ("anatomy", "optics"),
    [
        (Anatomy(coverage=0.5, section_thickness=100, process_diameter=500), Optics(0, 0, 0)),
        (Anatomy(cell_radius=(4, 4), process_diameter=2, mitochondria=0), Optics(50, 255, 100)),
    ],
)
def test_the_limits_themselves_can_be_drawn(anatomy: Anatomy, optics: Optics) -> None:
    frame, ids = Tissue(0, 3, 32, anatomy, optics).section(1)
    assert frame.shape == ids.shape == (32, 32)


@pytest.mark.parametrize(
    ("phantom", "said"),
    [
        (replace(TINY, faults=FaultRates(never_labelled=1.0)), "training masks are all zeros"),
        (replace(TINY, faults=FaultRates(unannotated=1.0, stale=0)), "no training frame has a mask"),
        (replace(TINY, splitting=Splitting(gap=4)), "leave no train"),
    ],
)
def test_phantoms_that_cannot_be_trained_on_leave_no_file(tmp_path: Path, phantom: Phantom, said: str) -> None:
    with pytest.raises(DataError, match=said):
        synthesise(tmp_path / "x.h5", phantom)
    assert list(tmp_path.iterdir()) == []
