"""Metrics against scikit-learn, hand-computed cases and properties."""

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cellab.evaluation.metrics import (
    METRICS,
    Counts,
    average,
    count,
    count_hidden,
    dice,
    jaccard,
    precision,
    pu_score,
    recall,
)

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
    assert counts == Counts(tp=2, fp=1, fn=2, tn=1)
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


def test_the_score_of_given_masks_by_hand():
    counts = Counts(tp=30, fp=20, fn=10, tn=140)
    assert pu_score(counts) == pytest.approx((30 / 40) ** 2 / (50 / 200))
    assert pu_score(Counts(0, 0, 40, 160)) == pu_score(Counts(0, 40, 0, 160)) == 0


@given(st.integers(0, 2**31), st.floats(0.1, 1))
def test_the_score_orders_predictions_as_precision_times_recall_against_the_truth(seed, frequency):
    """Up to chance, where cells are labelled at random: here all but the labels is exact."""
    rng = np.random.default_rng(seed)
    truth = rng.random(400) < 0.3
    prediction = np.where(rng.random(400) < rng.uniform(0.5, 1), truth, rng.random(400) < 0.5)
    against = count(prediction, truth)
    marked, found = frequency * (against.tp + against.fn), frequency * against.tp  # on average over labellings
    expected = Counts(found, against.tp + against.fp - found, marked - found, 0)
    expected = Counts(expected.tp, expected.fp, expected.fn, 400 - expected.tp - expected.fp - expected.fn)
    product = precision(against) * recall(against)
    assert pu_score(expected) * truth.mean() == pytest.approx(product)
