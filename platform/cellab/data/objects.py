"""Finds the objects of masks: ids where there are some, else connected components; in 3-D where frames are related."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import ndimage

from cellab.data.dataset import Dataset
from cellab.data.progress import Progress

NEIGHBOURS = np.ones(
    (3, 3), int
)  # within a frame, pixels touch also at their corners; between frames they must overlap

Linking = Literal["overlap", "tracks", "none"]


@dataclass(frozen=True)
class Objects:
    """The objects of some frames.

    Args:
        count: how many there are.
        of_label: for each frame an array that gives the object (0 to count - 1) of each label; see `labels`. -1: none.
        pixels: (count,) of each object.
    """

    count: int
    of_label: dict[int, np.ndarray]
    pixels: np.ndarray


def labels(mask: np.ndarray, instances: bool) -> np.ndarray:
    """Numbers the parts of one mask from 1, (H, W) int32: its distinct ids in ascending order, or its components.

    Args:
        mask: (H, W), ids or 0 and 1.
        instances: whether it holds ids.
    """
    if not instances:
        components, _ = ndimage.label(mask, NEIGHBOURS)
        return np.asarray(components, np.int32)
    ids = np.unique(mask)
    ids = ids[ids > 0]
    return np.where(mask > 0, np.searchsorted(ids, mask) + 1, 0).astype(np.int32)


def find_objects(
    dataset: Dataset,
    indices: np.ndarray,
    truth: bool = False,
    progress: Progress | None = None,
    linking: Linking = "overlap",
) -> Objects:
    """Finds the objects of some frames, reading one frame at a time.

    In unrelated frames every part of a mask is an object. In related ones parts with the same id belong together, over
    frames without a mask and frames that are not among `indices` too; without ids, those of consecutive frames that
    overlap, and any other frame between them, or a change of size, ends all objects.

    Masks whose objects touch in 3-D overlap until all of them are one. They are better told apart frame by frame
    (linking `none`), or followed as tracks, each of at most one part a frame: without ids, of two consecutive frames
    those parts belong together that overlap each other more than any other.

    Args:
        dataset: the data set; its largest scale counts.
        indices: ascending frame numbers.
        truth: of the complete masks rather than the given ones.
        progress: called before each frame.
        linking: of the parts of consecutive frames that overlap: all, those of a track, or none.
    """
    parts = _Forest()
    first_part: dict[int, int] = {}  # by frame
    sizes: list[np.ndarray] = []
    known: dict[int, int] = {}  # the first part of an id
    before: np.ndarray | None = None
    for done, (index, mask) in enumerate(_masks(dataset, indices, truth)):
        if progress:
            progress("finding objects", done, len(indices))
        numbered = labels(mask, dataset.instances)
        sizes.append(np.bincount(numbered.ravel())[1:])
        first_part[index] = parts.add(len(sizes[-1]))
        if not dataset.related or linking == "none":
            continue
        if index - 1 not in first_part or (before is not None and before.shape != numbered.shape):
            before = None
        if dataset.instances:
            for i, label in enumerate(np.unique(mask[mask > 0]).tolist()):
                parts.join(known.setdefault(label, first_part[index] + i), first_part[index] + i)
        elif before is not None:
            for a, b in _overlapping(before, numbered, one_to_one=linking == "tracks").tolist():
                parts.join(first_part[index - 1] + a - 1, first_part[index] + b - 1)
        before = numbered
    return _collect(parts, first_part, sizes)


def _overlapping(before: np.ndarray, after: np.ndarray, one_to_one: bool) -> np.ndarray:
    """(P, 2) pairs of labels that overlap: all, or those of which each has its largest overlap with the other."""
    both = (before > 0) & (after > 0)
    pairs, pixels = np.unique(np.stack([before[both], after[both]], axis=1), axis=0, return_counts=True)
    if not one_to_one:
        return pairs
    pairs = pairs[np.argsort(-pixels, kind="stable")]
    (_, of_before), (_, of_after) = (np.unique(side, return_index=True) for side in pairs.T)
    return pairs[np.intersect1d(of_before, of_after)]


def count_objects(dataset: Dataset, indices: np.ndarray, truth: bool = False, progress: Progress | None = None) -> int:
    """How many objects there are; see `find_objects`."""
    return find_objects(dataset, indices, truth, progress).count


def _masks(dataset: Dataset, indices: np.ndarray, truth: bool) -> Iterator[tuple[int, np.ndarray]]:
    for index in indices.tolist():
        yield index, dataset.instances_of(dataset.scales[0], [index], truth=truth)[0]


def _collect(parts: "_Forest", first_part: dict[int, int], sizes: list[np.ndarray]) -> Objects:
    """Numbers the objects by their first parts."""
    _, objects = np.unique(parts.roots(), return_inverse=True)
    count = int(objects.max()) + 1 if len(objects) else 0
    of_label = {
        index: np.concatenate([[-1], objects[start : start + len(size)]]).astype(int)
        for (index, start), size in zip(first_part.items(), sizes, strict=True)
    }
    every_size = np.concatenate(sizes) if sizes else np.empty(0)
    return Objects(count, of_label, np.bincount(objects, every_size, count).astype(np.int64))


class _Forest:
    """Disjoint sets of parts; the root of each is its first part."""

    def __init__(self) -> None:
        self._parent: list[int] = []

    def add(self, count: int) -> int:
        """Adds parts of their own and gives the number of the first."""
        first = len(self._parent)
        self._parent.extend(range(first, first + count))
        return first

    def root(self, part: int) -> int:
        while self._parent[part] != part:
            self._parent[part] = self._parent[self._parent[part]]
            part = self._parent[part]
        return part

    def join(self, one: int, other: int) -> None:
        low, high = sorted((self.root(one), self.root(other)))
        self._parent[high] = low

    def roots(self) -> np.ndarray:
        return np.array([self.root(part) for part in range(len(self._parent))], dtype=np.int64)
