"""The cut that given positives favour, each object as often as there are cells that are labelled as seldom."""

from torch import Tensor

from cellab_components.calibration.pu_score import PuScore
from cellab_components.checks import between


class Propensity(PuScore):
    """The cut of `PuScore`, given objects weighted by one over the probability that such an object is labelled.

    .. code-block:: text

        cut = argmax_t r(t)^2 / P(X >= t),   r(t) = sum_o n_o(t) / e_o / sum_o n_o / e_o
        e_o = max(least_propensity, mean of X over the given object o)

    n_o are the object's pixels, n_o(t) those of them where X >= t. A network that has learned masks with missing cells
    says P(labelled | x), which on a cell is its propensity e: how likely annotators are to label one that looks so.
    Where they skip the faint, say, one faint object that is labelled stands for many that are not, and counts for
    them. Where cells are labelled at random all weights are alike, up to what the network is unsure of.

    Given objects are the connected parts of a mask. Networks that have learned pseudo-labels too, or the very objects
    by heart, say more than e, so that the weights come closer to one another. A mark where there is no cell counts for
    up to 1 / `least_propensity`.

    Reference: Bekker, Robberechts and Davis, *Beyond the selected completely at random assumption for learning from
    positive and unlabeled data*, ECML 2019, https://arxiv.org/abs/1809.03207, section 4.

    Args:
        split, frames: as `PuScore`.
        least_propensity: of an object; none counts for more than 1 / `least_propensity`.

    Raises:
        ValueError: as `PuScore`; `least_propensity` is not in [0.001, 1].
    """

    def __init__(self, split: str, frames: int | None, least_propensity: float) -> None:
        super().__init__(split, frames)
        self.least_propensity = between("least_propensity", least_propensity, 0.001, 1)

    def weights(self, probabilities: Tensor) -> Tensor:
        """Of given objects (O,), by the mean probability (O,) of each."""
        return 1 / probabilities.clamp(min=self.least_propensity)
