"""Label faults: as many as asked for, where they are allowed, and of the kind that they say."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellab.data.label_faults import FaultRates, LabelFaults, draw_faults
from cellab.errors import DataError

SPLIT = np.array([0] * 40 + [3] * 2 + [1] * 10 + [3] * 2 + [2] * 20)
NONE = FaultRates(never_labelled=0, gaps=0, stale=0, unannotated=0)


def presence(seed: int = 0, cells: int = 30) -> np.ndarray:
    """Cells seen in runs of frames."""
    rng = np.random.default_rng(seed)
    present = np.zeros((len(SPLIT), cells + 1), bool)
    for cell in range(1, cells + 1):
        start = rng.integers(0, len(SPLIT) - 5)
        present[start : start + rng.integers(4, 30), cell] = True
    return present


def draw(rates: FaultRates, seed: int = 0) -> tuple[LabelFaults, np.ndarray]:
    present = presence()
    return draw_faults(np.random.default_rng(seed), present, SPLIT, rates), present


def stale_masks(faults: LabelFaults) -> np.ndarray:
    """(N, cells + 1) bool: where an earlier outline is shown."""
    stale: np.ndarray = faults.shown != np.arange(len(SPLIT))[:, None]
    return stale


def test_no_rates_no_faults() -> None:
    faults, _ = draw(NONE)
    assert not faults.unlabelled.any()
    assert faults.annotated.all()
    assert not stale_masks(faults).any()


@pytest.mark.parametrize("rate", [0.2, 0.5, 1.0])
def test_never_labelled_cells(rate: float) -> None:
    faults, present = draw(replace(NONE, never_labelled=rate))
    train = present[SPLIT == 0]
    seen = train.any(0)
    never = (faults.unlabelled[SPLIT == 0] | ~train).all(0) & seen
    assert never.sum() == round(rate * seen.sum()) == faults.summary["train"]["never_labelled_cells"]


@pytest.mark.parametrize("rate", [0.3, 1.0])
def test_gaps_are_runs_and_never_all_of_a_cell(rate: float) -> None:
    faults, present = draw(replace(NONE, gaps=rate, gap_frames=(3, 6)))
    missing = faults.unlabelled & present
    in_training = missing[SPLIT == 0]
    cells = np.flatnonzero(in_training.any(0))
    eligible = (present[SPLIT == 0].sum(0) > 1).sum()
    assert len(cells) == round(rate * eligible)
    for cell in cells:
        where = np.flatnonzero(in_training[:, cell])
        assert np.ptp(where) == len(where) - 1
        assert 1 <= len(where) <= 6
        assert len(where) < present[SPLIT == 0][:, cell].sum()


@pytest.mark.parametrize("rate", [0.1, 0.35])
def test_stale_cells_show_their_outline_of_an_earlier_frame_for_one_run(rate: float) -> None:
    faults, present = draw(replace(NONE, stale=rate, stale_frames=(2, 4)))
    stale = stale_masks(faults)
    cells = np.flatnonzero(stale[SPLIT == 0].any(0))
    said = faults.summary["train"]
    assert len(cells) == said["stale_cells"] == round(rate * present[SPLIT == 0].any(0).sum()) > 0
    assert stale[SPLIT == 0].sum() == said["stale_cell_masks"]
    for cell in cells:
        run = np.flatnonzero(stale[:, cell] & (SPLIT == 0))
        source = run[0] - 1
        assert run.tolist() == list(range(source + 1, source + 1 + len(run)))
        assert 2 <= len(run) <= 4
        assert (faults.shown[run, cell] == source).all()
        assert present[source, cell]
        assert SPLIT[source] == 0


def test_stale_masks_are_of_single_cells_at_different_times() -> None:
    faults, present = draw(replace(NONE, stale=0.5))
    stale = stale_masks(faults)
    in_use = present[stale.any(1)]
    assert (in_use & ~stale[stale.any(1)]).any(1).all()  # other cells of the frame stay right
    assert len({int(np.flatnonzero(stale[:, cell])[0]) for cell in np.flatnonzero(stale.any(0))}) > 3


@given(st.floats(0, 1), st.integers(0, 20))
@settings(max_examples=30, deadline=None)
def test_stale_outlines_come_from_labelled_cells_of_frames_with_masks(rate: float, seed: int) -> None:
    faults, present = draw(replace(NONE, never_labelled=0.2, gaps=0.5, stale=rate, unannotated=0.2), seed)
    frames, cells = np.nonzero(stale_masks(faults))
    sources = faults.shown[frames, cells]
    assert (sources < frames).all()
    assert (present & ~faults.unlabelled)[sources, cells].all()
    assert not faults.unlabelled[frames, cells].any()
    assert faults.annotated[sources].all()
    assert faults.annotated[frames].all()
    assert (SPLIT[sources] == SPLIT[frames]).all()
    assert (~faults.annotated[SPLIT == 0]).sum() == faults.summary["train"]["unannotated_frames"] == 8


def test_validation_and_test_have_fewer_faults_and_unused_frames_none() -> None:
    rates = FaultRates(never_labelled=0.5, gaps=0.5, stale=0.3, unannotated=0.2, elsewhere=0.0)
    faults, present = draw(rates)
    others = SPLIT != 0
    assert not faults.unlabelled[others].any()
    assert faults.annotated[others].all()
    assert not stale_masks(faults)[others].any()
    some, _ = draw(replace(rates, elsewhere=0.5))
    missing = some.unlabelled & present
    shares = [missing[code == SPLIT].sum() / present[code == SPLIT].sum() for code in (0, 1, 2)]
    assert 0 < shares[1] < shares[0]
    assert 0 < shares[2] < shares[0]
    assert not some.unlabelled[SPLIT == 3].any()
    stale = [
        some.summary[name]["stale_cells"] / some.summary[name]["cells"] for name in ("train", "validation", "test")
    ]
    assert 0 < stale[1] < stale[0]
    assert 0 < stale[2] < stale[0]
    assert not stale_masks(some)[SPLIT == 3].any()


@pytest.mark.parametrize("name", ["never_labelled", "gaps", "stale", "unannotated", "elsewhere"])
@pytest.mark.parametrize("rate", [1.5, -0.1, float("nan"), float("inf")])
def test_impossible_rates(name: str, rate: float) -> None:
    with pytest.raises(DataError, match=f"^{name.replace('_', '-')} {rate}: give from 0 to 1.$"):
        FaultRates(**{name: rate})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["gap_frames", "stale_frames"])
@pytest.mark.parametrize("lengths", [(0, 3), (4, 2), (1.5, 3), (1,), (1, 2, 3), (1, float("nan"))])
def test_impossible_runs(name: str, lengths: tuple[int, int]) -> None:
    with pytest.raises(DataError, match=f"{name.replace('_', '-')} .*two whole numbers of frames, 1 or more"):
        FaultRates(**{name: lengths})  # type: ignore[arg-type]
