"""A threshold that changes by equal steps."""

from cellab_components.checks import at_least, between


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
        share: of the crops that must reach their threshold, in [0, 1]; the others are taken as they come. 1 is the
            paper's filter, 0 none.

    Raises:
        ValueError: a threshold is not in [0, 1], or `generations` is not a whole number of at least 2.
    """

    def __init__(self, labelled: float, start: float, end: float, generations: int, share: float) -> None:
        self.share = between("share", share, 0, 1)
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
