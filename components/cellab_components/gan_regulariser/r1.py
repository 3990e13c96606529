"""A penalty on gradients at real images."""

import torch
from torch import Generator, Tensor, nn

from cellab_components.checks import at_least, between
from cellab_components.gan_regulariser.gradients import gradient_of, lifted


class R1:
    """Pulls the discriminator's gradient towards 0 at real images, lazily: only at some of its steps.

    .. code-block:: text

        gamma / 2 * E ||grad D(real)||_2^2

    With the reference's factor of 1/2: whose formula has none must halve its weight to get the same. Half-precision
    images are lifted to float32, and autocast is off.

    Reference:
        Mescheder et al., *Which training methods for GANs do actually converge?*, https://arxiv.org/abs/1801.04406,
        equation 9; lazy regularisation from Karras et al., https://arxiv.org/abs/1912.04958, section 3.1.

    Args:
        gamma: twice the weight of the penalty.
        interval: the penalty is due at every so many steps of a discriminator, and then weighs that many times as much.

    Raises:
        ValueError: `gamma` is not a finite number of at least 0, or `interval` is below 1.
    """

    def __init__(self, gamma: float, interval: int) -> None:
        self.gamma = between("gamma", gamma, 0, float("inf"), open_high=True)
        self.interval = at_least("interval", interval, 1)

    def penalty(self, discriminator: nn.Module, real: Tensor, fake: Tensor, generator: Generator | None) -> Tensor:  # noqa: ARG002
        """The penalty, not scaled by `interval`: a scalar whose gradient reaches the discriminator's weights."""
        with torch.autocast(real.device.type, enabled=False):
            gradient = gradient_of(discriminator, lifted(real.detach()))
            penalty: Tensor = self.gamma / 2 * gradient.square().sum(dim=1).mean()
            return penalty

    def constrain(self, discriminator: nn.Module) -> None:
        """Does nothing."""
