"""No augmentation."""

import torch
from torch import Generator, Tensor


class NoAugmentation:
    """Crops as they are.

    .. code-block:: text

        input = output

    Reference: the control of the augmentation of Hann, section 4.5.

    Shapes:
        images (B, 1, H, W) -> themselves.
    """

    def linear(self, count: int, generator: Generator) -> Tensor:  # noqa: ARG002
        """Identities (count, 2, 2), float32, on the CPU."""
        return torch.eye(2).expand(count, 2, 2)

    def displacement(self, count: int, size: int, generator: Generator) -> Tensor | None:  # noqa: ARG002
        """None: straight lines stay straight."""
        return None

    def appearance(self, images: Tensor, generator: Generator) -> Tensor:  # noqa: ARG002
        """The images (B, 1, H, W) themselves."""
        return images
