"""The paper's label faults: cells never labelled or not for runs of frames, stale masks, frames without one."""

from dataclasses import dataclass

import numpy as np

from cellab.data.dataset import SPLITS
from cellab.data.splitting import runs
from cellab.errors import DataError


@dataclass(frozen=True)
class FaultRates:
    """How often each fault occurs among the training frames.

    Args:
        never_labelled: share of the cells that have no label in any frame.
        gaps: share of the other cells that lack their label for a run of frames.
        gap_frames: shortest and longest such run.
        stale: share of the frames whose mask is that of an earlier frame, though the image has moved on.
        stale_frames: shortest and longest run of stale masks after the frame that they show.
        unannotated: share of the frames that have no mask.
        elsewhere: factor on all rates in validation and test frames, whose masks have fewer faults.

    Raises:
        DataError: a rate is not from 0 to 1.
    """

    never_labelled: float = 0.25
    gaps: float = 0.25
    gap_frames: tuple[int, int] = (3, 10)
    stale: float = 0.1
    stale_frames: tuple[int, int] = (2, 4)
    unannotated: float = 0.05
    elsewhere: float = 0.1

    def __post_init__(self) -> None:
        for name in ("never_labelled", "gaps", "stale", "unannotated", "elsewhere"):
            if not 0 <= getattr(self, name) <= 1:
                raise DataError(f"{name.replace('_', '-')} {getattr(self, name)}: give a rate from 0 to 1.")


@dataclass(frozen=True)
class LabelFaults:
    """Which labels are wrong where.

    Args:
        unlabelled: (N, cells + 1) bool: cells (by id) whose label a frame lacks.
        shown: (N,) the frame whose labels a frame's mask shows: itself, or an earlier one if the mask is stale.
        annotated: (N,) bool: whether a frame has a mask at all.
        summary: for each split how many cells and frames have which fault.
    """

    unlabelled: np.ndarray
    shown: np.ndarray
    annotated: np.ndarray
    summary: dict[str, dict[str, int]]


def draw_faults(rng: np.random.Generator, present: np.ndarray, split: np.ndarray, rates: FaultRates) -> LabelFaults:
    """Draws faults: numbers are exact, places are random.

    Args:
        rng: random numbers.
        present: (N, cells + 1) bool: whether a cell (by id) is seen in a frame; id 0 is background.
        split: (N,) indices into `SPLITS`; unused frames get no faults.
        rates: how often.
    """
    faults = LabelFaults(
        unlabelled=np.zeros_like(present),
        shown=np.arange(len(present)),
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
        stale = _draw_stale(rng, frames, round(factor * rates.stale * len(frames)), rates.stale_frames, faults)
        missing = _draw_unannotated(rng, frames, round(factor * rates.unannotated * len(frames)), faults)
        faults.summary[name] = {
            "frames": len(frames),
            "cells": len(seen),
            "never_labelled_cells": len(never),
            "cells_with_gaps": with_gaps,
            "stale_frames": stale,
            "unannotated_frames": missing,
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
    rng: np.random.Generator, frames: np.ndarray, count: int, lengths: tuple[int, int], faults: LabelFaults
) -> int:
    """Lets masks persist for runs of frames, `count` of them in all where there is room."""
    left = count
    free = set(frames.tolist())  # neither stale nor shown by a stale one
    for length in (*rng.integers(lengths[0], lengths[1] + 1, size=4 * count).tolist(), *[1] * count):
        wanted = min(length, left)
        starts = [
            frame for run in runs(np.array(sorted(free))) for frame in run[: max(0, len(run) - wanted)].tolist()
        ]  # each has `wanted` free frames after it
        if not left or not starts:
            break
        start = int(rng.choice(starts))
        faults.shown[start + 1 : start + 1 + wanted] = start
        free -= set(range(start, start + 1 + wanted))
        left -= wanted
    return count - left


def _draw_unannotated(rng: np.random.Generator, frames: np.ndarray, count: int, faults: LabelFaults) -> int:
    """Takes the whole mask of some frames away, of none that has to do with stale masks."""
    sources = faults.shown[faults.shown != np.arange(len(faults.shown))]
    eligible = [int(f) for f in frames if faults.shown[f] == f and f not in sources]
    chosen = rng.permutation(eligible)[:count].astype(int)
    faults.annotated[chosen] = False
    return len(chosen)
