"""The paper's label faults: cells never labelled or not for runs of frames, stale cells, frames without mask."""

from dataclasses import dataclass

import numpy as np

from cellab.data.dataset import SPLITS
from cellab.data.phantom import check_range
from cellab.errors import DataError


@dataclass(frozen=True)
class FaultRates:
    """How often each fault occurs among the training frames.

    Args:
        never_labelled: share of the cells that have no label in any frame.
        gaps: share of the other cells that lack their label for a run of frames.
        gap_frames: shortest and longest such run.
        stale: share of the labelled cells whose mask persists unchanged for a run of frames, though the image moves on.
        stale_frames: shortest and longest such run, after the frame whose outline persists.
        unannotated: share of the frames that have no mask.
        elsewhere: factor on all rates in validation and test frames, whose masks have fewer faults.

    Raises:
        DataError: a rate is not from 0 to 1, or a run's lengths are not two ascending whole numbers.
    """

    never_labelled: float = 0.5
    gaps: float = 0.25
    gap_frames: tuple[int, int] = (3, 10)
    stale: float = 0.15
    stale_frames: tuple[int, int] = (2, 4)
    unannotated: float = 0.05
    elsewhere: float = 0.1

    def __post_init__(self) -> None:
        for name in ("never_labelled", "gaps", "stale", "unannotated", "elsewhere"):
            check_range(name.replace("_", "-"), getattr(self, name), 0, 1)
        for name in ("gap_frames", "stale_frames"):
            lengths = getattr(self, name)
            whole = len(lengths) == 2 and all(isinstance(length, int) for length in lengths)
            if not whole or not 1 <= lengths[0] <= lengths[1]:
                raise DataError(
                    f"{name.replace('_', '-')} {lengths}: give the shortest and the longest run, "
                    "two whole numbers of frames, 1 or more."
                )


@dataclass(frozen=True)
class LabelFaults:
    """Which labels are wrong where.

    Args:
        unlabelled: (N, cells + 1) bool: cells (by id) whose label a frame lacks.
        shown: (N, cells + 1) the frame whose outline of a cell a frame's mask shows: itself, or an earlier one (stale).
        annotated: (N,) bool: whether a frame has a mask at all.
        summary: for each split how many cells and frames have which fault.
    """

    unlabelled: np.ndarray
    shown: np.ndarray
    annotated: np.ndarray
    summary: dict[str, dict[str, int]]


def draw_faults(
    rng: np.random.Generator,
    present: np.ndarray,
    split: np.ndarray,
    rates: FaultRates,
    lacking: np.ndarray | None = None,
) -> LabelFaults:
    """Draws faults: numbers are exact, places are random.

    Args:
        rng: random numbers.
        present: (N, cells + 1) bool: whether a cell (by id) is seen in a frame; id 0 is background.
        split: (N,) indices into `SPLITS`; unused frames get no faults.
        rates: how often.
        lacking: (N, cells + 1) bool: labels that are not there before, and that no stale outline shall stand for.
    """
    faults = LabelFaults(
        unlabelled=np.zeros_like(present) if lacking is None else lacking.copy(),
        shown=np.tile(np.arange(len(present))[:, None], present.shape[1]),
        annotated=np.ones(len(present), bool),
        summary={},
    )
    order = rng.permutation(np.arange(1, present.shape[1]))  # the same cells come first in every split
    for code, name in enumerate(SPLITS[:3]):
        frames = np.flatnonzero(split == code)
        factor = 1.0 if name == "train" else rates.elsewhere
        seen = order[present[frames][:, order].any(axis=0)]
        never = seen[: round(factor * rates.never_labelled * len(seen))]
        faults.unlabelled[np.ix_(frames, never)] = True
        others = seen[len(never) :]
        with_gaps = _draw_gaps(rng, present, frames, others, factor * rates.gaps, rates.gap_frames, faults)
        missing = rng.permutation(frames)[: round(factor * rates.unannotated * len(frames))]
        faults.annotated[missing] = False
        with_masks = np.setdiff1d(frames, missing)
        stale = _draw_stale(rng, present, with_masks, others, factor * rates.stale, rates.stale_frames, faults)
        faults.summary[name] = {
            "frames": len(frames),
            "cells": len(seen),
            "never_labelled_cells": len(never),
            "cells_with_gaps": with_gaps,
            "stale_cells": stale,
            "stale_cell_masks": int((faults.shown[frames] != frames[:, None]).sum()),
            "unannotated_frames": len(missing),
        }
    return faults


def _draw_gaps(
    rng: np.random.Generator,
    present: np.ndarray,
    frames: np.ndarray,
    cells: np.ndarray,
    rate: float,
    lengths: tuple[int, int],
    faults: LabelFaults,
) -> int:
    """Takes labels of some cells away for a run of the frames that show them, never for all of those."""
    visible = {int(cell): frames[present[frames, cell]] for cell in cells}
    eligible = [cell for cell, where in visible.items() if len(where) > 1]
    chosen = rng.permutation(eligible)[: round(rate * len(eligible))].astype(int).tolist()
    for cell in chosen:
        where = visible[cell]
        length = min(int(rng.integers(lengths[0], lengths[1] + 1)), len(where) - 1)
        start = int(rng.integers(0, len(where) - length + 1))
        faults.unlabelled[where[start : start + length], cell] = True
    return len(chosen)


def _draw_stale(
    rng: np.random.Generator,
    present: np.ndarray,
    frames: np.ndarray,
    cells: np.ndarray,
    rate: float,
    lengths: tuple[int, int],
    faults: LabelFaults,
) -> int:
    """Lets outlines of some cells persist, each for a run of frames with masks that do not lack the cell's label."""
    usable = ~faults.unlabelled
    usable[np.setdiff1d(np.arange(len(present)), frames)] = False
    room = np.zeros(present.shape, int)  # how many usable frames follow
    for frame in reversed(range(len(present) - 1)):
        room[frame] = (room[frame + 1] + 1) * usable[frame + 1]
    room *= usable & present
    eligible = cells[room[:, cells].any(axis=0)]
    chosen = rng.permutation(eligible)[: round(rate * len(eligible))].tolist()
    for cell in chosen:
        length = min(int(rng.integers(lengths[0], lengths[1] + 1)), int(room[:, cell].max()))
        start = int(rng.choice(np.flatnonzero(room[:, cell] >= length)))
        faults.shown[start + 1 : start + 1 + length, cell] = start
    return len(chosen)
