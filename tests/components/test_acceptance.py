"""Gates: the recurrence of the paper's running mean and its consequences."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from cellab_components.acceptance.agreement import Agreement
from cellab_components.acceptance.fixed import Fixed
from cellab_components.acceptance.quantile import Quantile
from cellab_components.acceptance.running_mean import RunningMean

entropies = st.lists(st.floats(0, 1e4), max_size=60)
inertias = st.floats(0, 0.999)


def ask(gate, values):
    """What a gate says of entropies where all parents see no cell."""
    return gate(values, torch.zeros(2, len(values), 1, 2, 2))


def test_contract(name, build):
    gate = build("acceptance", name)
    assert isinstance(gate.threshold, float)
    values = np.random.default_rng(0).gamma(2.0, scale=0.5, size=200).tolist()
    first = ask(gate, values[:100])
    assert len(first) == 100
    assert all(type(passed) is bool for passed in first)
    assert any(first)
    state = json.loads(json.dumps(gate.state_dict()))
    other = build("acceptance", name)
    other.load_state_dict(state)
    assert ask(other, values[100:]) == ask(gate, values[100:])
    assert other.state_dict() == gate.state_dict()
    assert other.threshold == gate.threshold
    assert ask(gate, []) == []


def test_an_empty_mask_always_passes(name, build):
    gate = build("acceptance", name)
    assert ask(gate, [0.0, 0.0]) == [True, True]
    ask(gate, [5.0, 2.0, 7.0])
    assert ask(gate, [0.0]) == [True]


@settings(max_examples=50, deadline=None)
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


@settings(max_examples=50, deadline=None)
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


@settings(max_examples=50, deadline=None)
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


@settings(max_examples=50, deadline=None)
@given(values=entropies, quantile=st.floats(0, 1), window=st.integers(1, 20))
def test_quantile_is_of_the_last_masks_before_this_one(values, quantile, window):
    gate = Quantile(quantile, window)
    for t, value in enumerate(values):
        last = values[max(0, t - window) : t]
        threshold = np.quantile(last, quantile) if last else 0.0
        assert gate.threshold == threshold
        assert ask(gate, [value]) == [value <= threshold]


@settings(max_examples=30, deadline=None)
@given(values=entropies, cut=st.integers(0, 60), window=st.integers(1, 20))
def test_quantile_goes_on_from_its_state_however_masks_are_batched(values, cut, window):
    whole, before, after = (Quantile(0.6, window) for _ in range(3))
    passed = ask(before, values[:cut])
    state = before.state_dict()
    kept = json.loads(json.dumps(state))
    ask(before, [1.0, 2.0])
    assert state == kept, "what the gate sees later must not change a state that was taken"
    ask(after, [9.0] * 30)
    after.load_state_dict(state)
    assert ask(whole, values) == passed + ask(after, values[cut:])


def test_quantile_lets_equal_entropies_pass_but_not_the_first():
    assert ask(Quantile(0.5, 8), [3.7] * 6) == [False] + [True] * 5


@pytest.mark.parametrize("quantile", [0.2, 0.6, 0.9])
def test_quantile_lets_its_share_pass_wherever_entropies_lie(build, quantile):
    values = np.random.default_rng(0).lognormal(mean=5, sigma=1.5, size=3000)
    gate = build("acceptance", "quantile", quantile=quantile)
    for shifted in (values, 100 * values):
        assert np.mean(ask(gate, shifted.tolist())[500:]) == pytest.approx(quantile, abs=0.04)


@settings(max_examples=30, deadline=None)
@given(values=entropies, threshold=st.floats(0, 1e4))
def test_fixed_never_moves_and_holds_crops_of_every_size_to_the_same(values, threshold):
    gate = Fixed(threshold)
    for side in (4, 8):
        votes = torch.rand(3, len(values), 1, side, side)
        assert gate(values, votes) == [value <= threshold * side**2 for value in values]
        assert gate.threshold == threshold * side**2
    assert gate.state_dict() == {}


def hard_votes(seed, members=3, count=4):
    return torch.rand(members, count, 1, 5, 5, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), members=st.integers(2, 5))
def test_agreement_is_the_mean_pairwise_dice(seed, members):
    votes = hard_votes(seed, members)
    made = Agreement(minimum=0.5, cutoff=0.6).agreement(votes)
    masks = (votes > 0.6).flatten(2).numpy()
    for b in range(4):
        pairs = [(masks[i, b], masks[j, b]) for i in range(members) for j in range(i)]
        expected = np.mean([f1_score(one, other, zero_division=1.0) for one, other in pairs])
        assert made[b].item() == pytest.approx(expected)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), minimum=st.floats(0, 1))
def test_agreement_knows_neither_entropies_nor_an_order_of_parents(seed, minimum):
    votes, gate = hard_votes(seed), Agreement(minimum, 0.5)
    passed = gate([0.0] * 4, votes)
    assert passed == [value >= minimum for value in gate.agreement(votes).tolist()]
    assert gate([1e9] * 4, votes) == passed
    assert gate([0.0] * 4, votes.flip(1)) == passed[::-1]
    torch.testing.assert_close(gate.agreement(votes.flip(0)), gate.agreement(votes))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_parents_who_say_the_same_agree_and_a_single_one_with_itself(seed):
    strict, one = Agreement(minimum=1.0, cutoff=0.5), hard_votes(seed, members=1)
    assert strict([1.0] * 4, one) == [True] * 4
    assert strict([1.0] * 4, one.expand(3, -1, -1, -1, -1)) == [True] * 4
    assert strict([1.0] * 4, torch.stack([one[0], 1 - one[0]])) == [False] * 4


def test_empty_masks_agree_with_each_other_and_with_nothing_else():
    empty, full = torch.zeros(1, 1, 1, 4, 4), torch.ones(1, 1, 1, 4, 4)
    agreement = Agreement(0.5, 0.5).agreement
    assert agreement(torch.cat([empty, empty])).tolist() == [1]
    assert agreement(torch.cat([empty, full])).tolist() == [0]
    assert agreement(torch.cat([empty, empty, full])).tolist() == pytest.approx([1 / 3])


def test_none_lets_everything_pass(build):
    gate = build("acceptance", "none")
    assert gate.threshold == float("inf")
    assert all(ask(gate, [0.0, 1e9, float("inf")]))
