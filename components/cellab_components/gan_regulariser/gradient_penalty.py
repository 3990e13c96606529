"""A penalty on gradients between real and generated images."""

import torch
from torch import Generator, Tensor, nn

from cellab_components.checks import between
from cellab_components.gan_regulariser.gradients import device_of, gradient_of, lifted


class GradientPenalty:
    """Pulls the norm of the critic's gradient towards 1 between real and generated images.

    .. code-block:: text

        weight * E (||grad D(x^)||_2 - 1)^2,   x^ = a * real + (1 - a) * fake,   a ~ U(0, 1) for each sample

    Half-precision images are lifted to float32, and autocast is off; float64 stays float64.

    Reference:
        Gulrajani et al., *Improved training of Wasserstein GANs*, https://arxiv.org/abs/1704.00028, algorithm 1; with
        the non-saturating loss Fedus et al., https://arxiv.org/abs/1710.08446.

    Args:
        weight: lambda of the paper.

    Raises:
        ValueError: `weight` is not a finite number of at least 0.
    """

    interval = 1

    def __init__(self, weight: float) -> None:
        self.weight = between("weight", weight, 0, float("inf"), open_high=True)

    def penalty(self, discriminator: nn.Module, real: Tensor, fake: Tensor, generator: Generator | None) -> Tensor:
        """The penalty, a scalar whose gradient reaches the discriminator's weights.

        The shares `a` are drawn on the generator's device (the CPU where it is None), so that every device sees the
        same ones.
        """
        with torch.autocast(real.device.type, enabled=False):
            real, fake = lifted(real.detach()), lifted(fake.detach())
            shape = (len(real), *[1] * (real.ndim - 1))
            a = torch.rand(shape, generator=generator, device=device_of(generator), dtype=real.dtype).to(real.device)
            gradient = gradient_of(discriminator, a * real + (1 - a) * fake)
            norm = torch.linalg.vector_norm(gradient, dim=1)
            penalty: Tensor = self.weight * (norm - 1).square().mean()
            return penalty

    def constrain(self, discriminator: nn.Module) -> None:
        """Does nothing."""
