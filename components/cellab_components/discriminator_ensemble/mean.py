"""The mean of the generator's losses."""

from torch import Tensor

from cellab_components.checks import at_least
from cellab_components.discriminator_ensemble.limits import MOST


class MeanEnsemble:
    """The generator minimises the mean of its losses against all discriminators.

    .. code-block:: text

        L_G = 1/D sum_d L_G(D_d)

    Reference: Hann, section 8 (an ensemble against mode collapse); Durugkar et al., https://arxiv.org/abs/1611.01673.

    Args:
        size: how many discriminators there are.

    Shapes:
        losses (D,) -> scalar.

    Raises:
        ValueError: `size` is below 1.
    """

    def __init__(self, size: int) -> None:
        self.size = at_least("size", size, 1, MOST)

    def __call__(self, losses: Tensor) -> Tensor:
        """A scalar, of the generator's losses (D,) against each discriminator."""
        return losses.mean()
