"""Tells what the numbers of masks mean: two values, ids of objects, or the greys that anti-aliasing and JPEG leave."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from cellab.data.objects import labels
from cellab.errors import DataError

Kind = Literal["binary", "ids", "grey"]
KINDS: tuple[Kind, ...] = ("binary", "ids", "grey")

TINY = 9  # pixels: an object of fewer may be a speck
COHERENT = 0.5  # share of neighbours in objects with the same number; ids have about 1, greys nearly 0
DOMINANT = 0.8  # share of a mask's objects that one of them holds, which is then the background, or several in one
NEARLY_BLACK = 100  # of 255, the whitest number of a mask that JPEG's noise alone can reach
MID_GREYS = 3  # at least so many are between black and white where masks were binary once
EXTREME = 0.1  # share of the greys at either end that counts as black, or as white
LEAST_WHITE, LEAST_BLACK = 0.25, 0.5  # shares of the pixels above and below half of masks that were binary once
LEVELS = 65536
CLASSES = 10  # at most: more numbers than that are ids


def check_kind(kind: str) -> None:
    """Checks what a user says of masks.

    Raises:
        DataError: it is none of `KINDS`, nor ``"auto"``.
    """
    if kind not in (*KINDS, "auto"):
        raise DataError(f"mask values {kind!r}: give auto, binary (0 is background), ids, or grey (cut at half).")


def interpreted(numbers: np.ndarray, kind: Kind) -> np.ndarray:
    """A mask as it is kept.

    Args:
        numbers: (H, W) uint32, as stored.
        kind: what the numbers of all masks mean.

    Returns:
        (H, W) uint32: ids, or 0 and 1. Of greys what is above half of the mask's own white is 1; a mask of two numbers
        is binary, and one of several that are all nearly black is empty, but for JPEG's noise.
    """
    if kind == "ids":
        return numbers
    largest, smallest = int(numbers.max()), int(numbers.min())
    if kind == "binary" or (smallest == 0 and np.isin(numbers, (0, largest)).all()):
        return (numbers > 0).astype(np.uint32)
    return (numbers > (largest // 2 if largest > NEARLY_BLACK else largest)).astype(np.uint32)


@dataclass
class Tally:
    """The objects of masks, counted frame by frame.

    Args:
        objects: how many there are, those of each frame by themselves.
        tiny: of them with fewer than 9 pixels.
        area: pixels of objects.
        full: masks without background.
        dominated: masks of which one object holds nearly everything and more than half of the frame.
    """

    objects: int = 0
    tiny: int = 0
    area: int = 0
    full: int = 0
    dominated: int = 0

    def add(self, areas: np.ndarray, pixels: int) -> None:
        """Counts the objects of a mask of so many pixels by their areas (n,)."""
        largest, total = int(areas.max(initial=0)), int(areas.sum())
        self.objects += len(areas)
        self.tiny += int((areas < TINY).sum())
        self.area += total
        self.full += total == pixels
        self.dominated += largest > DOMINANT * total and 2 * largest > pixels


def _counted(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct numbers above 0, ascending, and how many pixels have each."""
    if int(numbers.max(initial=0)) < LEVELS:  # much faster than sorting
        counts = np.bincount(numbers.ravel())
        counts[0] = 0
        values = np.flatnonzero(counts)
        return values, counts[values]
    values, counts = np.unique(numbers[numbers > 0], return_counts=True)
    return values, counts


def _areas(mask: np.ndarray) -> np.ndarray:
    return np.bincount(labels(mask, instances=False).ravel())[1:]


@dataclass
class MaskValues:
    """What all masks hold together; fed one by one.

    Args:
        asked: what the user says that they hold; ``"auto"``: find out.
    """

    asked: str = "auto"
    masks: int = 0
    pixels: int = 0
    largest: int = 0
    emptied: int = 0  # masks that have numbers above 0, but no object if they are greys
    tallies: dict[str, Tally] = field(default_factory=lambda: {kind: Tally() for kind in KINDS})
    _most: int = 0  # distinct numbers above 0 in one mask
    _alone: set[int] = field(default_factory=set)  # while no mask has more than one: the numbers of all
    _histogram: np.ndarray = field(default_factory=lambda: np.zeros(LEVELS, np.int64))
    _neighbours: int = 0  # pairs in objects, less those with the most frequent number on both sides
    _same: int = 0  # of them with the same number on both sides
    _first: bytes | None = None
    _alike: bool = True

    def add(self, numbers: np.ndarray) -> dict[Kind, bool]:
        """Takes account of a mask (H, W) uint32, as stored.

        Returns:
            Whether it has an object, by what the numbers of all masks may turn out to mean.
        """
        values, counts = _counted(numbers)
        self.masks += 1
        self.pixels += numbers.size
        self._most = max(self._most, len(values))
        self._alone |= set(values[:1].tolist())
        self.largest = max(self.largest, int(values.max(initial=0)))
        small = values < LEVELS
        self._histogram[values[small]] += counts[small]
        is_binary = len(values) <= 1 and int(counts.sum()) < numbers.size
        grey = numbers if is_binary else interpreted(numbers, "grey")
        parts = _areas(numbers)
        self.tallies["ids"].add(counts, numbers.size)
        self.tallies["binary"].add(parts, numbers.size)
        self.tallies["grey"].add(parts if is_binary else _areas(grey), numbers.size)
        if len(values) > 1:
            self._compare_neighbours(numbers, int(values[counts.argmax()]))
        marks, marks_grey = len(values) > 0, bool(grey.any())
        self.emptied += marks and not marks_grey
        content = numbers.tobytes()
        self._first = content if self._first is None else self._first
        self._alike &= content == self._first
        return {"binary": marks, "ids": marks, "grey": marks_grey}

    def _compare_neighbours(self, numbers: np.ndarray, most_frequent: int) -> None:
        for one, other in ((numbers[1:], numbers[:-1]), (numbers[:, 1:], numbers[:, :-1])):
            inside = (one > 0) & (other > 0) & ((one != most_frequent) | (other != most_frequent))
            self._neighbours += int(inside.sum())
            self._same += int((inside & (one == other)).sum())

    @property
    def kind(self) -> Kind:
        """What the numbers mean."""
        if self.asked != "auto":
            return KINDS[KINDS.index(self.asked)]
        if self._most <= 1 and (len(self._alone) <= 1 or self._alone in ({1, 255}, {1, 65535})):
            return "binary"  # one number besides 0, which may be 1 in some masks and the type's largest in others
        return "grey" if not self._is_coherent and self._was_binary else "ids"

    @property
    def tally(self) -> Tally:
        """The objects, if the numbers mean what `kind` says."""
        return self.tallies[self.kind]

    @property
    def _is_coherent(self) -> bool:
        return self._same >= COHERENT * self._neighbours

    @property
    def _was_binary(self) -> bool:
        """Whether most of what is below half of the largest number is nearly black, and much of the rest white."""
        if not NEARLY_BLACK < self.largest < LEVELS:
            return False
        greys = self._histogram.copy()
        greys[0] = self.pixels - greys.sum()
        end = round(EXTREME * self.largest)
        if np.count_nonzero(greys[end + 1 : self.largest - end]) < MID_GREYS:
            return False
        half = self.largest // 2
        below, above = greys[: half + 1].sum(), greys[half + 1 :].sum()
        black, white = greys[: end + 1].sum(), greys[self.largest - end :].sum()
        return bool(black >= LEAST_BLACK * below and white >= LEAST_WHITE * above)

    @property
    def share(self) -> float:
        """Of the area that is object."""
        return self.tally.area / max(1, self.pixels)

    def __str__(self) -> str:
        names = {"binary": "binary", "ids": "ids", "grey": "greys cut at half"}
        return f"{names[self.kind]}, {self.tally.objects} objects, {100 * self.share:.1f} % of the area"

    def notices(self, what: str) -> Iterator[str]:
        """What looks as if it were not meant.

        Args:
            what: ``"masks"`` or ``"truth"``.
        """
        kind, tally = self.kind, self.tally
        if kind == "grey" and self.asked == "auto":
            yield (
                f"{what}: {np.count_nonzero(self._histogram)} grey values, as anti-aliasing and JPEG leave them; those "
                f"above half of a mask's largest were taken for objects (--mask-values=ids keeps all as ids)"
            )
        if kind == "grey" and self.emptied:
            yield f"{what}: {self.emptied} of {self.masks} are empty now: all their numbers are nearly black"
        if kind == "ids" and not self._is_coherent:
            yield f"{what}: the ids change from pixel to pixel: is this a mask, or an image?"
        if tally.full:
            yield (
                f"{what}: {tally.full} of {self.masks} mark every pixel as object: 0 is background; is it stored as "
                f"another number, or are the objects elsewhere, in the transparency (alpha) say?"
            )
        elif self.share > 0.5 and kind != "ids":
            yield f"{what}: more than half of the area is object, {100 * self.share:.0f} %: are they inverted?"
        if 2 * tally.dominated > self.masks and not tally.full:
            yield (
                f"{what}: in {tally.dominated} of {self.masks} one object holds nearly everything: "
                + ("is it the background? 0 is" if kind == "ids" else "objects that touch count as one")
            )
        if 2 * tally.tiny > tally.objects:
            yield f"{what}: {tally.tiny} of {tally.objects} objects have fewer than {TINY} pixels: are they specks?"
        yield from self._classes(what)
        if self._alike and self.masks > 1 and tally.objects:
            yield f"{what}: all {self.masks} are the same"

    def _classes(self, what: str) -> Iterator[str]:
        """Ids that name several objects each may be classes."""
        numbers, parts = int(np.count_nonzero(self._histogram)), self.tallies["binary"].objects
        if self.kind == "ids" and numbers <= CLASSES and parts > 1.25 * self.tally.objects:
            yield (
                f"{what}: {numbers} ids for {parts} separate parts: are they classes? --mask-values=binary takes all "
                f"of them for one"
            )
