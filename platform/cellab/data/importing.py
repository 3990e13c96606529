"""Imports folders of images and masks: one pass to look at everything, one to write, a frame at a time."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cellab.data.dataset import SPLITS, check_training_masks
from cellab.data.images import Picture, find_pictures, read_image, read_mask
from cellab.data.matching import match
from cellab.data.progress import Progress
from cellab.data.reservation import Reservation, check_writable
from cellab.data.scaling import check_scales, scale_frame, scale_mask, scaled_size
from cellab.data.splitting import Splitting
from cellab.data.stretching import LEVELS, Limits, Stretch
from cellab.data.writer import DatasetWriter, smallest_type
from cellab.errors import DataError


@dataclass(frozen=True)
class Import:
    """What to import, and how.

    Args:
        images: a folder of PNG or TIFF, or one TIFF of many pages.
        masks: likewise; matched by name. Frames without one are not annotated.
        truth: likewise, complete: every frame needs one.
        related: whether the frames are consecutive; None: they are unless split at random.
        scales: to keep, relative to the images.
        splitting: into training, validation and test; None: blocks if related, else random.
        stretch: of grey values.
        source: where the images come from.
        licence: of the images.
    """

    images: Path
    masks: Path
    truth: Path | None = None
    related: bool = True
    scales: tuple[float, ...] = (1.0, 0.5)
    splitting: Splitting = field(default_factory=Splitting)
    stretch: Stretch = field(default_factory=Stretch)
    source: str = "unknown"
    licence: str = "unknown"

    def __post_init__(self) -> None:
        check_scales(self.scales)


@dataclass
class Survey:
    """What the first pass finds.

    Args:
        size: height and width of all images.
        histogram: (65536,) of their grey values.
        is_16_bit: whether they are 16-bit.
        notices: what was done to make them fit, and to how many frames.
        largest_id: in any mask or truth.
        instances: whether masks (and truth) hold ids rather than two values.
        annotated: (N,) bool.
        marked: (N,) bool: whether a frame's mask has a pixel that is not 0.
    """

    size: tuple[int, int]
    histogram: np.ndarray
    is_16_bit: bool
    notices: dict[str, int]
    largest_id: int
    instances: bool
    annotated: np.ndarray
    marked: np.ndarray


@dataclass(frozen=True)
class Sources:
    """The pictures of each frame.

    Args:
        images: one a frame.
        masks: one a frame or None.
        truth: one a frame, or None a frame where there is no truth at all.
    """

    images: list[Picture]
    masks: list[Picture | None]
    truth: list[Picture | None]


def import_folders(
    path: Path, settings: Import, *, overwrite: bool = False, progress: Progress | None = None
) -> dict[str, Any]:
    """Imports images and masks in constant memory.

    Args:
        path: the file to be.
        settings: what and how.
        overwrite: whether a file that is there may be replaced.
        progress: called after each frame of each pass.

    Returns:
        The data set's provenance, with notices for people.

    Raises:
        DataError: whatever is wrong with folders, images, masks, splits or the file to be.
    """
    check_writable(path, overwrite)
    sources = _find(settings)  # before there is a partial file, which may be in a folder of images
    with Reservation(path, overwrite) as place:
        return _import(place, sources, settings, progress)


def _import(place: Reservation, sources: Sources, settings: Import, progress: Progress | None) -> dict[str, Any]:
    survey = _look(sources, progress)
    split = settings.splitting.codes(survey.annotated | (settings.truth is not None))
    check_training_masks(str(settings.masks), split, survey.annotated, survey.marked, settings.truth is not None)
    limits = settings.stretch.limits(survey.histogram, survey.is_16_bit)
    provenance = _provenance(settings, survey, limits)
    with DatasetWriter(
        place,
        {scale: scaled_size(survey.size, scale) for scale in settings.scales},
        len(sources.images),
        mask_type=smallest_type(survey.largest_id if survey.instances else 1),
        has_truth=settings.truth is not None,
        instances=survey.instances,
        related=settings.related,
        provenance=provenance,
    ) as writer:
        for index, (image, mask, truth) in enumerate(zip(sources.images, sources.masks, sources.truth, strict=True)):
            frame = settings.stretch.apply(read_image(image)[0], limits)
            ids = read_mask(mask) if mask else np.zeros(survey.size, np.uint32)
            writer.append(
                image.key,
                SPLITS[split[index]],
                {scale: scale_frame(frame, scale) for scale in settings.scales},
                {scale: scale_mask(ids, scale, survey.instances) for scale in settings.scales},
                {scale: scale_mask(read_mask(truth), scale, survey.instances) for scale in settings.scales}
                if truth
                else None,
                annotated=mask is not None,
            )
            if progress:
                progress("writing frames", index + 1, len(sources.images))
    return provenance


def _find(settings: Import) -> Sources:
    """Finds the pictures and matches them by name."""
    images = find_pictures(settings.images, "images")
    found = find_pictures(settings.masks, "masks")
    _check_pages(settings, images, found)
    masks = match(images, found, "mask")
    if settings.truth is None:
        return Sources(images, masks, [None] * len(images))
    truth = match(images, find_pictures(settings.truth, "truth"), "truth")
    missing = [str(image) for image, picture in zip(images, truth, strict=True) if picture is None]
    if missing:
        raise DataError(
            f"{len(missing)} frames have no truth in {settings.truth}, the first is {missing[0]}: "
            "truth is complete or absent."
        )
    return Sources(images, masks, truth)


def _check_pages(settings: Import, images: list[Picture], masks: list[Picture]) -> None:
    """Pages have nothing but their numbers to match them by: a stack has as many masks as pages."""
    stacks = Counter(image.path for image in images if image.page is not None)
    for path, count in Counter(mask.path for mask in masks if mask.page is not None).items():
        for stack in stacks if settings.images.is_file() else [each for each in stacks if each.stem == path.stem]:
            if stacks[stack] != count:
                raise DataError(
                    f"{path} has {count} masks for the {stacks[stack]} pages of {stack}: give every page one, in the "
                    f"same order (all zeros where nothing is marked)."
                )


def _look(sources: Sources, progress: Progress | None) -> Survey:
    """Reads everything once: sizes, grey values, ids; so that all mistakes show before anything is written."""
    first, _ = read_image(sources.images[0])
    count = len(sources.images)
    survey = Survey(
        size=first.shape,
        histogram=np.zeros(LEVELS, np.int64),
        is_16_bit=first.dtype == np.uint16,
        notices={},
        largest_id=0,
        instances=False,
        annotated=np.array([mask is not None for mask in sources.masks]),
        marked=np.zeros(count, bool),
    )
    kinds = {"mask": _Kind(), "truth": _Kind()}
    for index, (image, mask, truth) in enumerate(zip(sources.images, sources.masks, sources.truth, strict=True)):
        _look_at_image(survey, image, sources.images[0])
        for picture, kind in zip((mask, truth), kinds.values(), strict=True):
            if picture is not None:
                ids = _look_at_mask(survey, picture, image)
                kind.add(ids)
                survey.marked[index] |= picture is mask and len(ids) > 0
                survey.largest_id = max([survey.largest_id, *ids[-1:].tolist()])
        if progress:
            progress("looking at frames", index + 1, count)
    given, true = (kind.instances for kind in kinds.values())
    survey.instances = given and (true or sources.truth[0] is None)
    if sources.truth[0] is not None and given != true:
        survey.notices["ids were dropped, since only one of mask and truth has some"] = count
    return survey


class _Kind:
    """Tells ids from binary masks by the values of all of them together."""

    def __init__(self) -> None:
        self._most = 0  # distinct values above 0 in one mask
        self._values: set[int] = set()  # while no mask has more than one: of all masks

    def add(self, ids: np.ndarray) -> None:
        self._most = max(self._most, len(ids))
        self._values |= set(ids[:1].tolist())

    @property
    def instances(self) -> bool:
        """Binary masks have one value besides 0; it may be 1 in some and the type's largest in others."""
        return self._most > 1 or (len(self._values) > 1 and self._values not in ({1, 255}, {1, 65535}))


def _look_at_image(survey: Survey, image: Picture, first: Picture) -> None:
    grey, notice = read_image(image)
    if grey.shape != survey.size:
        raise DataError(
            f"image {image} has {_by(grey.shape)} pixels and {first} {_by(survey.size)}: crop or pad all to one size."
        )
    if (grey.dtype == np.uint16) != survey.is_16_bit:
        raise DataError(f"image {image} is {grey.dtype} and {first} is not: save all with the same number of bits.")
    if notice:
        survey.notices[notice] = survey.notices.get(notice, 0) + 1
    survey.histogram += np.bincount(grey.ravel(), minlength=LEVELS)


def _look_at_mask(survey: Survey, mask: Picture, image: Picture) -> np.ndarray:
    """The distinct values of a mask above 0, ascending."""
    stored = read_mask(mask)
    if stored.shape != survey.size:
        raise DataError(
            f"mask {mask} has {_by(stored.shape)} pixels and its image {image} {_by(survey.size)}: they must agree."
        )
    ids = np.unique(stored)
    return ids[ids > 0]


def _by(size: tuple[int, ...]) -> str:
    return " × ".join(map(str, size))


def _provenance(settings: Import, survey: Survey, limits: Limits) -> dict[str, Any]:
    notices = [f"{count} frames: {notice}" for notice, count in survey.notices.items()]
    low, high = settings.stretch.percentiles
    if limits.reason and settings.stretch.each:
        notices.append(
            f"each image's grey values, percentiles {low:g} to {high:g} of its own, were stretched to 0 to 255 "
            f"({limits.reason})"
        )
    elif limits.reason:
        notices.append(f"grey values {limits.low:g} to {limits.high:g} were stretched to 0 to 255 ({limits.reason})")
    missing = int((~survey.annotated).sum())
    if missing:
        notices.append(f"{missing} of {len(survey.annotated)} frames have no mask: not annotated")
    if settings.related and settings.splitting.method == "random":
        notices.append("consecutive frames were split at random: neighbours in training and test are nearly the same")
    arguments = {name: str(each) if isinstance(each, Path) else each for name, each in asdict(settings).items()}
    return {
        "source": settings.source,
        "licence": settings.licence,
        "made_by": "import",
        "arguments": arguments,
        "stretch": {**asdict(limits), "each": settings.stretch.each} if limits.reason else None,
        "notices": notices,
        "history": [],
    }
