"""A data set of which some objects of the training masks are hidden as it is read, so that hiding can be a factor."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from cellab.data.dataset import TRAIN, Dataset
from cellab.data.digest import FrameDigests
from cellab.data.hiding import known_frames, left
from cellab.data.hiding_plan import Hiding, Plan, make_plan


class HiddenObjects(Dataset):
    """What `cellab.data.hiding.hide` would write, without a file: the complete masks are its truth.

    Its digest is that of the data set that is read.
    """

    @classmethod
    def open_hidden(cls, path: str | Path, hiding: Hiding, expected: FrameDigests | None = None) -> Self:
        """Opens a data set and hides some of it.

        Raises:
            DataError: as `Dataset.open`.
        """
        data = cls.open(path, expected)
        data._source = Dataset(data.path, data._file, expected)
        data._hiding = hiding
        data.split, _ = known_frames(data._source)
        data.has_truth = True
        return data

    _source: Dataset
    _hiding: Hiding

    @functools.cached_property
    def plan(self) -> Plan:
        """What is hidden.

        Raises:
            DataError: there is nothing to hide.
        """
        return make_plan(self._source, np.flatnonzero((self.split == TRAIN) & self.annotated), self._hiding)

    def instances_of(self, scale: float, indices: Sequence[int] | np.ndarray, truth: bool = False) -> list[np.ndarray]:
        """Given masks without what is hidden, or complete ones, as they are stored."""
        if truth:
            return self._source.instances_of(scale, indices, truth=self._source.has_truth)
        return [self._given(scale, index) for index in np.asarray(indices, np.int64).tolist()]

    def _given(self, scale: float, index: int) -> np.ndarray:
        wanted = dict.fromkeys((self.scales[0], scale))
        given = {each: self._source.instances_of(each, [index])[0] for each in wanted}
        kept = left(self._source, index, given, self.plan) if index in self.plan.objects.of_label else given
        return kept[scale]


@dataclass(frozen=True)
class DataFile:
    """The file of a data set, and what it must hold.

    Args:
        path: of the file.
        expected: what it was seen to hold; None: whatever is there.
    """

    path: Path
    expected: FrameDigests | None = None

    def open(self, hiding: Hiding | None = None) -> Dataset:
        """The data set, of which something is hidden or nothing; what is read is checked.

        Raises:
            DataError: as `Dataset.open`.
        """
        if hiding is None:
            return Dataset.open(self.path, self.expected)
        return HiddenObjects.open_hidden(self.path, hiding, self.expected)


def open_data(path: str | Path, hiding: Hiding | None) -> Dataset:
    """A data set, of which something is hidden or nothing.

    Raises:
        DataError: as `Dataset.open`.
    """
    return DataFile(Path(path)).open(hiding)
