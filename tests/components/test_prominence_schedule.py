"""Prominence schedules: thresholds for every generation."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellab_components.prominence_schedule.by_generation import ByGeneration
from cellab_components.prominence_schedule.constant import Constant
from cellab_components.prominence_schedule.linear import Linear

shares = st.floats(0, 1)


def test_contract(name, build):
    schedule = build("prominence_schedule", name)
    for generation in range(12):
        assert 0 <= schedule.labelled(generation) <= 1
    for generation in range(1, 12):
        assert 0 <= schedule.pseudo(generation) <= 1


@settings(max_examples=30, deadline=None)
@given(labelled=shares, thresholds=st.lists(shares, min_size=1, max_size=5), generation=st.integers(1, 12))
def test_the_list_starts_with_generation_one_and_its_last_holds_on(labelled, thresholds, generation):
    schedule = ByGeneration(labelled, thresholds, share=1.0)
    assert schedule.labelled(generation) == labelled
    assert schedule.pseudo(generation) == (thresholds + [thresholds[-1]] * 12)[generation - 1]


def test_defaults_start_lower_and_relax_to_zero_by_generation_three(build):
    schedule = build("prominence_schedule", "by_generation")
    thresholds = [schedule.labelled(0), *(schedule.pseudo(generation) for generation in (1, 2, 3))]
    assert thresholds == sorted(thresholds, reverse=True)
    assert thresholds[1] < thresholds[0]
    assert thresholds[3] == schedule.pseudo(9) == 0


def test_presets_end_where_they_stay(name, build):
    schedule = build("prominence_schedule", name)
    assert schedule.pseudo(50) == schedule.pseudo(51)
    assert schedule.labelled(50) == schedule.labelled(0)


@settings(max_examples=10, deadline=None)
@given(labelled=shares, pseudo_labels=shares, generation=st.integers(1, 12))
def test_constant_stays(labelled, pseudo_labels, generation):
    schedule = Constant(labelled, pseudo_labels, share=1.0)
    assert schedule.labelled(generation) == schedule.labelled(0) == labelled
    assert schedule.pseudo(generation) == pseudo_labels


@settings(max_examples=50, deadline=None)
@given(labelled=shares, start=shares, end=shares, generations=st.integers(2, 8))
def test_linear_goes_from_start_to_end_by_equal_steps(labelled, start, end, generations):
    schedule = Linear(labelled, start, end, generations, share=1.0)
    thresholds = [schedule.pseudo(generation) for generation in range(1, generations + 4)]
    assert thresholds[0] == start
    assert thresholds[generations - 1 :] == [end] * 4
    steps = [after - before for before, after in pairwise(thresholds[:generations])]
    assert steps == pytest.approx([(end - start) / (generations - 1)] * (generations - 1))
    assert min(start, end) <= min(thresholds)
    assert max(thresholds) <= max(start, end)
    assert schedule.labelled(generations) == labelled


def test_linear_by_hand(build):
    schedule = build("prominence_schedule", "linear", start=0.4, end=0.1, generations=4)
    assert [schedule.pseudo(generation) for generation in range(1, 6)] == pytest.approx([0.4, 0.3, 0.2, 0.1, 0.1])
