"""Checks, before any compute, that training will find the crops that it asks for."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from cellab.components import instantiate
from cellab.contracts import DataMix, ProminenceSchedule
from cellab.data.dataset import TRAIN, Dataset
from cellab.data.scaling import sizes_in_words
from cellab.settings import TrialConfig

MISSED = 1e-6  # the probability that a draw gives up which is not worth a word: a training makes some thousand draws
ADVISED = 0.05  # share of the crops that reach a threshold which messages advise


class TrainingCrops:
    """How prominent the crops of the training frames are; looks at no more frames than an answer takes.

    Args:
        data: the data set, open.
        scale: of it.
        size: side of the crops, in pixels; no training frame is smaller.
        labels: ``"given"``, or ``"truth"`` for complete masks.
    """

    def __init__(self, data: Dataset, scale: float, size: int, labels: str) -> None:
        training = np.flatnonzero(data.split == TRAIN)
        known = training if labels == "truth" else training[data.annotated[training]]
        self._read = data.truth if labels == "truth" else data.masks
        self._waiting: list[int] = np.random.default_rng(0).permutation(known).tolist()  # neighbours are alike
        self._scale = scale
        self._size = size
        self._frames = {True: len(known), False: len(training)}  # by whether only those with a mask count
        self._of_count = np.zeros(size**2 + 1)  # sum over frames of the share of places with so many mask pixels
        self._prominence = np.arange(size**2 + 1) / size**2

    def reach(self, threshold: float, share: float, only_annotated: bool) -> bool:
        """Whether at least that share of all candidates has a prominence of `threshold` or more."""
        while self.share(threshold, only_annotated) < share:
            if not self._waiting:
                return False
            self._look_at_next()
        return True

    def share(self, threshold: float, only_annotated: bool) -> float:
        """The share of candidates that reach a threshold, as far as frames were looked at."""
        reaching = self._of_count[self._prominence >= threshold].sum()
        return float(reaching) / max(1, self._frames[only_annotated])

    def highest(self, share: float, only_annotated: bool) -> float:
        """The highest threshold that such a share of candidates reaches; the most prominent crop's for 0."""
        reaching = self._of_count[::-1].cumsum()[::-1] / max(1, self._frames[only_annotated])
        return float(self._prominence[np.flatnonzero(reaching >= max(share, np.finfo(float).tiny))].max(initial=0.0))

    def _look_at_next(self) -> None:
        from cellab.training.prominence import marked_pixels  # imports torch

        (mask,) = self._read(self._scale, [self._waiting.pop()])
        counts = marked_pixels(mask, self._size)
        self._of_count += np.bincount(counts.ravel(), minlength=len(self._of_count)) / counts.size


class CropChecks:
    """The checks of a study's trials; what they have in common is computed once.

    Args:
        data: the data set, open.
    """

    def __init__(self, data: Dataset) -> None:
        self._data = data
        self._crops: dict[tuple[float, int, str], TrainingCrops] = {}

    def mistakes(self, config: TrialConfig) -> Iterator[str]:
        """One sentence for each threshold that too few crops reach, or for crops that do not fit.

        Args:
            config: of a trial; its scales are the data set's.
        """
        scale, size, labels = config.data.scale, config.training.crop_size, config.data.labels
        misfit = does_not_fit("training.crop_size", size, self._data, scale)
        if misfit:
            yield misfit
            return
        if (scale, size, labels) not in self._crops:
            self._crops[scale, size, labels] = TrainingCrops(self._data, scale, size, labels)
        crops = self._crops[scale, size, labels]
        tries = config.training.max_tries
        for wanted in _wanted(config):
            if not crops.reach(wanted.threshold, least_share(tries, wanted.count), wanted.only_annotated):
                yield _too_few(config, crops, wanted)


def does_not_fit(key: str, size: int, data: Dataset, scale: float) -> str | None:
    """A sentence about crops that are larger than a training frame, or None."""
    training = np.flatnonzero(data.split == TRAIN)
    sizes = data.sizes(scale)[training]
    too_small = np.flatnonzero(sizes.min(axis=1) < size)
    if not len(too_small):
        return None
    first = training[too_small[0]]
    one_size = len(np.unique(sizes, axis=0)) == 1
    which = "the frames, which are" if one_size else f"{len(too_small)} training frames; {data.names[first]} is"
    return (
        f"{key}: {size} is larger than {which} {sizes_in_words(sizes[too_small[:1]])} at scale {scale:g}: at most "
        f"{sizes.min()} fits all."
    )


def least_share(tries: int, count: int) -> float:
    """The share of candidates that must pass for `count` crops in `tries * count` candidates, but for `MISSED` draws.

    The number that pass is nearly Poisson, and fewer than `count` with the probability that a chi-squared variable of
    `2 count` degrees of freedom exceeds twice its mean.
    """
    return float(chi2.isf(MISSED, 2 * count)) / 2 / (tries * count)


@dataclass(frozen=True)
class Wanted:
    """Crops that some generation draws.

    Args:
        source: ``"labelled"`` or ``"pseudo"``.
        threshold: of their prominence.
        generation: the first that asks so.
        count: at least so many at once.
    """

    source: str
    threshold: float
    generation: int
    count: int

    @property
    def only_annotated(self) -> bool:
        """Whether they come from frames with a mask alone."""
        return self.source == "labelled"


def _wanted(config: TrialConfig) -> list[Wanted]:
    """The crops of each source and threshold; a threshold of 0 accepts all."""
    schedule = instantiate(config.components["prominence_schedule"], "prominence_schedule", ProminenceSchedule)
    mix = instantiate(config.components["data_mix"], "data_mix", DataMix)
    found: dict[tuple[str, float, int], Wanted] = {}
    for generation in range(config.lineage.generations):
        shares = mix.shares(generation)
        of_batch = config.training.batch_size if shares["labelled"] == 1 else 1
        asked = [("labelled", schedule.labelled(generation), of_batch)] * (shares["labelled"] > 0)
        if shares["pseudo"] > 0:
            asked.append(("pseudo", schedule.pseudo(generation), config.pseudo_labels.batch_size))
        for source, threshold, count in asked:
            if threshold > 0 and schedule.share > 0:
                found.setdefault((source, threshold, count), Wanted(source, threshold, generation, count))
    return list(found.values())


def _too_few(config: TrialConfig, crops: TrainingCrops, wanted: Wanted) -> str:
    tries, size = config.training.max_tries, config.training.crop_size
    share = crops.share(wanted.threshold, wanted.only_annotated)
    of = f"{wanted.threshold:g}, the prominence that generation {wanted.generation} asks of its {wanted.source} crops"
    if share == 0:
        most = crops.highest(0.0, wanted.only_annotated)
        found = f"no crop of {size} × {size} in the training masks reaches {of} (the most prominent: {most:.2g})"
    else:
        found = (
            f"only one in {round(1 / share):,} crops of {size} × {size} in the training masks reaches {of}, and "
            f"training gives up after {tries:,} (training.max_tries)"
        )
    return f"prominence_schedule: {found}: {_remedies(config, crops, wanted, share)}"


def _remedies(config: TrialConfig, crops: TrainingCrops, wanted: Wanted, share: float) -> str:
    tries = config.training.max_tries
    within_reach = max(ADVISED, least_share(tries, wanted.count))
    advised = _rounded_down(crops.highest(within_reach, wanted.only_annotated)) if within_reach <= 1 else 0.0
    keys = [key for key in config.components["prominence_schedule"] if not key.startswith("_")]
    keys = [key for key in keys if (key == "labelled") == wanted.only_annotated] or keys
    named = " or ".join(f"prominence_schedule.{key}" for key in keys)
    more = math.ceil(least_share(1, wanted.count) / share) if share else 0
    raised = f"raise training.max_tries to {more}, " if more else ""
    return f"lower {named} to {advised:g}, {raised}or choose another training.crop_size."


def _rounded_down(value: float) -> float:
    """To two significant digits, never up."""
    if value == 0:
        return 0.0
    unit = 10.0 ** (np.floor(np.log10(value)) - 1)
    return float(np.floor(value / unit + 1e-9) * unit)
