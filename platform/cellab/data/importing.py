"""Imports folders of images and masks: one pass to look at everything, one to write, a frame at a time."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from cellab.data.dataset import SPLITS, check_training_masks
from cellab.data.images import read_image, read_mask
from cellab.data.mask_values import check_kind, interpreted
from cellab.data.progress import Progress
from cellab.data.reservation import Reservation, check_writable
from cellab.data.scaling import check_scales, scale_frame, scale_mask, scaled_size, sizes_in_words
from cellab.data.sources import Sources, find_sources
from cellab.data.splitting import Splitting
from cellab.data.stretching import Limits, Stretch
from cellab.data.survey import Survey, survey
from cellab.data.writer import DatasetWriter, smallest_type


@dataclass(frozen=True)
class Import:
    """What to import, and how.

    Args:
        images: a folder of PNG or TIFF, or one TIFF of many pages.
        masks: likewise; paired by name. Frames without one are not annotated.
        truth: likewise, complete: every frame needs one.
        mask_suffix: what masks' names have after the images'; None: nothing, or a common word.
        truth_suffix: likewise, of truth.
        mask_values: what the numbers of masks and truth mean: one of `KINDS`, or ``"auto"``.
        related: whether the frames are consecutive.
        scales: to keep, relative to the images.
        splitting: into training, validation and test.
        stretch: of grey values.
        source: where the images come from.
        licence: of the images.
    """

    images: Path
    masks: Path
    truth: Path | None = None
    mask_suffix: str | None = None
    truth_suffix: str | None = None
    mask_values: str = "auto"
    related: bool = True
    scales: tuple[float, ...] = (1.0, 0.5)
    splitting: Splitting = field(default_factory=Splitting)
    stretch: Stretch = field(default_factory=Stretch)
    source: str = "unknown"
    licence: str = "unknown"

    def __post_init__(self) -> None:
        check_scales(self.scales)
        check_kind(self.mask_values)


@dataclass(frozen=True)
class Imported:
    """What became of an import.

    Args:
        notices: for people.
        understood: one line: frames, what was left out, what the masks hold.
    """

    notices: list[str]
    understood: str


def import_folders(
    path: Path, settings: Import, *, overwrite: bool = False, progress: Progress | None = None
) -> Imported:
    """Imports images and masks in constant memory.

    Args:
        path: the file to be.
        settings: what and how.
        overwrite: whether a file that is there may be replaced.
        progress: called after each frame of each pass.

    Raises:
        DataError: whatever is wrong with folders, images, masks, splits or the file to be.
    """
    check_writable(path, overwrite)
    sources = find_sources(  # before there is a partial file, which may be in a folder of images
        settings.images,
        settings.masks,
        settings.truth,
        mask_suffix=settings.mask_suffix,
        truth_suffix=settings.truth_suffix,
    )
    with Reservation(path, overwrite) as place:
        return _import(place, sources, settings, progress)


def _import(place: Reservation, sources: Sources, settings: Import, progress: Progress | None) -> Imported:
    found = survey(sources, settings.stretch, settings.mask_values, progress)
    split = settings.splitting.codes(found.annotated | (settings.truth is not None))
    check_training_masks(str(settings.masks), split, found.annotated, found.marked, settings.truth is not None)
    limits = settings.stretch.limits(found.values)
    imported = Imported(_notices(settings, sources, found, limits), understood(sources, found))
    with DatasetWriter(
        place,
        {scale: scaled_size(found.largest, scale) for scale in settings.scales},
        len(sources.images),
        mask_type=smallest_type(found.largest_id if found.instances else 1),
        has_truth=settings.truth is not None,
        instances=found.instances,
        related=settings.related,
        provenance=_provenance(settings, found, limits, imported),
    ) as writer:
        for index in range(len(sources.images)):
            _write(writer, index, SPLITS[split[index]], sources, found, settings, limits)
            if progress:
                progress("writing frames", index + 1, len(sources.images))
    return imported


def _write(
    writer: DatasetWriter,
    index: int,
    split: str,
    sources: Sources,
    found: Survey,
    settings: Import,
    limits: Limits,
) -> None:
    """Reads one frame again and writes it at every scale."""
    image, mask, truth = sources.images[index], sources.masks[index], sources.truth[index]
    frame = settings.stretch.apply(read_image(image)[0], limits)

    def pyramid(numbers: np.ndarray) -> dict[float, np.ndarray]:
        return {scale: scale_mask(numbers, scale, found.instances) for scale in settings.scales}

    given = interpreted(read_mask(mask)[0], found.masks.kind) if mask else np.zeros(frame.shape, np.uint32)
    writer.append(
        image.key,
        split,
        {scale: scale_frame(frame, scale) for scale in settings.scales},
        pyramid(given),
        pyramid(interpreted(read_mask(truth)[0], found.truth.kind)) if truth else None,
        annotated=mask is not None,
    )


def understood(sources: Sources, found: Survey) -> str:
    """One line: ``12 frames 96 × 96, 3 files left out; masks: ids, 74 objects, 19.5 % of the area``."""
    parts = [f"{len(sources.images)} frames {sizes_in_words(found.sizes)}"]
    if sources.left_out:
        parts.append(f"{sources.left_out} files left out")
    without = int((~found.annotated).sum())
    masks = f"masks: {found.masks}" + (f" ({without} of {len(sources.images)} frames have none)" if without else "")
    truth = f"; truth: {found.truth}" if found.truth.masks else ""
    return f"{', '.join(parts)}; {masks}{truth}"


def _notices(settings: Import, sources: Sources, found: Survey, limits: Limits) -> list[str]:
    notices = [*sources.notices, *found.notices()]
    low, high = settings.stretch.percentiles
    if limits.reason and settings.stretch.each:
        notices.append(
            f"each image's grey values, percentiles {low:g} to {high:g} of its own, were stretched to 0 to 255 "
            f"({limits.reason})"
        )
    elif limits.reason:
        notices.append(
            f"grey values {limits.low:.9g} to {limits.high:.9g} were stretched to 0 to 255 ({limits.reason})"
        )
    missing = int((~found.annotated).sum())
    if missing:
        notices.append(f"{missing} of {len(found.annotated)} frames have no mask: not annotated")
    if settings.related and settings.splitting.method == "random":
        notices.append("consecutive frames were split at random: neighbours in training and test are nearly the same")
    return notices


def _provenance(settings: Import, found: Survey, limits: Limits, imported: Imported) -> dict[str, object]:
    arguments = {name: str(each) if isinstance(each, Path) else each for name, each in asdict(settings).items()}
    return {
        "source": settings.source,
        "licence": settings.licence,
        "made_by": "import",
        "arguments": arguments,
        "stretch": {**asdict(limits), "each": settings.stretch.each, "dtype": str(found.values.dtype)}
        if limits.reason
        else None,
        "understood": imported.understood,
        "notices": imported.notices,
        "history": [],
    }
