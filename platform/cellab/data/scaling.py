"""Scales frames and masks down: frames by area averaging, binary masks by majority, ids by nearest neighbour."""

import functools
import itertools
from collections.abc import Sequence

import numpy as np
from scipy import sparse

from cellab.errors import DataError

Size = tuple[int, int]


def scaled_size(size: Size, scale: float) -> Size:
    """Height and width at a scale, rounded, at least one pixel."""
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def largest(sizes: np.ndarray) -> Size:
    """The height and the width that hold frames of all of the sizes (N, 2)."""
    height, width = sizes.max(axis=0).tolist()
    return height, width


def sizes_in_words(sizes: np.ndarray) -> str:
    """Sizes (N, 2) for people: ``"96 × 128"``, or from the smallest to the largest by area."""
    by_area = np.unique(sizes, axis=0)
    by_area = by_area[np.argsort(by_area.prod(axis=1), kind="stable")]
    ends = by_area[[0, -1]] if len(by_area) > 1 else by_area
    return " to ".join(f"{height} × {width}" for height, width in ends.tolist())


def check_scales(scales: Sequence[float]) -> None:
    """Checks the scales of a data set to be.

    Raises:
        DataError: there are none, one occurs twice, or one is not above 0 and at most 1.
    """
    if not scales or len({f"{scale:g}" for scale in scales}) < len(scales) or not all(0 < s <= 1 for s in scales):
        raise DataError(f"scales {list(scales)}: give distinct numbers above 0 and at most 1, e.g. 1.0,0.5.")


@functools.lru_cache(maxsize=32)
def _overlaps(source: int, target: int) -> "sparse.csr_array[np.float32, tuple[int, int]]":
    """(target, source) shares of each source pixel in each target pixel; rows sum to 1."""
    edges = np.arange(target + 1) * (source / target)
    rows: list[int] = []
    columns: list[int] = []
    shares: list[float] = []
    for row, (low, high) in enumerate(itertools.pairwise(edges.tolist())):
        covered = np.arange(int(low), min(source, int(np.ceil(high - 1e-9))))
        overlap = np.minimum(covered + 1, high) - np.maximum(covered, low)
        rows += [row] * len(covered)
        columns += covered.tolist()
        shares += (overlap / overlap.sum()).tolist()
    entries = np.array(shares, np.float32), (np.array(rows), np.array(columns))
    return sparse.csr_array(entries, shape=(target, source))


def area_average(image: np.ndarray, size: Size) -> np.ndarray:
    """The mean over the area that each target pixel covers.

    Args:
        image: (H, W), any real type.
        size: of the result, at most (H, W).

    Returns:
        (h, w) float32.
    """
    if image.shape == size:
        return image.astype(np.float32)
    narrow = _overlaps(image.shape[0], size[0]) @ image.astype(np.float32)
    averaged: np.ndarray = (_overlaps(image.shape[1], size[1]) @ narrow.T).T
    return averaged


def scale_frame(frame: np.ndarray, scale: float) -> np.ndarray:
    """A frame at a scale, (H, W) uint8 to (h, w) uint8."""
    return np.round(area_average(frame, scaled_size(frame.shape, scale))).astype(np.uint8)


def scale_binary(mask: np.ndarray, scale: float) -> np.ndarray:
    """A binary mask at a scale: 1 where at least half of the area is, (H, W) to (h, w) uint8."""
    return (area_average(mask > 0, scaled_size(mask.shape, scale)) >= 0.5 - 1e-6).astype(np.uint8)


def scale_instances(ids: np.ndarray, scale: float) -> np.ndarray:
    """Ids at a scale: of the source pixel under each target pixel's centre; type kept."""
    rows, columns = (
        ((np.arange(target) + 0.5) * source / target).astype(int)
        for source, target in zip(ids.shape, scaled_size(ids.shape, scale), strict=True)
    )
    return ids[np.ix_(rows, columns)]


def scale_mask(mask: np.ndarray, scale: float, instances: bool) -> np.ndarray:
    """A mask at a scale, as ids or as 0 and 1."""
    return scale_instances(mask, scale) if instances else scale_binary(mask, scale)
