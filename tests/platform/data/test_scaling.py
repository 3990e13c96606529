"""Scaling: area averages, majorities and ids, against hand computation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellab.data.scaling import (
    area_average,
    check_scales,
    scale_binary,
    scale_frame,
    scale_instances,
    scaled_size,
)
from cellab.errors import DataError


def test_whole_factors_are_means_of_blocks() -> None:
    image = np.random.default_rng(0).integers(0, 256, (12, 20)).astype(np.uint8)
    expected = image.reshape(3, 4, 5, 4).mean((1, 3))
    np.testing.assert_allclose(area_average(image, (3, 5)), expected, rtol=1e-6)
    np.testing.assert_array_equal(scale_frame(image, 0.25), np.round(expected))


def test_broken_factors_share_pixels_out() -> None:
    row = np.array([[0, 30, 60]], np.uint8)  # each of two pixels covers one and a half
    np.testing.assert_allclose(area_average(row, (1, 2)), [[(0 + 15) / 1.5, (15 + 60) / 1.5]])


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.05, 1), st.integers(0, 99))
def test_the_mean_stays(height: int, width: int, scale: float, seed: int) -> None:
    image = np.random.default_rng(seed).random((height, width))
    averaged = area_average(image, scaled_size(image.shape, scale))
    assert averaged.mean() == pytest.approx(image.mean(), rel=1e-4)
    assert averaged.min() >= image.min() - 1e-5


def test_binary_masks_keep_pixels_that_are_at_least_half_full() -> None:
    mask = np.array([[255, 0, 255, 0], [0, 255, 0, 0]], np.uint8)
    np.testing.assert_array_equal(scale_binary(mask, 0.5), [[1, 0]])


def test_ids_are_never_mixed() -> None:
    ids = np.zeros((30, 31), np.uint16)
    ids[:, 10:], ids[:, 20:] = 500, 900
    scaled = scale_instances(ids, 0.37)
    assert set(np.unique(scaled)) == {0, 500, 900}
    assert scaled.dtype == np.uint16
    assert scaled.shape == scaled_size(ids.shape, 0.37)


def test_scale_one_changes_nothing() -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7)).astype(np.uint8)
    np.testing.assert_array_equal(scale_frame(image, 1.0), image)
    np.testing.assert_array_equal(scale_instances(image, 1.0), image)


@pytest.mark.parametrize("scales", [(), (0.5, 0.5), (0.0,), (2.0, 1.0), (-1.0,)])
def test_impossible_scales(scales: tuple[float, ...]) -> None:
    with pytest.raises(DataError, match="give distinct numbers above 0 and at most 1"):
        check_scales(scales)
