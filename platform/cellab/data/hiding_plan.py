"""Decides which objects are hidden, which lack their label for a run of frames, and whose outlines are stale."""

from dataclasses import dataclass

import numpy as np

from cellab.data.contrast import contrasts
from cellab.data.dataset import TRAIN, UNUSED, Dataset
from cellab.data.label_faults import FaultRates, LabelFaults, draw_faults
from cellab.data.objects import Objects, find_objects
from cellab.data.progress import Progress
from cellab.errors import DataError
from cellab.plain import PlainMapping

HALVES = {"size": ("smaller", "larger"), "contrast": ("fainter", "clearer")}
WITHIN = ("stack", "frames")


@dataclass(frozen=True)
class Hiding:
    """What to hide; see `cellab.data.hiding.hide`.

    Raises:
        DataError: a share is not from 0 to 1, there are not as many as the bias needs, or a word is not known.
    """

    shares: tuple[float, ...]
    seed: int
    bias: str | None = None
    within: str = "stack"
    gaps: float = 0.0
    stale: float = 0.0

    def __post_init__(self) -> None:
        written = ",".join(f"{share:g}" for share in self.shares)
        if self.bias is not None and self.bias not in HALVES:
            raise DataError(f"bias {self.bias!r}: give size or contrast.")
        if self.within not in WITHIN:
            raise DataError(f"within {self.within!r}: give stack or frames.")
        if self.bias and len(self.shares) != 2:
            low, high = HALVES[self.bias]
            raise DataError(
                f"objects {written}: with bias {self.bias} give two shares to hide, of the {low} and of the {high} "
                "half of the objects, e.g. 0.95,0.5."
            )
        if not self.bias and len(self.shares) != 1:
            raise DataError(
                f"objects {written}: give one share to hide, e.g. 0.5, or a bias, size or contrast, that says which "
                "half of the objects each of two shares is of."
            )
        for share in self.shares:
            if not 0 <= share <= 1:
                raise DataError(f"objects {share}: give the share to hide, from 0 to 1, e.g. 0.5.")
        _ = self.rates  # checks the others

    @property
    def rates(self) -> FaultRates:
        """Of faults in runs of training frames, as long as in a phantom."""
        return FaultRates(never_labelled=0.0, gaps=self.gaps, stale=self.stale, unannotated=0.0, elsewhere=0.0)

    def arguments(self) -> PlainMapping:
        """For the record: all that make a difference."""
        said: PlainMapping = {"objects": list(self.shares) if self.bias else self.shares[0], "seed": self.seed}
        if self.bias:
            said["bias"] = self.bias
        if self.within != "stack":
            said["within"] = self.within
        if self.gaps:
            said |= {"gaps": self.gaps, "gap_frames": list(self.rates.gap_frames)}
        if self.stale:
            said |= {"stale": self.stale, "stale_frames": list(self.rates.stale_frames)}
        return said


@dataclass(frozen=True)
class Plan:
    """Which labels of which training frames are left, and which are of earlier frames.

    Args:
        objects: what may be hidden.
        is_hidden: (objects.count,) bool.
        halves: of each share, how many objects are hidden, and of how many.
        followed: what is followed from frame to frame, where there are faults.
        faults: of `followed`, whose columns are one more than its numbers.
    """

    objects: Objects
    is_hidden: np.ndarray
    halves: tuple[tuple[int, int], ...]
    followed: Objects | None = None
    faults: LabelFaults | None = None

    def kept(self, index: int) -> np.ndarray:
        """For each label of a frame's mask whether the frame keeps it, bool; not the background, 0."""
        kept = _left(self.objects, self.is_hidden, index)
        if self.followed and self.faults:
            column = self.followed.of_label[index] + 1
            kept &= ~self.faults.unlabelled[index, column] & (self.faults.shown[index, column] == index)
        return kept

    def stale(self, index: int) -> dict[int, np.ndarray]:
        """The earlier frames whose outlines a frame shows, the earliest first, and for each of their labels whether."""
        if not self.followed or not self.faults:
            return {}
        shown = self.faults.shown[index]
        return {
            source: (shown == source)[self.followed.of_label[source] + 1]
            for source in np.unique(shown[shown != index]).tolist()
        }

    def counts(self) -> dict[str, int]:
        """How many objects have gaps, how many are stale, and how many stale outlines that makes in all frames."""
        train = self.faults.summary["train"] if self.faults else {}
        names = {"gaps": "cells_with_gaps", "stale": "stale_cells", "stale_outlines": "stale_cell_masks"}
        return {ours: train.get(name, 0) for ours, name in names.items()}


def make_plan(data: Dataset, training: np.ndarray, hiding: Hiding, progress: Progress | None = None) -> Plan:
    """Draws what is hidden, and then, from the objects left, gaps and stale outlines.

    Args:
        data: the data set.
        training: ascending numbers of the training frames with a mask.
        hiding: how much of what.
        progress: called before each frame.

    Raises:
        DataError: there is no object, a share of what there is is none, or frames have no runs or no common size.
    """
    with_faults = hiding.gaps > 0 or hiding.stale > 0
    if with_faults:
        _check_runs(data, training, hiding)
    objects = find_objects(
        data, training, progress=progress, linking="none" if hiding.within == "frames" else "overlap"
    )
    if not objects.count:
        raise DataError(f"{data.path}: the training masks hold no object to hide.")
    rng = np.random.default_rng(hiding.seed)
    is_hidden, halves = np.zeros(objects.count, bool), []
    for share, half in zip(hiding.shares, _halves(rng, data, objects, hiding, progress), strict=True):
        chosen = half[: round(share * len(half))]
        if share > 0 and not len(chosen):
            raise DataError(f"objects {share}: of {len(half)} objects that is none: give {1 / len(half):.2g}.")
        is_hidden[chosen] = True
        halves.append((len(chosen), len(half)))
    if not with_faults:
        return Plan(objects, is_hidden, tuple(halves))
    followed = objects
    if hiding.within == "frames":
        followed = find_objects(data, training, progress=progress, linking="tracks")
    faults = _draw(data.n_frames, objects, is_hidden, followed, hiding)
    return Plan(objects, is_hidden, tuple(halves), followed, faults)


def _check_runs(data: Dataset, training: np.ndarray, hiding: Hiding) -> None:
    if not data.related:
        name = "gaps" if hiding.gaps else "stale"
        raise DataError(
            f"{name} {getattr(hiding, name):g}: the frames of {data.path} are unrelated, and there are no runs "
            "of them: leave it out, or import consecutive frames with --related."
        )
    if hiding.stale and len(np.unique(data.sizes(data.scales[0])[training], axis=0)) > 1:
        raise DataError(
            f"stale {hiding.stale:g}: the training frames of {data.path} differ in size, and an outline of one does "
            "not fit another: leave it out, or import frames of one size."
        )


def _halves(
    rng: np.random.Generator, data: Dataset, objects: Objects, hiding: Hiding, progress: Progress | None
) -> list[np.ndarray]:
    """The objects in random order; with a bias, those below and above the median, chance deciding between equals."""
    order = rng.permutation(objects.count)
    if not hiding.bias:
        return [order]
    if objects.count < 2:
        raise DataError(f"bias {hiding.bias}: one object has no halves: leave the bias out.")
    measure = objects.pixels if hiding.bias == "size" else contrasts(data, objects, progress)
    ascending = order[np.argsort(measure[order], kind="stable")]
    return [rng.permutation(half) for half in np.array_split(ascending, 2)]


def _left(objects: Objects, is_hidden: np.ndarray, index: int) -> np.ndarray:
    left: np.ndarray = np.append(~is_hidden, False)[objects.of_label[index]]  # the -1 of the background finds the False
    return left


def _draw(n_frames: int, objects: Objects, is_hidden: np.ndarray, followed: Objects, hiding: Hiding) -> LabelFaults:
    """The faults of what is left.

    Raises:
        DataError: a share of it is none.
    """
    present, lacking = np.zeros((2, n_frames, followed.count + 1), bool)
    split = np.full(n_frames, UNUSED, np.uint8)
    for index, of_label in followed.of_label.items():
        split[index] = TRAIN
        left = _left(objects, is_hidden, index)[1:]
        present[index, of_label[1:][left] + 1] = True
        lacking[index, of_label[1:][~left] + 1] = True
    faults = draw_faults(np.random.default_rng([hiding.seed, 1]), present, split, hiding.rates, lacking)
    for name, count in (("gaps", "cells_with_gaps"), ("stale", "stale_cells")):
        rate = getattr(hiding, name)
        if rate > 0 and not faults.summary["train"][count]:
            raise DataError(
                f"{name} {rate:g}: of the objects that are left and could be so for a run of frames that is none: "
                "give a larger share, or leave it out."
            )
    return faults
