"""Prominence schedules: thresholds for every generation."""

from hypothesis import given
from hypothesis import strategies as st

from cellab_components.prominence_schedule import ByGeneration

shares = st.floats(0, 1)


def test_contract(name, build):
    schedule = build("prominence_schedule", name)
    for generation in range(12):
        assert 0 <= schedule.labelled(generation) <= 1
    for generation in range(1, 12):
        assert 0 <= schedule.pseudo(generation) <= 1


@given(labelled=shares, thresholds=st.lists(shares, min_size=1, max_size=5), generation=st.integers(1, 12))
def test_the_list_starts_with_generation_one_and_its_last_holds_on(labelled, thresholds, generation):
    schedule = ByGeneration(labelled, thresholds)
    assert schedule.labelled(generation) == labelled
    assert schedule.pseudo(generation) == (thresholds + [thresholds[-1]] * 12)[generation - 1]


def test_defaults_start_lower_and_relax_to_zero_by_generation_three(build):
    schedule = build("prominence_schedule", "by_generation")
    thresholds = [schedule.labelled(0), *(schedule.pseudo(generation) for generation in (1, 2, 3))]
    assert thresholds == sorted(thresholds, reverse=True)
    assert thresholds[1] < thresholds[0]
    assert thresholds[3] == schedule.pseudo(9) == 0
