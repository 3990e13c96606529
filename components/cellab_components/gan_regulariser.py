"""Regularisers of discriminators: penalties on their gradients and constraints on their weights."""

import torch
from torch import Generator, Tensor, nn

from cellab_components.checks import between, positive


class NoRegulariser:
    """Leaves the discriminator alone."""

    def penalty(self, discriminator: nn.Module, real: Tensor, fake: Tensor, generator: Generator | None) -> Tensor:  # noqa: ARG002
        """Zero."""
        return real.new_zeros(())

    def constrain(self, discriminator: nn.Module) -> None:
        """Does nothing."""


class WeightClipping:
    """Clips every weight of the critic to [-limit, limit] after each of its steps.

    Reference: Arjovsky et al., *Wasserstein GAN*, https://arxiv.org/abs/1701.07875, algorithm 1.

    Args:
        limit: the largest magnitude that a weight may have.

    Raises:
        ValueError: `limit` is not above 0.
    """

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

    def __init__(self, weight: float) -> None:
        self.weight = between("weight", weight, 0, float("inf"), open_high=True)

    def penalty(self, discriminator: nn.Module, real: Tensor, fake: Tensor, generator: Generator | None) -> Tensor:
        """The penalty, a scalar whose gradient reaches the discriminator's weights.

        The shares `a` are drawn on the generator's device (the CPU where it is None), so that every device sees the
        same ones.
        """
        with torch.autocast(real.device.type, enabled=False):
            real, fake = _lift(real.detach()), _lift(fake.detach())
            device = generator.device if generator is not None else "cpu"
            shape = (len(real), *[1] * (real.ndim - 1))
            a = torch.rand(shape, generator=generator, device=device, dtype=real.dtype).to(real.device)
            mixture = (a * real + (1 - a) * fake).requires_grad_()
            with torch.enable_grad():
                (gradient,) = torch.autograd.grad(discriminator(mixture).sum(), mixture, create_graph=True)
            norm = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
            penalty: Tensor = self.weight * (norm - 1).square().mean()
            return penalty

    def constrain(self, discriminator: nn.Module) -> None:
        """Does nothing."""


def _lift(images: Tensor) -> Tensor:
    return images.float() if images.dtype in (torch.float16, torch.bfloat16) else images
