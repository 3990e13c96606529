"""Hides whole objects from the training masks in a known way; the complete masks become the truth."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cellab.data.dataset import SPLITS, TRAIN, UNUSED, Dataset, check_training_masks
from cellab.data.objects import Objects, find_objects, labels
from cellab.data.progress import Progress
from cellab.data.reservation import Reservation
from cellab.data.scaling import area_average, largest
from cellab.data.writer import DatasetWriter
from cellab.errors import DataError
from cellab.plain import listed


@dataclass(frozen=True)
class Hidden:
    """What was hidden.

    Args:
        objects: how many objects were hidden.
        of_objects: how many the training masks held.
        pixels: how many pixels were hidden, at the largest scale.
        of_pixels: how many the training masks held.
        notices: what people should know besides.
    """

    objects: int
    of_objects: int
    pixels: int
    of_pixels: int
    notices: tuple[str, ...]


def hide(
    source: Path,
    target: Path,
    share: float,
    seed: int,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Hidden:
    """Copies a data set without some of the objects of its training masks, at all scales alike.

    Truth that is there already stays; else the masks of `source` become the truth, and frames without a mask, of which
    the truth is not known, become unused. Reads and writes frame by frame.

    Args:
        source: the data set.
        target: the file to be.
        share: of the objects to hide, 0 to 1; their number is rounded.
        seed: of the choice.
        overwrite: whether a file that is there may be replaced.
        progress: called after each frame.

    Raises:
        DataError: bad arguments, nothing to hide, nothing left to learn from, or a file that cannot be read or written.
    """
    if not 0 <= share <= 1:
        raise DataError(f"objects {share}: give the share to hide, from 0 to 1, e.g. 0.5.")
    with Reservation(target, overwrite) as place, Dataset.open(source) as data:
        split, notices = _known_frames(data)
        training = np.flatnonzero((split == TRAIN) & data.annotated)
        objects = find_objects(data, training, progress=progress)
        if not objects.count:
            raise DataError(f"{source}: the training masks hold no object to hide.")
        chosen = np.random.default_rng(seed).permutation(objects.count)[: round(share * objects.count)]
        if share > 0 and not len(chosen):
            raise DataError(f"objects {share}: of {objects.count} objects that is none: give {1 / objects.count:.2g}.")
        is_hidden = np.isin(np.arange(objects.count), chosen)
        marked = np.zeros(data.n_frames, bool)
        for index, of_label in objects.of_label.items():
            marked[index] = (~is_hidden[of_label[1:]]).any()
        check_training_masks(
            f"{source} with {len(chosen)} of {objects.count} objects hidden", split, data.annotated, marked, True
        )
        hidden = Hidden(
            objects=len(chosen),
            of_objects=objects.count,
            pixels=int(objects.pixels[chosen].sum()),
            of_pixels=int(objects.pixels.sum()),
            notices=tuple(notices),
        )
        provenance = _provenance(data, share, seed, hidden)
        _copy(data, place, split, objects, is_hidden, provenance, progress)
    return hidden


def _known_frames(data: Dataset) -> tuple[np.ndarray, list[str]]:
    """The splits, with frames of which the truth is not known set aside."""
    split = data.split.copy()
    if data.has_truth:
        return split, []
    unknown = ~data.annotated & (split != UNUSED)
    split[unknown] = UNUSED
    if not unknown.any():
        return split, []
    return split, [f"{unknown.sum()} frames without a mask became unused: their truth is not known"]


def _copy(
    data: Dataset,
    place: Reservation,
    split: np.ndarray,
    objects: Objects,
    is_hidden: np.ndarray,
    provenance: Mapping[str, object],
    progress: Progress | None,
) -> None:
    with DatasetWriter(
        place,
        {scale: largest(data.sizes(scale)) for scale in data.scales},
        data.n_frames,
        mask_type=data.mask_type,
        has_truth=True,
        instances=data.instances,
        related=data.related,
        provenance=provenance,
    ) as writer:
        for index in range(data.n_frames):
            given = {scale: data.instances_of(scale, [index])[0] for scale in data.scales}
            truth = {scale: data.instances_of(scale, [index], truth=data.has_truth)[0] for scale in data.scales}
            masks = given
            if index in objects.of_label:
                masks = _without(given, is_hidden, objects.of_label[index], data)
            frames = {scale: data.frames(scale, [index])[0] for scale in data.scales}
            annotated = bool(data.annotated[index])
            writer.append(data.names[index], SPLITS[split[index]], frames, masks, truth, annotated=annotated)
            if progress:
                progress("hiding objects", index + 1, data.n_frames)


def _without(
    given: dict[float, np.ndarray], is_hidden: np.ndarray, of_label: np.ndarray, data: Dataset
) -> dict[float, np.ndarray]:
    """The masks of one frame at every scale, without the hidden objects."""
    largest = given[data.scales[0]]
    numbered = labels(largest, data.instances)
    hidden = np.append(is_hidden, False)[of_label][numbered]  # the -1 of the background finds the False
    if not hidden.any():
        return given
    if data.instances:
        ids = np.unique(largest[hidden])
        return {scale: np.where(np.isin(mask, ids), 0, mask).astype(mask.dtype) for scale, mask in given.items()}
    kept = (numbered > 0) & ~hidden
    return {
        scale: np.where(area_average(kept, mask.shape) > area_average(hidden, mask.shape), mask, 0).astype(mask.dtype)
        for scale, mask in given.items()
    }


def _provenance(data: Dataset, share: float, seed: int, hidden: Hidden) -> dict[str, object]:
    step = {
        "made_by": "hide",
        "arguments": {"objects": share, "seed": seed},
        "from_digest": data.digest,
        "objects": hidden.objects,
        "of_objects": hidden.of_objects,
        "pixels": hidden.pixels,
        "of_pixels": hidden.of_pixels,
        "notices": list(hidden.notices),
    }
    before = listed(data.provenance.get("history"))
    return {**data.provenance, "history": [*before, step]}
