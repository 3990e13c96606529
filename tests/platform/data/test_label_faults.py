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


def test_no_rates_no_faults() -> None:
    faults, _ = draw(NONE)
    assert not faults.unlabelled.any()
    assert faults.annotated.all()
    np.testing.assert_array_equal(faults.shown, np.arange(len(SPLIT)))


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
def test_stale_masks_show_an_earlier_frame_for_a_run(rate: float) -> None:
    faults, _ = draw(replace(NONE, stale=rate, stale_frames=(2, 4)))
    stale = np.flatnonzero(faults.shown != np.arange(len(SPLIT)))
    assert (SPLIT[stale] == 0).sum() == round(rate * 40) == faults.summary["train"]["stale_frames"]
    for frame in stale:
        source = faults.shown[frame]
        assert source < frame <= source + 4
        assert SPLIT[source] == SPLIT[frame]
        assert faults.shown[source] == source
        assert (faults.shown[source + 1 : frame] == source).all()


@given(st.floats(0, 1), st.integers(0, 20))
@settings(max_examples=30, deadline=None)
def test_any_rate_of_stale_masks_ends(rate: float, seed: int) -> None:
    faults, _ = draw(replace(NONE, stale=rate), seed)
    assert (faults.shown <= np.arange(len(SPLIT))).all()
    assert faults.summary["train"]["stale_frames"] <= round(rate * 40)


def test_frames_without_a_mask_have_nothing_to_do_with_stale_ones() -> None:
    faults, _ = draw(replace(NONE, stale=0.3, unannotated=0.2))
    missing = np.flatnonzero(~faults.annotated)
    assert (SPLIT[missing] == 0).sum() == 8
    assert (faults.shown[missing] == missing).all()
    assert not np.isin(missing, faults.shown[faults.shown != np.arange(len(SPLIT))]).any()


def test_validation_and_test_have_fewer_faults_and_unused_frames_none() -> None:
    rates = FaultRates(never_labelled=0.5, gaps=0.5, stale=0.3, unannotated=0.2, elsewhere=0.0)
    faults, present = draw(rates)
    others = SPLIT != 0
    assert not faults.unlabelled[others].any()
    assert faults.annotated[others].all()
    some, _ = draw(replace(rates, elsewhere=0.5))
    missing = some.unlabelled & present
    shares = [missing[code == SPLIT].sum() / present[code == SPLIT].sum() for code in (0, 1, 2)]
    assert 0 < shares[1] < shares[0]
    assert 0 < shares[2] < shares[0]
    assert not some.unlabelled[SPLIT == 3].any()


@pytest.mark.parametrize("name", ["never_labelled", "gaps", "stale", "unannotated", "elsewhere"])
def test_impossible_rates(name: str) -> None:
    with pytest.raises(DataError, match=f"{name.replace('_', '-')} 1.5: give a rate from 0 to 1"):
        FaultRates(**{name: 1.5})
