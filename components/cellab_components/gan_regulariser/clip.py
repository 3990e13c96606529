"""Clipped weights."""

import torch
from torch import Generator, Tensor, nn

from cellab_components.checks import positive


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
