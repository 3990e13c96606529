"""Looks at every picture once before anything is written: sizes, grey values, what masks hold, what seems not meant."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from cellab.data.grey_values import GreyValues
from cellab.data.images import Picture, read_image, read_mask
from cellab.data.mask_values import KINDS, Kind, MaskValues, interpreted
from cellab.data.progress import Progress
from cellab.data.scaling import Size, largest
from cellab.data.sources import Sources
from cellab.data.stored import TURNED
from cellab.data.stretching import Stretch
from cellab.errors import DataError

MOST_BEYOND = 0.1  # share of masks that two annotators' outlines may leave outside of the truth


@dataclass
class Survey:
    """What the first pass finds.

    Args:
        sizes: (N, 2) height and width of each image.
        values: their grey values.
        masks: what the given masks hold.
        truth: what the complete ones hold.
        annotated: (N,) bool.
        marks: (N,) bool, by what the numbers of masks may mean: whether a frame's mask has an object then.
        changes: to pictures to make them fit: of what, which, and of how many.
        repeated: names of images with the same pixels as an earlier one.
        turned_alone: names of masks of which only they or their images have an orientation tag.
        beyond: by whether masks hold greys, pixels of objects in masks, and of them those of the truth's background.
    """

    sizes: np.ndarray
    values: GreyValues
    masks: MaskValues
    truth: MaskValues
    annotated: np.ndarray
    marks: dict[Kind, np.ndarray]
    changes: Counter[tuple[str, str]] = field(default_factory=Counter)
    repeated: list[str] = field(default_factory=list)
    turned_alone: list[str] = field(default_factory=list)
    beyond: dict[bool, np.ndarray] = field(default_factory=lambda: {True: np.zeros(2), False: np.zeros(2)})

    def compare(self, given: np.ndarray, complete: np.ndarray) -> None:
        """Takes account of a mask (H, W) and of the truth that should hold all of it."""
        for are_greys in self.beyond:
            kind: Kind = "grey" if are_greys else "binary"
            marked, background = interpreted(given, kind) > 0, interpreted(complete, kind) == 0
            self.beyond[are_greys] += marked.sum(), (marked & background).sum()

    @property
    def largest(self) -> Size:
        """The height and the width that hold every frame."""
        return largest(self.sizes)

    @property
    def largest_id(self) -> int:
        """In any mask or truth."""
        return max(self.masks.largest, self.truth.largest)

    @property
    def marked(self) -> np.ndarray:
        """(N,) bool: whether a frame's mask has an object."""
        return self.marks[self.masks.kind]

    @property
    def instances(self) -> bool:
        """Whether ids are kept: masks have some, and so has truth, if there is any."""
        return self.masks.kind == "ids" and (self.truth.kind == "ids" or not self.truth.masks)

    def notices(self) -> Iterator[str]:
        """What was done, and what looks as if it were not meant."""
        for (what, change), count in self.changes.items():
            yield f"{count} {what}: {change}"
        count = len(self.sizes)
        if len(self.repeated) == count - 1 and count > 1:
            yield f"all {count} frames are the same picture"
        elif self.repeated:
            yield f"{len(self.repeated)} frames repeat the pixels of an earlier one, the first is {self.repeated[0]}"
        if self.turned_alone:
            yield (
                f"{len(self.turned_alone)} pairs of which only one has an orientation tag, the first is "
                f"{self.turned_alone[0]}: was the mask drawn over what was shown?"
            )
        yield from self.masks.notices("masks")
        marked, beyond = self.beyond["grey" in (self.masks.kind, self.truth.kind)]
        if beyond > MOST_BEYOND * marked:
            yield (
                f"{100 * beyond / marked:.0f} % of what the masks mark is not in the truth, which should be complete: "
                f"are they the wrong way round, or shifted?"
            )
        if self.truth.masks:
            yield from self.truth.notices("truth")
            if self.instances != (self.masks.kind == "ids") or self.instances != (self.truth.kind == "ids"):
                yield "ids were dropped, since only one of masks and truth has some"


def survey(sources: Sources, stretch: Stretch, mask_values: str, progress: Progress | None) -> Survey:
    """Reads everything once, so that all mistakes show before anything is written.

    Args:
        sources: the pictures of each frame.
        stretch: of grey values.
        mask_values: what the user says that masks hold.
        progress: called after each frame.

    Raises:
        DataError: a picture cannot be read, differs in type from the others, or a mask in size from its image.
    """
    first, _ = read_image(sources.images[0])
    count = len(sources.images)
    found = Survey(
        sizes=np.zeros((count, 2), np.int64),
        values=stretch.values(first.dtype),
        masks=MaskValues(mask_values),
        truth=MaskValues(mask_values),
        annotated=np.array([mask is not None for mask in sources.masks]),
        marks={kind: np.zeros(count, bool) for kind in KINDS},
    )
    seen: set[bytes] = set()
    for index, (image, mask, truth) in enumerate(zip(sources.images, sources.masks, sources.truth, strict=True)):
        turned = _look_at_image(found, index, image, sources.images[0], seen)
        given = None if mask is None else _mask(found, index, mask, image, turned)
        complete = None if truth is None else _mask(found, index, truth, image, turned)
        if given is not None:
            for kind, marks in found.masks.add(given).items():
                found.marks[kind][index] = marks
        if complete is not None:
            found.truth.add(complete)
        if given is not None and complete is not None:
            found.compare(given, complete)
        if progress:
            progress("looking at frames", index + 1, count)
    _settle(found.values, sources.images, progress)
    return found


def _look_at_image(found: Survey, index: int, image: Picture, first: Picture, seen: set[bytes]) -> bool:
    """Gives whether it was turned as its orientation tag says."""
    grey, changes = read_image(image)
    if grey.dtype != found.values.dtype:
        raise DataError(f"image {image} is {grey.dtype} and {first} {found.values.dtype}: save all in the same type.")
    found.sizes[index] = grey.shape
    found.changes.update(("images", change) for change in changes)
    found.values.add(grey)
    content = hashlib.sha256(repr(grey.shape).encode() + grey.tobytes()).digest()
    if content in seen:
        found.repeated.append(image.key)
    seen.add(content)
    return TURNED in changes


def _mask(found: Survey, index: int, mask: Picture, image: Picture, turned: bool) -> np.ndarray:
    """A mask as it is stored, seen to fit its image."""
    stored, changes = read_mask(mask)
    if stored.shape != tuple(found.sizes[index]):
        raise DataError(
            f"mask {mask} has {_by(stored.shape)} pixels and its image {image} {_by(found.sizes[index])}: they must "
            f"agree."
        )
    found.changes.update(("masks", change) for change in changes)
    if turned != (TURNED in changes):
        found.turned_alone.append(mask.key)
    return stored


def _by(size: tuple[int, ...] | np.ndarray) -> str:
    return " × ".join(map(str, size))


def _settle(values: GreyValues, images: list[Picture], progress: Progress | None) -> None:
    """Reads the images again where their numbers have so many bits that one pass does not settle the percentiles."""
    while values.needs_another_pass():
        for index, image in enumerate(images):
            values.add(read_image(image)[0])
            if progress:
                progress("looking at grey values", index + 1, len(images))
