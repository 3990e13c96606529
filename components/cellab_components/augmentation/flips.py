"""Flips."""

import torch
from torch import Generator, Tensor

from cellab_components.checks import between


class Flips:
    """Horizontal and vertical flips, independently: what the GAN's training frames get.

    Reference: Hann, section 4.5.

    Args:
        probability: of each of both flips.

    Raises:
        ValueError: `probability` is not in [0, 1].
    """

    def __init__(self, probability: float = 0.5) -> None:
        self.probability = between("probability", probability, 0, 1)

    def linear(self, count: int, generator: Generator) -> Tensor:
        """Diagonal matrices (count, 2, 2) of 1 and -1, float32, on the CPU."""
        flipped = torch.rand(count, 2, generator=generator) < self.probability
        return torch.diag_embed(1.0 - 2.0 * flipped)

    def displacement(self, count: int, size: int, generator: Generator) -> Tensor | None:  # noqa: ARG002
        """None: straight lines stay straight."""
        return None

    def appearance(self, images: Tensor, generator: Generator) -> Tensor:  # noqa: ARG002
        """The images (B, 1, H, W) themselves."""
        return images
