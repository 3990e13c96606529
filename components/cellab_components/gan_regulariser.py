"""Regularisers of discriminators: penalties on their gradients and constraints on their weights.

`interval` says at which steps of a discriminator the penalty is due: every `interval`-th. Whoever trains calls it then,
and multiplies it by `interval`; here it is neither counted nor scaled.
"""

import torch
from torch import Generator, Tensor, nn

from cellab_components.checks import at_least, between, positive


class NoRegulariser:
    """Leaves the discriminator alone.

    .. code-block:: text

        penalty = 0

    Reference: Goodfellow et al., https://arxiv.org/abs/1406.2661, whose discriminator has none.

    Shapes:
        real, fake (B, C, H, W) -> scalar 0.
    """

    interval = 1

    def penalty(self, discriminator: nn.Module, real: Tensor, fake: Tensor, generator: Generator | None) -> Tensor:  # noqa: ARG002
        """Zero."""
        return real.new_zeros(())

    def constrain(self, discriminator: nn.Module) -> None:
        """Does nothing."""


class WeightClipping:
    """Clips every weight of the critic to [-limit, limit] after each of its steps.

    .. code-block:: text

        w <- min(limit, max(-limit, w)),   penalty = 0

    Reference: Arjovsky et al., *Wasserstein GAN*, https://arxiv.org/abs/1701.07875, algorithm 1.

    Args:
        limit: the largest magnitude that a weight may have.

    Raises:
        ValueError: `limit` is not above 0.
    """

    interval = 1

    def __init__(self, limit: float) -> None:
        self.limit = positive("limit", limit)

    def penalty(self, discriminator: nn.Module, real: Tensor, fake: Tensor, generator: Generator | None) -> Tensor:  # noqa: ARG002
        """Zero: the weights are constrained instead."""
        return real.new_zeros(())

    @torch.no_grad()
    def constrain(self, discriminator: nn.Module) -> None:
        """Clips the discriminator's parameters in place."""
        for parameter in discriminator.parameters():
            parameter.clamp_(-self.limit, self.limit)


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
            real, fake = _lift(real.detach()), _lift(fake.detach())
            shape = (len(real), *[1] * (real.ndim - 1))
            a = torch.rand(shape, generator=generator, device=_device(generator), dtype=real.dtype).to(real.device)
            gradient = _gradient(discriminator, a * real + (1 - a) * fake)
            norm = torch.linalg.vector_norm(gradient, dim=1)
            penalty: Tensor = self.weight * (norm - 1).square().mean()
            return penalty

    def constrain(self, discriminator: nn.Module) -> None:
        """Does nothing."""


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
            real = _lift(real.detach())
            noise = torch.randn(real.shape, generator=generator, device=_device(generator), dtype=real.dtype)
            moved = real + self.spread * real.std(correction=0) * noise.to(real.device)
            norm = torch.linalg.vector_norm(_gradient(discriminator, moved), dim=1)
            penalty: Tensor = self.weight * (norm - 1).square().mean()
            return penalty

    def constrain(self, discriminator: nn.Module) -> None:
        """Does nothing."""


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
            gradient = _gradient(discriminator, _lift(real.detach()))
            penalty: Tensor = self.gamma / 2 * gradient.square().sum(dim=1).mean()
            return penalty

    def constrain(self, discriminator: nn.Module) -> None:
        """Does nothing."""


def _gradient(discriminator: nn.Module, images: Tensor) -> Tensor:
    """The logits' gradients (B, C * H * W) with respect to their images, themselves differentiable."""
    with torch.enable_grad():
        images = images.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(discriminator(images).sum(), images, create_graph=True)
    return gradient.flatten(1)


def _device(generator: Generator | None) -> torch.device | str:
    return generator.device if generator is not None else "cpu"


def _lift(images: Tensor) -> Tensor:
    return images.float() if images.dtype in (torch.float16, torch.bfloat16) else images
