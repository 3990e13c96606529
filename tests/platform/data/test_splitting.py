"""Splits: blocks never touch, random ones cover everything, each gets its share."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellab.data.dataset import TEST, TRAIN, UNUSED, VALIDATION
from cellab.data.splitting import Splitting, largest_remainder, runs
from cellab.errors import DataError


@given(st.integers(9, 300), st.integers(0, 3))
def test_blocks_are_contiguous_with_gaps_between(count: int, gap: int) -> None:
    codes = Splitting("blocks", gap=gap).codes(np.ones(count, bool))
    where = [np.flatnonzero(codes == code) for code in (TRAIN, VALIDATION, TEST)]
    for block in where:
        assert len(block)
        assert np.ptp(block) == len(block) - 1
    assert where[1][0] - where[0][-1] == gap + 1
    assert where[2][0] - where[1][-1] == gap + 1
    assert (codes == UNUSED).sum() == 2 * gap


@given(st.integers(3, 300), st.integers(0, 5))
def test_random_splits_are_disjoint_and_complete(count: int, seed: int) -> None:
    splitting = Splitting("random", seed=seed)
    codes = splitting.codes(np.ones(count, bool))
    sizes = np.bincount(codes, minlength=4)
    assert sizes[UNUSED] == 0
    assert sizes[:3].min() >= 1
    assert sizes.sum() == count
    if count > 20:
        assert np.abs(sizes[:3] - count * np.array(splitting.fractions)).max() < 1
    np.testing.assert_array_equal(codes, splitting.codes(np.ones(count, bool)))


def test_seeds_differ() -> None:
    everything = np.ones(50, bool)
    assert (Splitting("random", seed=0).codes(everything) != Splitting("random", seed=1).codes(everything)).any()


def test_frames_that_cannot_be_scored_are_for_training() -> None:
    scorable = np.arange(40) % 2 == 0
    codes = Splitting("random").codes(scorable)
    assert (codes[~scorable] == TRAIN).all()
    assert (codes[scorable] == VALIDATION).sum() == 3


def test_the_default_gap_grows_with_the_stack() -> None:
    for count, gap in ((12, 1), (48, 2), (4000, 10)):
        codes = Splitting("blocks").codes(np.ones(count, bool))
        assert (codes == UNUSED).sum() == 2 * gap


def test_no_test_block_needs_only_one_gap() -> None:
    codes = Splitting("blocks", (0.8, 0.2, 0.0), gap=2).codes(np.ones(12, bool))
    np.testing.assert_array_equal(codes, [0] * 8 + [3] * 2 + [1] * 2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"method": "stripes"}, "give blocks or random"),
        ({"fractions": (0.5, 0.5)}, "three numbers"),
        ({"fractions": (0.5, 0.2, 0.2)}, "sum to 1"),
        ({"fractions": (1.2, -0.2, 0.0)}, "sum to 1"),
        ({"fractions": (0.8, 0.0, 0.2)}, "no validation frame"),
        ({"fractions": (0.0, 0.8, 0.2)}, "no training frame"),
        ({"gap": -1}, "gap -1"),
    ],
)
def test_impossible_settings(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(DataError, match=said):
        Splitting(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["blocks", "random"])
def test_too_few_frames(method: str) -> None:
    with pytest.raises(DataError, match=r"leave no .*test frame"):
        Splitting(method, gap=0).codes(np.ones(2, bool))


def test_a_gap_that_eats_the_validation_block() -> None:
    with pytest.raises(DataError, match=r"10 frames less 8 unused ones .* leave no test frame"):
        Splitting("blocks", gap=4).codes(np.ones(10, bool))


@given(st.integers(0, 500))
def test_largest_remainders_add_up(count: int) -> None:
    assert sum(largest_remainder(count, (0.6, 0.15, 0.25))) == count


def test_runs() -> None:
    assert [run.tolist() for run in runs(np.array([0, 1, 2, 5, 7, 8]))] == [[0, 1, 2], [5], [7, 8]]
    assert runs(np.array([], int)) == []
