"""Stretching: when grey values are left alone, and where they go when not."""

import numpy as np
import pytest

from cellab.data.grey_values import GreyValues
from cellab.data.stretching import Limits, Stretch
from cellab.errors import DataError


def limits_of(stretch: Stretch, values: np.ndarray, dtype: type[np.number]) -> Limits:
    return stretch.limits(GreyValues.of(values.astype(dtype), (*stretch.percentiles, 50)))


FULL = np.arange(256)
FLAT = np.arange(100, 140)
DARK = np.concatenate([np.full(900, 8), np.arange(256)])


@pytest.mark.parametrize(
    ("values", "dtype", "reason"),
    [
        (FULL, np.uint8, None),
        (FLAT, np.uint8, "narrow range"),
        (DARK, np.uint8, "dark background"),
        (FULL, np.uint16, "16 bit"),
        (FULL, np.int8, "signed 8 bit"),
        (FULL, np.int16, "signed 16 bit"),
        (FULL, np.uint32, "32 bit"),
        (FULL, np.float16, "16-bit float"),
        (FULL, np.float64, "64-bit float"),
    ],
)
def test_auto(values: np.ndarray, dtype: type[np.number], reason: str | None) -> None:
    assert limits_of(Stretch(), values, dtype).reason == reason


def test_16_bit_unstretched_is_divided() -> None:
    limits = limits_of(Stretch("none"), FULL, np.uint16)
    np.testing.assert_array_equal(limits.apply(np.array([[0, 257, 65535]], np.uint16)), [[0, 1, 255]])


def test_a_constant_image_does_not_divide_by_zero() -> None:
    limits = limits_of(Stretch("auto"), np.full(9, 77), np.uint8)
    assert limits.apply(np.full((2, 2), 77, np.uint8)).max() == 0


def test_values_outside_are_clipped() -> None:
    limits = Limits(100, 200, "as asked")
    np.testing.assert_array_equal(limits.apply(np.array([[0, 100, 150, 200, 255]], np.uint8)), [[0, 0, 128, 255, 255]])


def test_percentiles_are_those_of_numpy() -> None:
    values = np.random.default_rng(0).integers(0, 60000, 10001)
    limits = limits_of(Stretch.parse("2,97"), values, np.uint16)
    assert [limits.low, limits.high] == [
        pytest.approx(np.percentile(values, p, method="inverted_cdf")) for p in (2, 97)
    ]
    assert limits.reason == "as asked"


@pytest.mark.parametrize("text", ["always", "1", "1,2,3", "99,1", "-1,50", "a,b"])
def test_nonsense(text: str) -> None:
    with pytest.raises(DataError, match="stretch"):
        Stretch.parse(text)


def test_each_image_by_its_own_percentiles() -> None:
    stretch = Stretch(percentiles=(0, 100), each=True)
    bright, dim = np.array([[10, 110, 210]], np.uint8), np.array([[5, 25, 45]], np.uint8)
    limits = limits_of(stretch, np.concatenate([bright, dim, DARK[None, :900]], axis=1), np.uint8)
    for image in (bright, dim):
        np.testing.assert_array_equal(stretch.apply(image, limits), [[0, 128, 255]])
    assert Stretch(percentiles=(0, 100)).apply(dim, limits).max() == round((45 - 5) * 255 / (210 - 5))


def test_an_empty_image_among_others_stays_dark() -> None:
    stretch = Stretch("always", percentiles=(0, 100), each=True)
    limits = limits_of(stretch, FULL, np.uint8)
    noise = np.array([[7, 8, 7, 9]], np.uint8)
    assert stretch.apply(noise, limits).max() == round(2 * 255 / (0.05 * 255))


def test_images_that_need_no_stretching_are_left_alone_one_by_one_too() -> None:
    stretch = Stretch(each=True)
    limits = limits_of(stretch, FULL, np.uint8)
    np.testing.assert_array_equal(stretch.apply(FLAT.astype(np.uint8)[None], limits), FLAT[None])


@pytest.mark.parametrize("dtype", [np.int16, np.uint32, np.float32, np.float64])
@pytest.mark.parametrize("each", [False, True])
def test_numbers_of_any_type_are_stretched_alike(dtype: type[np.number], each: bool) -> None:
    stretch = Stretch("always", percentiles=(0, 100), each=each)
    image = np.array([[100, 110, 130, 180, 200]], dtype)
    expected = np.round((image.astype(float) - 100) * 2.55)
    np.testing.assert_array_equal(stretch.apply(image, limits_of(stretch, image, dtype)), expected)


def test_a_small_range_of_fractions_fills_the_grey_values() -> None:
    stretch = Stretch(percentiles=(0, 100), each=True)
    image = np.linspace(0.2, 0.3, 256, dtype=np.float32)[None]
    limits = limits_of(stretch, image, np.float32)
    assert (limits.low, limits.high) == (np.float32(0.2), np.float32(0.3))
    np.testing.assert_array_equal(stretch.apply(image, limits), np.arange(256)[None])


def test_a_large_offset_leaves_the_grey_values_apart() -> None:
    image = np.arange(4_000_000_000, 4_000_000_256, dtype=np.uint32)[None]
    stretch = Stretch(percentiles=(0, 100))
    np.testing.assert_array_equal(stretch.apply(image, limits_of(stretch, image, np.uint32)), np.arange(256)[None])


@pytest.mark.parametrize("value", [0.0, 0.7, -3e4, 1e30])
@pytest.mark.parametrize("each", [False, True])
def test_constant_numbers_do_not_divide_by_zero(value: float, each: bool) -> None:
    stretch = Stretch(each=each)
    image = np.full((3, 4), value, np.float64)
    assert not stretch.apply(image, limits_of(stretch, image, np.float64)).any()


@pytest.mark.parametrize("dtype", ["int16", "uint32", "float16", "float64"])
def test_none_needs_a_black_and_a_white(dtype: str) -> None:
    with pytest.raises(DataError, match=rf"stretch none: images of {dtype} values must be stretched, .* give auto, or"):
        Stretch("none").values(np.dtype(dtype))
    assert Stretch("none").values(np.dtype("uint16")).dtype == np.uint16
