"""Synthesises a data set: sections through 3-D cells that look like electron microscopy, with label faults."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from cellab.data.dataset import SPLITS, check_training_masks
from cellab.data.label_faults import FaultRates, LabelFaults, draw_faults
from cellab.data.phantom import Anatomy
from cellab.data.progress import Progress
from cellab.data.reservation import Reservation
from cellab.data.scaling import check_scales, scale_frame, scale_instances, scaled_size
from cellab.data.splitting import Splitting
from cellab.data.staining import Optics, Tissue
from cellab.data.writer import DatasetWriter, smallest_type
from cellab.errors import DataError


@dataclass(frozen=True)
class Phantom:
    """A phantom data set; its arguments fix every byte of it.

    Args:
        n_frames: how many sections.
        size: height and width, pixels.
        seed: of everything random.
        scales: to keep.
        splitting: into contiguous blocks.
        anatomy: what the tissue holds.
        optics: how it is seen.
        faults: how often labels are wrong.

    Raises:
        DataError: a number that makes no data set.
    """

    n_frames: int = 64
    size: int = 256
    seed: int = 0
    scales: tuple[float, ...] = (1.0, 0.5)
    splitting: Splitting = field(default_factory=Splitting)
    anatomy: Anatomy = field(default_factory=Anatomy)
    optics: Optics = field(default_factory=Optics)
    faults: FaultRates = field(default_factory=FaultRates)

    def __post_init__(self) -> None:
        check_scales(self.scales)
        for name, value, lowest, why in (
            ("size", self.size, 32, " pixels, so that a cell fits"),
            ("frames", self.n_frames, 3, ", for training, validation and test"),
            ("seed", self.seed, 0, ""),
        ):
            if not isinstance(value, int) or value < lowest:
                raise DataError(f"{name} {value}: give a whole number, at least {lowest}{why}.")


def synthesise(
    path: Path, phantom: Phantom, *, overwrite: bool = False, progress: Progress | None = None
) -> dict[str, dict[str, int]]:
    """Writes a phantom with complete truth.

    Args:
        path: the file to be.
        phantom: what to draw.
        overwrite: whether a file that is there may be replaced.
        progress: called after each frame.

    Returns:
        For each split, how many cells and frames have which fault of labelling.

    Raises:
        DataError: too few frames to split, no labelled cell in training, or a file that cannot be written.
    """
    with Reservation(path, overwrite) as place:
        return _synthesise(place, phantom, progress)


def _synthesise(place: Reservation, phantom: Phantom, progress: Progress | None) -> dict[str, dict[str, int]]:
    split = phantom.splitting.codes(np.ones(phantom.n_frames, bool))
    tissue = Tissue(phantom.seed, phantom.n_frames, phantom.size, phantom.anatomy, phantom.optics)
    present = _presence(tissue, progress)
    faults = draw_faults(np.random.default_rng([phantom.seed, 2]), present, split, phantom.faults)
    is_labelled = np.take_along_axis(present & ~faults.unlabelled, faults.shown, axis=0)
    check_training_masks(str(place.path), split, faults.annotated, np.asarray(is_labelled.any(axis=1)))
    provenance = _provenance(phantom, faults)
    earlier = lru_cache(phantom.faults.stale_frames[1])(tissue.ids)
    with DatasetWriter(
        place,
        {scale: scaled_size((phantom.size, phantom.size), scale) for scale in phantom.scales},
        phantom.n_frames,
        mask_type=smallest_type(present.shape[1]),
        has_truth=True,
        instances=True,
        related=True,
        provenance=provenance,
    ) as writer:
        for index in range(phantom.n_frames):
            frame, truth = tissue.section(index)
            given = _given(truth, index, faults, earlier)
            writer.append(
                f"section {index:04d}",
                SPLITS[split[index]],
                {scale: scale_frame(frame, scale) for scale in phantom.scales},
                {scale: scale_instances(given, scale) for scale in phantom.scales},
                {scale: scale_instances(truth, scale) for scale in phantom.scales},
                annotated=bool(faults.annotated[index]),
            )
            if progress:
                progress("drawing sections", index + 1, phantom.n_frames)
    return faults.summary


def _presence(tissue: Tissue, progress: Progress | None) -> np.ndarray:
    """(N, cells + 1) bool: whether a cell, by id, is seen in a section."""
    present = np.zeros((tissue.n_frames, len(tissue.cells.owners) + 1), bool)
    for index in range(tissue.n_frames):
        present[index, np.unique(tissue.ids(index))] = True
        if progress:
            progress("cutting sections", index + 1, tissue.n_frames)
    present[:, 0] = False
    return present


def _given(truth: np.ndarray, index: int, faults: LabelFaults, earlier: Callable[[int], np.ndarray]) -> np.ndarray:
    """The mask of a frame as a hurried annotator left it, (size, size) int32 ids.

    Where cells overlap, a right outline wins over a stale one, and the more stale of two wins.

    Args:
        truth: (size, size) ids of the frame.
        index: of the frame.
        faults: of all frames.
        earlier: gives the true ids of an earlier frame.
    """
    if not faults.annotated[index]:
        return np.zeros_like(truth)
    shown = faults.shown[index]
    given = np.where((faults.unlabelled[index] | (shown != index))[truth], 0, truth)
    for source in np.unique(shown[shown != index]).tolist():
        outlines = earlier(source)
        given = np.where((given == 0) & (shown == source)[outlines], outlines, given)
    return given


def _provenance(phantom: Phantom, faults: LabelFaults) -> dict[str, object]:
    return {
        "source": "synthetic: a phantom of electron microscopy",
        "licence": "CC0-1.0",
        "made_by": "synth",
        "arguments": asdict(phantom),
        "label_faults": faults.summary,
        "notices": [],
        "history": [],
    }
