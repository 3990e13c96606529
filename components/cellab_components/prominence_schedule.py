"""Prominence schedules: how much cell a crop must show, generation by generation."""

from collections.abc import Sequence

from cellab_components.checks import at_least, between, numbers


class ByGeneration:
    """One threshold for labelled crops, and a list by generation for pseudo-labelled ones.

    .. code-block:: text

        labelled(g) = labelled,   pseudo(g) = pseudo_labels[min(g, n) - 1] of n

    A crop whose prominence (the mean of its binary mask) is below the threshold is rejected.

    Reference: Hann, sections 4.2 and 4.4; the author finds that his relaxed too late.

    Args:
        labelled: threshold of the labelled pipeline, in [0, 1].
        pseudo_labels: thresholds of the pseudo-label pipeline from generation 1 on; the last holds on.

    Raises:
        ValueError: a threshold is not in [0, 1], or the list is empty.
    """

    def __init__(self, labelled: float, pseudo_labels: Sequence[float]) -> None:
        self._labelled = between("labelled", labelled, 0, 1)
        self._pseudo_labels = [between("pseudo_labels", t, 0, 1) for t in numbers("pseudo_labels", pseudo_labels)]

    def labelled(self, generation: int) -> float:  # noqa: ARG002 - other schedules change it
        """The threshold for labelled crops in a generation (from 0)."""
        return self._labelled

    def pseudo(self, generation: int) -> float:
        """The threshold for pseudo-labelled crops in a generation (from 1)."""
        return self._pseudo_labels[min(max(generation, 1), len(self._pseudo_labels)) - 1]


class Constant:
    """One threshold for labelled crops and one for pseudo-labelled crops, the same in every generation.

    .. code-block:: text

        labelled(g) = labelled,   pseudo(g) = pseudo_labels

    Reference: the fixed filter of Hann, section 4.4, before it was relaxed.

    Args:
        labelled: threshold of the labelled pipeline, in [0, 1].
        pseudo_labels: threshold of the pseudo-label pipeline.

    Raises:
        ValueError: a threshold is not in [0, 1].
    """

    def __init__(self, labelled: float, pseudo_labels: float) -> None:
        self._labelled = between("labelled", labelled, 0, 1)
        self._pseudo_labels = between("pseudo_labels", pseudo_labels, 0, 1)

    def labelled(self, generation: int) -> float:  # noqa: ARG002 - other schedules change it
        """The threshold for labelled crops in a generation (from 0)."""
        return self._labelled

    def pseudo(self, generation: int) -> float:  # noqa: ARG002
        """The threshold for pseudo-labelled crops in a generation (from 1)."""
        return self._pseudo_labels


class Linear:
    """One threshold for labelled crops, and one for pseudo-labelled crops that changes by equal steps.

    .. code-block:: text

        pseudo(g) = start + (end - start) min(1, (g - 1) / (generations - 1))

    Generation 1 has `start`; the one numbered `generations`, and all later ones, have `end`.

    Reference: ours; the steps between the thresholds of Hann, section 4.4, made even.

    Args:
        labelled: threshold of the labelled pipeline, in [0, 1].
        start: threshold of the pseudo-label pipeline in generation 1.
        end: the one that it arrives at.
        generations: the generation in which it arrives, at least 2.

    Raises:
        ValueError: a threshold is not in [0, 1], or `generations` is not a whole number of at least 2.
    """

    def __init__(self, labelled: float, start: float, end: float, generations: int) -> None:
        self._labelled = between("labelled", labelled, 0, 1)
        self._start = between("start", start, 0, 1)
        self._end = between("end", end, 0, 1)
        self._generations = at_least("generations", generations, 2)

    def labelled(self, generation: int) -> float:  # noqa: ARG002 - other schedules change it
        """The threshold for labelled crops in a generation (from 0)."""
        return self._labelled

    def pseudo(self, generation: int) -> float:
        """The threshold for pseudo-labelled crops in a generation (from 1)."""
        if generation >= self._generations:
            return self._end
        return self._start + (self._end - self._start) * max(generation - 1, 0) / (self._generations - 1)
