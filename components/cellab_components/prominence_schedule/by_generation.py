"""A list of thresholds by generation."""

from collections.abc import Sequence

from cellab_components.checks import between, numbers


class ByGeneration:
    """One threshold for labelled crops, and a list by generation for pseudo-labelled ones.

    .. code-block:: text

        labelled(g) = labelled,   pseudo(g) = pseudo_labels[min(g, n) - 1] of n

    A crop whose prominence (the mean of its binary mask) is below the threshold is rejected.

    Reference: Hann, sections 4.2 and 4.4; the author finds that his relaxed too late.

    Args:
        labelled: threshold of the labelled pipeline, in [0, 1].
        pseudo_labels: thresholds of the pseudo-label pipeline from generation 1 on; the last holds on.
        share: of the crops that must reach their threshold, in [0, 1]; the others are taken as they come. 1 is the
            paper's filter, 0 none.

    Raises:
        ValueError: a threshold is not in [0, 1], or the list is empty.
    """

    def __init__(self, labelled: float, pseudo_labels: Sequence[float], share: float) -> None:
        self.share = between("share", share, 0, 1)
        self._labelled = between("labelled", labelled, 0, 1)
        self._pseudo_labels = [between("pseudo_labels", t, 0, 1) for t in numbers("pseudo_labels", pseudo_labels)]

    def labelled(self, generation: int) -> float:  # noqa: ARG002 - other schedules change it
        """The threshold for labelled crops in a generation (from 0)."""
        return self._labelled

    def pseudo(self, generation: int) -> float:
        """The threshold for pseudo-labelled crops in a generation (from 1)."""
        return self._pseudo_labels[min(max(generation, 1), len(self._pseudo_labels)) - 1]
