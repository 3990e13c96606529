"""The largest of the generator's losses."""

from torch import Tensor

from cellab_components.checks import at_least
from cellab_components.discriminator_ensemble.limits import MOST


class MaxEnsemble:
    """The generator answers to its hardest discriminator: it minimises the largest of its losses.

    .. code-block:: text

        L_G = max_d L_G(D_d)

    Meant for losses that bound the logits' scale: a critic of `wgan` may add any constant to all of its logits, and is
    then the hardest, or never, for no reason.

    Reference: Durugkar et al., *Generative multi-adversarial networks*, https://arxiv.org/abs/1611.01673, section 3.1.

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
        return losses.max()
