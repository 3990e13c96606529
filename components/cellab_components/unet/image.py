"""What a U-Net asks of the images that it is shown."""

from torch import Tensor

MOST_BLOCKS = 12  # a side of 2 ** 12 pixels ends at 1


def check_image(image: Tensor, in_channels: int, blocks: int, base: int) -> None:
    """Checks that an image fits a U-Net whose blocks shrink the sides by `base`.

    Args:
        image: should be (B, in_channels, H, W), with H and W multiples of ``base ** blocks``.
        in_channels: of the network.
        blocks: of the network.
        base: 2 for one halving a block, 4 for two.

    Raises:
        ValueError: other channels or dimensions, or bad sides.
    """
    if image.ndim != 4 or image.shape[1] != in_channels:
        raise ValueError(f"image: {tuple(image.shape)} is not of shape (B, {in_channels}, H, W).")
    height, width = image.shape[-2:]
    stride = base**blocks
    if height == 0 or width == 0 or height % stride or width % stride:
        raise ValueError(
            f"image: {height} x {width} pixels do not fit a U-Net of {blocks} blocks; both sides must be "
            f"multiples of {stride} ({base} ** blocks)."
        )
