"""A segmentation network for those in a hurry."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class TwoScales(nn.Module):
    """Convolutions at full and at quarter size, added up.

    Args:
        in_channels: channels of the image.
        width: channels of all convolutions.
        blocks: convolutions at quarter size.
        dropout: probability that a value at quarter size is dropped.

    Shapes:
        image (B, in_channels, H, W) in [0, 1] -> logits (B, 1, H, W); H and W must be multiples of 4.

    Raises:
        ValueError: `blocks` is below 1.
    """

    stride = 4

    def __init__(self, in_channels: int, width: int, blocks: int, dropout: float) -> None:
        super().__init__()
        if blocks < 1:
            raise ValueError(f"blocks: {blocks!r} is not allowed; it must be a whole number of at least 1.")
        self.fine = nn.Conv2d(in_channels, width, kernel_size=3, padding=1)
        self.coarse = nn.Sequential(
            nn.Conv2d(in_channels, width, kernel_size=4, stride=4),
            *(nn.Conv2d(width, width, kernel_size=3, padding=1) for _ in range(blocks)),
            nn.Dropout(dropout),
        )
        self.head = nn.Conv2d(width, 1, kernel_size=1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, 1, H, W) of an image (B, in_channels, H, W)."""
        coarse = F.interpolate(self.coarse(image), scale_factor=4, mode="nearest")
        logits: Tensor = self.head(torch.relu(self.fine(image) + coarse))
        return logits
