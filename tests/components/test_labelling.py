"""Labellings: what they ask of the engine."""

import pytest

from cellab import components
from cellab.errors import ConfigError


def test_contract(name, build):
    labelling = build("labelling", name)
    assert labelling.parts >= 0
    if labelling.parts:
        assert labelling.generated >= 1
        assert labelling.tries >= labelling.generated
        assert 0 <= labelling.least_yield <= 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [({"parts": 0}, "parts: 0.*at least 1"), ({"least_yield": 2}, r"least_yield: 2.*\[0, 1\]")],
)
def test_bad_arguments(arguments, told):
    with pytest.raises(ConfigError, match=told):
        components.build("labelling", "frames", **arguments)
