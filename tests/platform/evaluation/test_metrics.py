"""Metrics against scikit-learn, hand-computed cases and properties."""

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cellab.evaluation.metrics import METRICS, Counts, average, count, count_hidden, dice, jaccard, precision, recall

masks = arrays(bool, (6, 7))
some_counts = st.builds(Counts, *[st.integers(0, 1000)] * 3)

REFERENCES = {
    "dice": sklearn.metrics.f1_score,
    "jaccard": sklearn.metrics.jaccard_score,
    "precision": sklearn.metrics.precision_score,
    "recall": sklearn.metrics.recall_score,
}


@given(masks, masks)
def test_against_scikit_learn(prediction, reference):
    counts = count(prediction, reference)
    for name, metric in METRICS.items():
        expected = REFERENCES[name](reference.ravel(), prediction.ravel(), zero_division=0)
        if not prediction.any() and not reference.any():
            expected = 1.0  # our convention: nothing found where nothing is
        assert metric(counts) == pytest.approx(expected)


def test_by_hand():
    prediction = np.array([[1, 1, 0], [0, 1, 0]], bool)
    reference = np.array([[1, 0, 0], [1, 1, 1]], bool)
    counts = count(prediction, reference)
    assert counts == Counts(tp=2, fp=1, fn=2)
    assert dice(counts) == pytest.approx(4 / 7)
    assert jaccard(counts) == pytest.approx(2 / 5)
    assert precision(counts) == pytest.approx(2 / 3)
    assert recall(counts) == pytest.approx(2 / 4)


@pytest.mark.parametrize("metric", METRICS.values())
def test_empty_masks(metric):
    assert metric(Counts(0, 0, 0)) == 1
    assert metric(Counts(0, 5, 0)) == 0
    assert metric(Counts(0, 0, 5)) == 0


@given(some_counts)
def test_relations(counts):
    values = {name: metric(counts) for name, metric in METRICS.items()}
    assert all(0 <= value <= 1 for value in values.values())
    assert values["dice"] == pytest.approx(2 * values["jaccard"] / (1 + values["jaccard"]))
    assert values["jaccard"] <= min(values["precision"], values["recall"]) + 1e-12


@given(masks, masks)
def test_dice_and_jaccard_are_symmetric(one, other):
    for metric in (dice, jaccard):
        assert metric(count(one, other)) == metric(count(other, one))
    assert precision(count(one, other)) == recall(count(other, one))


def test_micro_pools_pixels_and_macro_averages_frames():
    frames = [Counts(1, 0, 1), Counts(98, 0, 0)]
    assert average(recall, frames, "micro") == pytest.approx(99 / 100)
    assert average(recall, frames, "macro") == pytest.approx((0.5 + 1) / 2)


def test_hidden_recall_counts_only_what_the_given_mask_misses():
    truth = np.array([1, 1, 1, 1, 0, 0], bool)
    given_mask = np.array([1, 0, 0, 0, 1, 0], bool)
    prediction = np.array([0, 1, 1, 0, 0, 1], bool)
    assert count_hidden(prediction, given_mask, truth) == Counts(2, 0, 1)
    assert recall(count_hidden(prediction, given_mask, truth)) == pytest.approx(2 / 3)
