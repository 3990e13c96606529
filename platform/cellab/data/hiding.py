"""Hides whole objects from the training masks in a known way; the complete masks become the truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from cellab.data.dataset import SPLITS, TRAIN, UNUSED, Dataset, check_training_masks
from cellab.data.hiding_plan import HALVES, Hiding, Plan, make_plan
from cellab.data.objects import labels
from cellab.data.progress import Progress
from cellab.data.reservation import Reservation
from cellab.data.scaling import area_average, largest
from cellab.data.writer import DatasetWriter
from cellab.plain import listed

ASKED_FOR = ("halves", "gaps", "stale", "stale_outlines")  # recorded where there are some

Masks = dict[float, np.ndarray]  # of one frame: scale to (H, W)


@dataclass(frozen=True)
class Hidden:
    """What was hidden.

    Args:
        hiding: what was asked.
        objects: how many objects were hidden.
        of_objects: how many the training masks held.
        pixels: how many pixels they had, at the largest scale.
        of_pixels: how many the training masks held.
        halves: with a bias, how many of the lower and of the upper half were hidden, and of how many.
        gaps: how many of the others lack their label for a run of frames.
        stale: how many of the others have an outline that persists for a run of frames.
        stale_outlines: how many outlines that makes in all frames.
        notices: what people should know besides.
    """

    hiding: Hiding
    objects: int
    of_objects: int
    pixels: int
    of_pixels: int
    halves: tuple[tuple[int, int], ...]
    gaps: int
    stale: int
    stale_outlines: int
    notices: tuple[str, ...]

    def in_words(self) -> str:
        """One sentence for people."""
        hiding = self.hiding
        kind = "objects in single frames" if hiding.within == "frames" else "objects"
        said = f"{self.objects} of {self.of_objects} {kind} of the training masks are hidden"
        if hiding.bias:
            parts = zip(HALVES[hiding.bias], self.halves, strict=True)
            said += f" ({', '.join(f'{count} of the {total} {name}' for name, (count, total) in parts)})"
        said += f", {self.pixels} of {self.of_pixels} pixels ({self.pixels / self.of_pixels:.1%})"
        if hiding.gaps:
            said += f"; {self.gaps} of the others have no label for a run of frames"
        if hiding.stale:
            said += f"; the outlines of {self.stale} are stale for a run of frames, {self.stale_outlines} in all"
        return f"{said}."


def hide(
    source: Path,
    target: Path,
    share: float | Sequence[float],
    seed: int,
    *,
    bias: str | None = None,
    within: str = "stack",
    gaps: float = 0.0,
    stale: float = 0.0,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Hidden:
    """Copies a data set without some of the objects of its training masks, at all scales alike.

    Truth that is there already stays; else the masks of `source` become the truth, and frames without a mask, of which
    the truth is not known, become unused. Reads and writes frame by frame.

    Labels can moreover lack for a run of frames, or be stale, as in a phantom (`cellab.data.label_faults`): where a
    stale outline overlaps others a right one wins, and of two stale ones the more stale. With `within` frames these are
    of tracks (`cellab.data.objects.find_objects`), since there are no 3-D objects then.

    Args:
        source: the data set.
        target: the file to be.
        share: of the objects to hide, 0 to 1; their number is rounded. With a bias two: of the lower half, below the
            median, and of the upper.
        seed: of the choice.
        bias: what annotators go by: ``"size"`` (pixels, of all frames together) or ``"contrast"``
            (`cellab.data.contrast`); None: nothing.
        within: whether an object is one over the frames of a ``"stack"``, or each part in each of the ``"frames"`` is.
        gaps: share of the objects left, of those in several frames, that lack their label for a run of training frames.
        stale: share of the objects left whose outline persists for a run of training frames.
        overwrite: whether a file that is there may be replaced.
        progress: called after each frame.

    Raises:
        DataError: bad arguments, nothing to hide, nothing left to learn from, or a file that cannot be read or written.
    """
    shares = tuple(share) if isinstance(share, Sequence) else (share,)
    hiding = Hiding(shares, seed, bias, within, gaps, stale)
    with Reservation(target, overwrite) as place, Dataset.open(source) as data:
        split, notices = known_frames(data)
        if hiding.within == "frames" and not data.related:
            notices.append("within frames changes nothing: the frames are unrelated")
        plan = make_plan(data, np.flatnonzero((split == TRAIN) & data.annotated), hiding, progress)
        hidden = _count(plan, hiding, notices)
        marked = np.zeros(data.n_frames, bool)
        for index in plan.objects.of_label:
            marked[index] = plan.kept(index).any() or any(shown.any() for shown in plan.stale(index).values())
        where = f"{source} with {hidden.objects} of {hidden.of_objects} objects hidden"
        check_training_masks(where, split, data.annotated, marked, True)
        _copy(data, place, split, plan, _provenance(data, hidden), progress)
    return hidden


def _count(plan: Plan, hiding: Hiding, notices: Sequence[str]) -> Hidden:
    return Hidden(
        hiding=hiding,
        objects=int(plan.is_hidden.sum()),
        of_objects=plan.objects.count,
        pixels=int(plan.objects.pixels[plan.is_hidden].sum()),
        of_pixels=int(plan.objects.pixels.sum()),
        halves=plan.halves if hiding.bias else (),
        **plan.counts(),
        notices=tuple(notices),
    )


def known_frames(data: Dataset) -> tuple[np.ndarray, list[str]]:
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
    plan: Plan,
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
            masks = left(data, index, given, plan) if index in plan.objects.of_label else given
            frames = {scale: data.frames(scale, [index])[0] for scale in data.scales}
            annotated = bool(data.annotated[index])
            writer.append(data.names[index], SPLITS[split[index]], frames, masks, truth, annotated=annotated)
            if progress:
                progress("hiding objects", index + 1, data.n_frames)


def left(data: Dataset, index: int, given: Masks, plan: Plan) -> Masks:
    """The masks of one frame: what it keeps, and around that what is stale, the earliest on top.

    Args:
        data: the data set.
        index: of the frame.
        given: its masks at some scales, the largest of the data set among them.
        plan: what is left.
    """
    kept = _only(given, plan.kept(index), data)
    for source, shown in plan.stale(index).items():
        earlier = {scale: data.instances_of(scale, [source])[0] for scale in given}
        stale = _only(earlier, shown, data)
        kept = {scale: np.where(mask == 0, stale[scale], mask) for scale, mask in kept.items()}
    return kept


def _only(given: Masks, kept: np.ndarray, data: Dataset) -> Masks:
    """The masks of one frame at some scales, with those labels of the largest alone that are kept."""
    largest = given[data.scales[0]]
    numbered = labels(largest, data.instances)
    inside = kept[numbered]
    outside = (numbered > 0) & ~inside
    if not outside.any():
        return given
    if data.instances:
        ids = np.unique(largest[outside])
        return {scale: np.where(np.isin(mask, ids), 0, mask).astype(mask.dtype) for scale, mask in given.items()}
    return {
        scale: np.where(area_average(inside, mask.shape) > area_average(outside, mask.shape), mask, 0).astype(
            mask.dtype
        )
        for scale, mask in given.items()
    }


def _provenance(data: Dataset, hidden: Hidden) -> dict[str, object]:
    counts = {field.name: getattr(hidden, field.name) for field in fields(Hidden)[1:]}
    counts = {name: count for name, count in counts.items() if count or name not in ASKED_FOR}
    step = {"made_by": "hide", "arguments": hidden.hiding.arguments(), "from_digest": data.digest, **counts}
    before = listed(data.provenance.get("history"))
    return {**data.provenance, "history": [*before, step]}
