"""No augmentation of what discriminators see."""

from torch import Generator, Tensor


class NoGanAugmentation:
    """Discriminators see images as they are.

    .. code-block:: text

        x -> x

    Reference: Hann, section 8, which augments real crops by flips only (`gan.crop_augmentation`).

    Shapes:
        images (B, C, H, W) in [-1, 1] -> themselves.
    """

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:  # noqa: ARG002
        """The images (B, C, H, W) themselves."""
        return images
