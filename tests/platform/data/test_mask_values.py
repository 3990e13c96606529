"""What the numbers of masks mean, and what is said where they seem not to be meant."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from cellab.data.mask_values import MaskValues, interpreted

Draw = Callable[[int], np.ndarray]
ROWS, COLUMNS = np.mgrid[:80, :90]


def ids_of(seed: int, radius: tuple[float, float] = (5, 9), count: int = 6) -> np.ndarray:
    """Discs that do not touch, each with an id."""
    random = np.random.default_rng(seed)
    ids = np.zeros((80, 90), np.uint32)
    for _ in range(200):
        row, column, reach = random.uniform(10, 70), random.uniform(10, 80), random.uniform(*radius)
        disc = (ROWS - row) ** 2 + (COLUMNS - column) ** 2 < reach**2
        if ids.max() < count and not ids[ndimage.binary_dilation(disc, iterations=2)].any():
            ids[disc] = ids.max() + 1
    return ids


def white(seed: int) -> np.ndarray:
    return np.where(ids_of(seed) > 0, 255, 0).astype(np.uint8)


def jpeg(seed: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(white(seed)).save(file, "JPEG", quality=70)
    return np.asarray(Image.open(file)).astype(np.uint32)


def resized(seed: int) -> np.ndarray:
    return np.asarray(Image.fromarray(white(seed)).resize((171, 153), Image.Resampling.BILINEAR)).astype(np.uint32)


def blurred_16_bit(seed: int) -> np.ndarray:
    return np.round(ndimage.gaussian_filter(white(seed) / 255.0, 1.0) * 65535).astype(np.uint32)


def looked_at(draw: Draw, count: int = 6, asked: str = "auto") -> MaskValues:
    values = MaskValues(asked)
    for seed in range(count):
        values.add(draw(seed))
    return values


@pytest.mark.parametrize("draw", [jpeg, resized, blurred_16_bit])
def test_greys_of_jpeg_and_of_anti_aliasing_are_cut_at_half_and_told(draw: Draw) -> None:
    values = looked_at(draw)
    assert values.kind == "grey"
    assert values.tally.objects == 36
    cut = interpreted(draw(0), values.kind)
    wanted = np.asarray(Image.fromarray(white(0)).resize(cut.shape[::-1], Image.Resampling.NEAREST)) > 0
    assert set(np.unique(cut)) == {0, 1}
    assert 2 * (cut & wanted).sum() / (cut.sum() + wanted.sum()) > 0.95
    (notice,) = values.notices("masks")
    assert "grey values, as anti-aliasing and JPEG leave them" in notice
    assert "--mask-values=ids" in notice
    assert looked_at(draw, asked="ids").kind == "ids"


@pytest.mark.parametrize(
    "draw",
    [
        ids_of,
        lambda seed: ids_of(seed) * 40,
        lambda seed: np.where(ids_of(seed) > 0, ids_of(seed) + 249, 0),
        lambda seed: ids_of(seed, (1.2, 1.5), 60) * 4,
        lambda seed: ids_of(seed, (5, 9), 1) * (250 + seed),
        lambda seed: (
            np.random.default_rng(seed).permutation(256)[(ROWS // 5 * 18 + COLUMNS // 5) % 256].astype(np.uint32)
        ),
    ],
    ids=["few", "far apart", "up to 255", "small", "one a frame", "touching"],
)
def test_ids_stay_ids(draw: Draw) -> None:
    values = looked_at(draw)
    assert values.kind == "ids"
    np.testing.assert_array_equal(interpreted(draw(1), values.kind), draw(1))
    assert values.tally.objects == sum(len(np.unique(draw(seed)[draw(seed) > 0])) for seed in range(6))


def border(seed: int) -> np.ndarray:
    """Classes as Pascal VOC has them: 1 inside, and a border of 255 to be ignored."""
    inside = ids_of(seed) > 0
    return np.where(inside, np.where(ndimage.binary_erosion(inside), 1, 255), 0).astype(np.uint32)


def test_a_border_to_ignore_is_no_anti_aliasing() -> None:
    assert looked_at(border).kind == "ids"


def test_what_is_told_of_greys_is_what_is_kept() -> None:
    """Among greys some masks are 0 and 1, some hold nothing but JPEG's noise, and one has white of 16 bit."""

    def draw(seed: int) -> np.ndarray:
        if seed == 1:
            return (ids_of(seed) > 0).astype(np.uint32)
        if seed == 2:
            return np.random.default_rng(seed).integers(0, 4, (80, 90)).astype(np.uint32)
        if seed == 3:
            return np.ones((80, 90), np.uint32)
        return jpeg(seed) * (257 if seed == 4 else 1)

    values = looked_at(draw)
    assert values.kind == "grey"
    kept = [interpreted(draw(seed), "grey") for seed in range(6)]
    for seed in (0, 1, 4, 5):
        wanted = ids_of(seed) > 0
        assert 2 * (kept[seed] & wanted).sum() / (kept[seed].sum() + wanted.sum()) > 0.95
    assert not kept[2].any()
    assert not kept[3].any()
    assert values.tally.area == np.sum(kept)
    assert "2 of 6 are empty now" in "\n".join(values.notices("masks"))


@pytest.mark.parametrize("value", [1, 127, 255, 65535, 2**32 - 1])
def test_two_numbers_are_binary(value: int) -> None:
    values = looked_at(lambda seed: (ids_of(seed) > 0).astype(np.uint32) * value)
    assert (values.kind, values.tally.objects, list(values.notices("masks"))) == ("binary", 36, [])
    assert str(values).startswith("binary, 36 objects, ")
    area = np.mean([ids_of(seed) > 0 for seed in range(6)])
    assert f"{100 * area:.1f} % of the area" in str(values)


@pytest.mark.parametrize(
    ("draw", "told"),
    [
        (lambda seed: (ids_of(seed) == 0) * np.uint32(255), "more than half of the area is object, "),
        (lambda seed: np.full((80, 90), 255, np.uint32), "6 of 6 mark every pixel as object"),
        (lambda seed: ids_of(seed) + 1, "6 of 6 mark every pixel as object"),
        (lambda seed: np.where(ids_of(seed) == 2, 0, ids_of(seed) + 1), "one object holds nearly everything"),
        (lambda seed: (ids_of(seed, (1.1, 1.4), 30) > 0) * np.uint32(1), "180 of 180 objects have fewer than 9 pixels"),
        (lambda seed: np.where(ids_of(seed) > 0, 1 + ids_of(seed) % 3, 0), "3 ids for 36 separate parts"),
        (lambda seed: np.random.default_rng(seed).integers(40, 200, (80, 90)).astype(np.uint32), "from pixel to pixel"),
        (lambda seed: ids_of(0), "all 6 are the same"),
    ],
)
def test_what_is_implausible_is_told(draw: Draw, told: str) -> None:
    assert any(told in notice for notice in looked_at(draw).notices("masks")), list(looked_at(draw).notices("masks"))


def test_plausible_masks_are_not_commented() -> None:
    confluent = lambda seed: np.where(ids_of(seed) == 6, 0, 7 + ROWS // 8 * 12 + COLUMNS // 8).astype(np.uint32)  # noqa: E731
    for draw in (
        ids_of,
        confluent,
        lambda seed: (ids_of(seed) > 0) * np.uint32(255),
        lambda seed: ids_of(seed, (20, 24), 1),
    ):
        assert list(looked_at(draw).notices("masks")) == []


def test_ids_may_be_taken_for_binary() -> None:
    values = looked_at(ids_of, asked="binary")
    np.testing.assert_array_equal(interpreted(ids_of(3), values.kind), ids_of(3) > 0)
    assert values.tally.objects == 36
