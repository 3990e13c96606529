"""Percentiles of numbers of any type are those of all pixels sorted, found in constant memory."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cellab.data.grey_values import GreyValues

PERCENTILES = (0.0, 1.0, 50.0, 99.8, 100.0)
TYPES = ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"]


def found(images: list[np.ndarray]) -> tuple[list[float], int]:
    """The percentiles, and how many passes they took."""
    values = GreyValues(PERCENTILES, images[0].dtype)
    passes = 0
    while True:
        for image in images:
            values.add(image)
        passes += 1
        if not values.needs_another_pass():
            return [values.percentile(percentile) for percentile in PERCENTILES], passes


@pytest.mark.parametrize("kind", TYPES)
@settings(max_examples=30)
@given(data=st.data())
def test_they_are_the_values_at_those_ranks(kind: str, data: st.DataObject) -> None:
    finite = {"allow_nan": False, "allow_infinity": False} if kind[0] == "f" else {}
    shape = st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 6))
    stack = data.draw(hnp.arrays(kind, shape, elements=hnp.from_dtype(np.dtype(kind), **finite)))
    ranks = [max(1, int(np.ceil(stack.size * percentile / 100 - 1e-9))) for percentile in PERCENTILES]
    percentiles, passes = found(list(stack))
    np.testing.assert_array_equal(percentiles, np.sort(stack, axis=None)[np.array(ranks) - 1].astype(float))
    assert passes == max(1, stack.itemsize // 2)


@pytest.mark.parametrize("kind", ["u4", "i4", "f4", "f8"])
def test_hot_pixels_and_offsets_do_no_harm(kind: str) -> None:
    images = [np.random.default_rng(seed).integers(100, 200, (50, 60)).astype(kind) for seed in range(3)]
    offset = 2**24 - 1000 if kind == "f4" else 2**30
    images = [image + np.array(offset, kind) for image in images]
    images[1][4, 5] = 2 * 10**9
    percentiles, _ = found(images)
    assert percentiles[1] - offset in (100, 101)
    assert percentiles[3] - offset in (198, 199)
    assert percentiles[4] == 2 * 10**9


def test_of_one_image() -> None:
    image = np.arange(1000, dtype=np.float64).reshape(10, 100) / 8
    values = GreyValues.of(image, (2.0, 98.0))
    assert [values.percentile(2.0), values.percentile(98.0)] == [19 / 8, 979 / 8]
