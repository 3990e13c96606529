"""Data mixes: shares that add up in every generation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellab_components.data_mix import SOURCES, ByGeneration

triples = st.tuples(st.integers(0, 8), st.integers(0, 8), st.integers(0, 8)).filter(any)


def test_contract(name, build):
    mix = build("data_mix", name)
    for generation in range(12):
        shares = mix.shares(generation)
        assert tuple(shares) == SOURCES
        assert all(0 <= share <= 1 for share in shares.values())
        assert sum(shares.values()) == pytest.approx(1)
    assert mix.shares(0) == {"labelled": 1.0, "pseudo": 0.0, "generated": 0.0}


@given(rows=st.lists(triples, min_size=1, max_size=4), generation=st.integers(1, 9))
def test_lists_start_with_generation_one_and_their_last_hold_on(rows, generation):
    columns = [[row[n] / sum(row) for row in rows] for n in range(3)]
    found = ByGeneration(*columns).shares(generation)
    row = rows[min(generation, len(rows)) - 1]
    assert list(found.values()) == [part / sum(row) for part in row]


def test_lists_may_differ_in_length():
    mix = ByGeneration(labelled=[0.5, 0.0], pseudo=[0.25, 0.75], generated=[0.25])
    assert mix.shares(1) == {"labelled": 0.5, "pseudo": 0.25, "generated": 0.25}
    assert mix.shares(7) == {"labelled": 0.0, "pseudo": 0.75, "generated": 0.25}


def test_shares_are_not_shared():
    mix = ByGeneration([0.0], [0.75], [0.25])
    mix.shares(1)["pseudo"] = 9
    mix.shares(0)["labelled"] = 9
    assert mix.shares(1)["pseudo"] == 0.75
    assert mix.shares(0)["labelled"] == 1.0


def test_whole_numbers_are_the_same_shares():
    shares = ByGeneration([0], [1], [0]).shares(1)
    assert shares == {"labelled": 0.0, "pseudo": 1.0, "generated": 0.0}
    assert all(type(share) is float for share in shares.values())
