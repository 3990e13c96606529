"""The generator's losses, the larger weighing more."""

from torch import Tensor

from cellab_components.checks import at_least, positive
from cellab_components.discriminator_ensemble.limits import MOST


class SoftmaxEnsemble:
    """The harder a discriminator, the more it weighs: between the mean and the hardest alone.

    .. code-block:: text

        L_G = sum_d w_d L_G(D_d),   w = softmax(L_G / temperature)

    A high temperature is the mean, a low one the maximum; the paper's lambda is 1 / temperature. No gradient flows
    into the weights w: it would teach the generator to lose against a discriminator that is far easier than the mean.
    As for `MaxEnsemble`, a critic of `wgan` is hard by a constant of its own.

    Reference: Durugkar et al., *Generative multi-adversarial networks*, https://arxiv.org/abs/1611.01673, section 4.1.

    Args:
        size: how many discriminators there are.
        temperature: in units of the loss.

    Shapes:
        losses (D,) -> scalar.

    Raises:
        ValueError: `size` is below 1, or `temperature` is not a finite number above 0.
    """

    def __init__(self, size: int, temperature: float) -> None:
        self.size = at_least("size", size, 1, MOST)
        self.temperature = positive("temperature", temperature)

    def __call__(self, losses: Tensor) -> Tensor:
        """A scalar, of the generator's losses (D,) against each discriminator."""
        weights = (losses.detach() / self.temperature).softmax(dim=0)
        return (weights * losses).sum()
