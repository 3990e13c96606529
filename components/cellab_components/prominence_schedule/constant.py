"""The same thresholds in every generation."""

from cellab_components.checks import between


class Constant:
    """One threshold for labelled crops and one for pseudo-labelled crops, the same in every generation.

    .. code-block:: text

        labelled(g) = labelled,   pseudo(g) = pseudo_labels

    Reference: the fixed filter of Hann, section 4.4, before it was relaxed.

    Args:
        labelled: threshold of the labelled pipeline, in [0, 1].
        pseudo_labels: threshold of the pseudo-label pipeline.
        share: of the crops that must reach their threshold, in [0, 1]; the others are taken as they come. 1 is the
            paper's filter, 0 none.

    Raises:
        ValueError: a threshold is not in [0, 1].
    """

    def __init__(self, labelled: float, pseudo_labels: float, share: float) -> None:
        self.share = between("share", share, 0, 1)
        self._labelled = between("labelled", labelled, 0, 1)
        self._pseudo_labels = between("pseudo_labels", pseudo_labels, 0, 1)

    def labelled(self, generation: int) -> float:  # noqa: ARG002 - other schedules change it
        """The threshold for labelled crops in a generation (from 0)."""
        return self._labelled

    def pseudo(self, generation: int) -> float:  # noqa: ARG002
        """The threshold for pseudo-labelled crops in a generation (from 1)."""
        return self._pseudo_labels
