"""Calibrations: cuts that given masks alone tell, on simulated mixtures and against an independent implementation."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pulearn import ElkanotoPuClassifier
from pulearn.metrics import lee_liu_score
from sklearn.base import BaseEstimator, ClassifierMixin

LEVELS = 1001


def counts(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.bincount(np.rint(values * (LEVELS - 1)).astype(int), minlength=LEVELS))


def mixture(seed: int, frequency: float, size: int = 200_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities of being a cell, cells, and labels of a network that has learned P(labelled | x) exactly."""
    rng = np.random.default_rng(seed)
    is_clear = rng.random(size) < 0.9
    probability = np.where(is_clear, rng.beta(0.1, 0.1, size), rng.random(size))
    cell = rng.random(size) < probability
    return frequency * probability, cell, cell & (rng.random(size) < frequency)


def test_contract(name, build):
    calibration = build("calibration", name)
    assert calibration.split in (None, "train", "validation")
    assert calibration.frames is None or calibration.frames >= 1
    output, _, labelled = mixture(0, 0.5)
    cut = calibration.cut(counts(output[labelled]), counts(output))
    assert isinstance(cut, float)
    assert 0 < cut < 1


def clear(frequency: float, size: int = 100_000) -> tuple[np.ndarray, np.ndarray]:
    """The same where what is a cell is plain to see."""
    rng = np.random.default_rng(2)
    cell = rng.random(size) < 0.2
    return frequency * cell, cell & (rng.random(size) < frequency)


@pytest.mark.parametrize("frequency", [0.1, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("estimator", ["e1", "e2", "e3"])
def test_the_label_frequency_of_a_mixture_is_found(build, frequency, estimator):
    output, labelled = clear(frequency)
    found = build("calibration", "label_frequency", estimator=estimator)
    assert found.cut(counts(output[labelled]), counts(output)) == pytest.approx(frequency / 2, rel=0.03)


@pytest.mark.parametrize("frequency", [0.2, 0.6])
def test_where_cells_are_not_clear_the_mean_over_given_positives_is_less(build, frequency):
    """As the mean of P(cell) over cells is below 1; the maximum is not."""
    output, _, labelled = mixture(3, frequency)
    mean, largest = (build("calibration", "label_frequency", estimator=which) for which in ("e1", "e3"))
    assert 0.4 * frequency < mean.cut(counts(output[labelled]), counts(output)) < 0.5 * frequency
    assert largest.cut(counts(output[labelled]), counts(output)) == pytest.approx(frequency / 2, rel=0.01)


class Known(BaseEstimator, ClassifierMixin):
    """A classifier that has learned what its one feature says."""

    def fit(self, features, labels):
        self.classes_ = np.array([0, 1])
        return self

    def predict_proba(self, features):
        return np.stack([1 - features[:, 0], features[:, 0]], axis=1)


def test_the_frequency_is_that_of_pulearn(build):
    output, _, labelled = mixture(4, 0.4)
    theirs = ElkanotoPuClassifier(Known(), hold_out_ratio=0.5, random_state=0).fit(
        output[:, None], labelled.astype(int)
    )
    ours = build("calibration", "label_frequency").frequency(counts(output[labelled]), counts(output))
    assert ours == pytest.approx(theirs.c, rel=0.01), "up to the choice of what is held out"


def test_the_best_cut_is_that_of_pulearns_score(build):
    output, _, labelled = mixture(5, 0.5, 5_000)
    levels = np.rint(output * (LEVELS - 1)).astype(int)
    scores = [lee_liu_score(labelled.astype(int), (levels >= level).astype(int)) for level in range(1, 501)]
    cut = build("calibration", "pu_score").cut(counts(output[labelled]), counts(output))
    assert cut * (LEVELS - 1) == pytest.approx(int(np.argmax(scores)) + 0.5)


@settings(deadline=None)
@given(seed=st.integers(0, 1000), frequency=st.floats(0.1, 1.0))
def test_the_best_cut_by_the_score_is_nearly_the_best_against_the_truth(build_once, seed, frequency):
    output, cell, labelled = mixture(seed, frequency, 20_000)
    cut = build_once.cut(counts(output[labelled]), counts(output))

    def product(at: float) -> float:
        called = output >= at
        hit = float((called & cell).sum())
        return hit**2 / max(1, called.sum()) / cell.sum()

    best = max(product(at) for at in np.linspace(0, frequency, 101)[1:])
    assert product(cut) > 0.97 * best


@pytest.fixture(scope="module")
def build_once():
    from cellab import components

    return components.build("calibration", "pu_score")


def test_the_score_by_hand(build):
    positives, pixels = torch.zeros(11, dtype=torch.int64), torch.zeros(11, dtype=torch.int64)
    positives[[3, 8]] = torch.tensor([10, 30])
    pixels[[0, 3, 8]] = torch.tensor([900, 50, 50])
    # from .4 to .8: (30 / 40)^2 / .05 = 11.25; up to .3: 1 / .1 = 10
    assert build("calibration", "pu_score").cut(positives, pixels) == pytest.approx(0.35)


def test_nothing_marked_is_an_error(build, name):
    nothing = torch.zeros(LEVELS, dtype=torch.int64)
    if name == "none":
        assert build("calibration", name).cut(nothing, nothing) == 0.5
        return
    with pytest.raises(ValueError, match="mark no pixel"):
        build("calibration", name).cut(nothing, nothing + 1)


@pytest.mark.parametrize(
    ("kind", "arguments", "told"),
    [
        ("label_frequency", {"estimator": "e4"}, "estimator: 'e4'.*e1, e2, e3"),
        ("label_frequency", {"split": "test"}, "split: 'test'.*validation, train"),
        ("pu_score", {"frames": 0}, "frames: 0.*at least 1"),
    ],
)
def test_bad_arguments(kind, arguments, told):
    from cellab import components
    from cellab.errors import ConfigError

    with pytest.raises(ConfigError, match=told):
        components.build("calibration", kind, **arguments)


def test_objects_that_are_seldom_labelled_count_for_those_that_are_not(build):
    """Half of the cells are faint, and labelled a tenth as often: the plain score forgets them."""
    rng = np.random.default_rng(5)
    cell = rng.random(100_000) < 0.2
    propensity = np.where(rng.random(cell.size) < 0.5, 0.05, 0.5)
    output = np.clip(propensity * cell + 0.01 * rng.standard_normal(cell.size), 0, 1)
    labelled = cell & (rng.random(cell.size) < propensity)
    plain, weighted = build("calibration", "pu_score"), build("calibration", "propensity")
    weights = weighted.weights(torch.from_numpy(propensity[labelled])).numpy()
    levels = np.rint(output[labelled] * (LEVELS - 1)).astype(int)
    positives = torch.from_numpy(np.bincount(levels, weights, LEVELS))
    assert plain.cut(counts(output[labelled]), counts(output)) > 0.3
    assert 0.02 < weighted.cut(positives, counts(output)) < 0.05


def test_where_all_are_labelled_as_often_weights_change_nothing(build):
    weighted = build("calibration", "propensity")
    output, _, labelled = mixture(6, 0.3)
    positives, pixels = counts(output[labelled]), counts(output)
    weight = float(weighted.weights(torch.tensor([0.3])))
    assert weighted.cut(weight * positives, pixels) == build("calibration", "pu_score").cut(positives, pixels)
    assert float(weighted.weights(torch.tensor([0.0]))) == pytest.approx(1 / weighted.least_propensity), "bounded"
