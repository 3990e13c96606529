"""Checks, before any compute, that training will find the crops that it asks for."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from cellab.components import instantiate
from cellab.data.dataset import TRAIN, Dataset
from cellab.data.scaling import sizes_in_words

# A crop that 20 of `training.max_tries` candidates are expected to give is missed once in exp(20), 5e8, crops.
EXPECTED = 20
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

    def mistakes(self, config: dict[str, Any]) -> Iterator[str]:
        """One sentence for each threshold that too few crops reach, or for crops that do not fit.

        Args:
            config: of a trial, resolved; its scales are the data set's.
        """
        scale, size, labels = config["data"]["scale"], config["training"]["crop_size"], config["data"]["labels"]
        misfit = does_not_fit("training.crop_size", size, self._data, scale)
        if misfit:
            yield misfit
            return
        if (scale, size, labels) not in self._crops:
            self._crops[scale, size, labels] = TrainingCrops(self._data, scale, size, labels)
        crops = self._crops[scale, size, labels]
        for (source, threshold), generation in _thresholds(config).items():
            if not crops.reach(threshold, EXPECTED / config["training"]["max_tries"], source == "labelled"):
                yield _too_few(config, crops, source, threshold, generation)


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


def _thresholds(config: dict[str, Any]) -> dict[tuple[str, float], int]:
    """The first generation that asks for crops of a source at a threshold."""
    schedule = instantiate(config["prominence_schedule"], "prominence_schedule")
    mix = instantiate(config["data_mix"], "data_mix")
    found: dict[tuple[str, float], int] = {}
    for generation in range(config["generations"]):
        shares = mix.shares(generation)
        if shares["labelled"] > 0:
            found.setdefault(("labelled", schedule.labelled(generation)), generation)
        if shares["pseudo"] > 0:
            found.setdefault(("pseudo", schedule.pseudo(generation)), generation)
    return found


def _too_few(config: dict[str, Any], crops: TrainingCrops, source: str, threshold: float, generation: int) -> str:
    tries, size = config["training"]["max_tries"], config["training"]["crop_size"]
    only_annotated = source == "labelled"
    share, most = crops.share(threshold, only_annotated), crops.highest(0.0, only_annotated)
    of = f"{threshold:g}, the prominence that generation {generation} asks of its {source} crops"
    if share == 0:
        found = f"no crop of {size} × {size} in the training masks reaches {of} (the most prominent: {most:.2g})"
    else:
        found = (
            f"only one in {round(1 / share):,} crops of {size} × {size} in the training masks reaches {of}, and "
            f"training gives up after {tries:,} (training.max_tries)"
        )
    advised = _rounded_down(crops.highest(max(ADVISED, EXPECTED / tries), only_annotated))
    keys = [key for key in config["prominence_schedule"] if not key.startswith("_")]
    keys = [key for key in keys if (key == "labelled") == only_annotated] or keys
    named = " or ".join(f"prominence_schedule.{key}" for key in keys)
    return f"prominence_schedule: {found}: lower {named} to {advised:g}, or choose another training.crop_size."


def _rounded_down(value: float) -> float:
    """To two significant digits, never up."""
    if value == 0:
        return 0.0
    unit = 10.0 ** (np.floor(np.log10(value)) - 1)
    return float(np.floor(value / unit + 1e-9) * unit)
