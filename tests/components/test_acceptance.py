"""Gates: the recurrence of the paper's running mean and its consequences."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cellab_components.acceptance import RunningMean

entropies = st.lists(st.floats(0, 1e4), max_size=60)
inertias = st.floats(0, 0.999)


def ask(gate, values):
    """What a gate says of entropies where all parents see no cell."""
    return gate(values, torch.zeros(2, len(values), 1, 2, 2))


def test_contract(name, build):
    gate = build("acceptance", name)
    assert isinstance(gate.threshold, float)
    values = np.random.default_rng(0).gamma(2.0, size=200).tolist()
    first = ask(gate, values[:100])
    assert len(first) == 100
    assert all(type(passed) is bool for passed in first)
    assert any(first)
    state = json.loads(json.dumps(gate.state_dict()))
    other = build("acceptance", name)
    other.load_state_dict(state)
    assert other.threshold == gate.threshold
    assert ask(other, values[100:]) == ask(gate, values[100:])
    assert other.state_dict() == gate.state_dict()
    assert ask(gate, []) == []


def test_an_empty_mask_always_passes(name, build):
    gate = build("acceptance", name)
    assert ask(gate, [0.0, 0.0]) == [True, True]
    ask(gate, [5.0, 2.0, 7.0])
    assert ask(gate, [0.0]) == [True]


@given(values=entropies, inertia=inertias)
def test_running_mean_uses_the_masks_before_this_one(values, inertia):
    gate = RunningMean(inertia)
    for t, value in enumerate(values):
        # T_t unrolled: (1 - gamma) * sum over the masks before, each weighted by its age.
        threshold = (1 - inertia) * sum(inertia ** (t - 1 - i) * values[i] for i in range(t))
        assert gate.threshold == pytest.approx(threshold, rel=1e-9, abs=1e-9)
        (passed,) = ask(gate, [value])
        if abs(value - threshold) > 1e-6:
            assert passed == (value <= threshold)


@given(values=entropies, inertia=inertias, cut=st.integers(0, 60))
def test_running_mean_does_not_care_how_masks_are_batched(values, inertia, cut):
    whole, parts = RunningMean(inertia), RunningMean(inertia)
    assert ask(whole, values) == ask(parts, values[:cut]) + ask(parts, values[cut:])
    assert whole.threshold == parts.threshold


def test_running_mean_by_hand():
    gate = RunningMean(inertia=0.5)
    assert ask(gate, [4.0]) == [False]  # T_0 = 0
    assert gate.threshold == 2
    assert ask(gate, [2.0]) == [True]  # T_1 = 2, and equal is not above
    assert gate.threshold == 2
    assert ask(gate, [6.0]) == [False]
    assert gate.threshold == 4  # moved by a mask that was rejected


@given(value=st.floats(1e-3, 1e5), inertia=st.floats(0.51, 0.999))
def test_identical_entropies_above_zero_never_pass(value, inertia):
    assert not any(ask(RunningMean(inertia), [value] * 3000))


@pytest.mark.parametrize("seed", range(10))
def test_a_realistic_spread_passes_after_tens_of_masks_and_settles(build, seed):
    gate = build("acceptance", "running_mean")
    values = np.random.default_rng(seed).lognormal(mean=5, sigma=0.6, size=5000).tolist()
    passed = np.array(ask(gate, values))
    assert 10 <= np.flatnonzero(passed)[0] < 100
    assert 0.5 < passed[1000:].mean() < 0.7


def test_none_lets_everything_pass(build):
    gate = build("acceptance", "none")
    assert gate.threshold == float("inf")
    assert all(ask(gate, [0.0, 1e9, float("inf")]))
