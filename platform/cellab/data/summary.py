"""Sums a data set up for people and machines."""

from typing import NotRequired, TypedDict

from cellab.data.dataset import SPLITS, Dataset
from cellab.data.objects import count_objects
from cellab.data.progress import Progress
from cellab.data.scaling import largest, sizes_in_words
from cellab.data.splitting import runs
from cellab.plain import PlainMapping


class SplitSummary(TypedDict):
    """What there is to know of a split; see `summarise`. The last three only where there is a truth."""

    frames: int
    annotated: int
    first: int | None
    last: int | None
    runs: list[list[int]]
    foreground: float | None
    objects: int
    foreground_truth: NotRequired[float | None]
    objects_truth: NotRequired[int]
    hidden: NotRequired[float | None]


class Summary(TypedDict):
    """What there is to know of a data set; see `summarise`."""

    path: str
    digest: str
    frames: int
    related: bool
    instances: bool
    has_truth: bool
    scales: dict[str, list[int]]
    sizes: dict[str, str]
    splits: dict[str, SplitSummary]
    provenance: PlainMapping


def summarise(dataset: Dataset, progress: Progress | None = None) -> Summary:
    """What there is to know about a data set, ready for JSON; reads every mask frame by frame.

    Args:
        dataset: the data set.
        progress: called before each frame, of each split.

    Returns:
        Shares are of pixels at the largest scale; ``hidden`` is the share of the truth's pixels that the given masks
        (all 0 where a frame has none) miss; ``scales`` maps each to height and width of the largest frame; ``objects``
        counts those of the given masks, ``objects_truth`` the truth's.
    """
    return {
        "path": str(dataset.path),
        "digest": dataset.digest,
        "frames": dataset.n_frames,
        "related": dataset.related,
        "instances": dataset.instances,
        "has_truth": dataset.has_truth,
        "scales": {f"{scale:g}": list(largest(dataset.sizes(scale))) for scale in dataset.scales},
        "sizes": {f"{scale:g}": sizes_in_words(dataset.sizes(scale)) for scale in dataset.scales},
        "splits": {name: _summarise_split(dataset, name, progress) for name in SPLITS},
        "provenance": dataset.provenance,
    }


def _summarise_split(dataset: Dataset, split: str, progress: Progress | None) -> SplitSummary:
    scale, indices = dataset.scales[0], dataset.indices(split)
    given, true, missed, pixels = 0, 0, 0, 0
    for done, index in enumerate(indices):
        if progress:
            progress(f"{split} masks", done, len(indices))
        (mask,) = dataset.masks(scale, [index])
        given += int(mask.sum())
        pixels += mask.size
        if dataset.has_truth:
            (truth,) = dataset.truth(scale, [index])
            true += int(truth.sum())
            missed += int((truth & ~mask & 1).sum())
    annotated = int(dataset.annotated[indices].sum())
    summary: SplitSummary = {
        "frames": len(indices),
        "annotated": annotated,
        "first": int(indices[0]) if len(indices) else None,
        "last": int(indices[-1]) if len(indices) else None,
        "runs": [[int(run[0]), int(run[-1])] for run in runs(indices)],
        "foreground": given / pixels if pixels else None,
        "objects": count_objects(dataset, indices, progress=progress),
    }
    if dataset.has_truth:
        summary["foreground_truth"] = true / pixels if pixels else None
        summary["objects_truth"] = count_objects(dataset, indices, truth=True, progress=progress)
        summary["hidden"] = missed / true if true else None
    return summary
