"""A penalty on gradients around real images."""

import torch
from torch import Generator, Tensor, nn

from cellab_components.checks import between
from cellab_components.gan_regulariser.gradients import device_of, gradient_of, lifted


class Dragan:
    """Pulls the norm of the discriminator's gradient towards 1 around real images.

    .. code-block:: text

        weight * E (||grad D(x^)||_2 - 1)^2,   x^ = real + spread * std(real) * n,   n ~ N(0, 1) for each pixel

    std is that of all grey values of the batch. Half-precision images are lifted to float32, and autocast is off.

    Reference: Kodali et al., *On convergence and stability of GANs*, https://arxiv.org/abs/1705.07215, equation 1.

    Args:
        weight: lambda of the paper.
        spread: of the noise, as a share of the images' standard deviation.

    Raises:
        ValueError: `weight` or `spread` is not a finite number of at least 0.
    """

    interval = 1

    def __init__(self, weight: float, spread: float) -> None:
        self.weight = between("weight", weight, 0, float("inf"), open_high=True)
        self.spread = between("spread", spread, 0, float("inf"), open_high=True)

    def penalty(self, discriminator: nn.Module, real: Tensor, fake: Tensor, generator: Generator | None) -> Tensor:  # noqa: ARG002
        """The penalty, a scalar whose gradient reaches the discriminator's weights.

        The noise is drawn on the generator's device (the CPU where it is None), so that every device sees the same.
        """
        with torch.autocast(real.device.type, enabled=False):
            real = lifted(real.detach())
            noise = torch.randn(real.shape, generator=generator, device=device_of(generator), dtype=real.dtype)
            moved = real + self.spread * real.std(correction=0) * noise.to(real.device)
            norm = torch.linalg.vector_norm(gradient_of(discriminator, moved), dim=1)
            penalty: Tensor = self.weight * (norm - 1).square().mean()
            return penalty

    def constrain(self, discriminator: nn.Module) -> None:
        """Does nothing."""
