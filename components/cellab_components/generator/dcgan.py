"""The generator of DCGAN."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from cellab_components.checks import at_least, power_of_two
from cellab_components.generator.maps import FIRST_SIDE, channels


class DcganGenerator(nn.Module):
    """DCGAN's generator: transposed convolutions with batch norm and ReLU, no noise and no blur.

    .. code-block:: text

        z ~ N(0, I) -> linear -> C x 4 x 4 -> BN, ReLU -> (transposed conv4x4, BN, ReLU) up to size / 2
          -> transposed conv4x4 -> tanh

    The map has ``min(max_width, width * size / side)`` channels where its side is `side`. All weights start as
    N(0, 0.02^2). Kernels are 4 x 4, not 5 x 5, so that the stride of 2 divides them. In training mode the batch norm
    lets an image depend on the others of its batch; in evaluation mode it does not.

    Reference: Radford et al., *Unsupervised representation learning with DCGANs*, https://arxiv.org/abs/1511.06434.

    Args:
        latent: length of the noise vector.
        width: channels that a map of full size would have; the last hidden one, half of it, has twice as many.
        size: side of the images in pixels, a power of two of at least 8.
        max_width: most channels at any side.

    Shapes:
        z (B, latent) -> images (B, 1, size, size) in [-1, 1].

    Raises:
        ValueError: an impossible argument.
    """

    def __init__(self, latent: int, width: int, size: int, max_width: int) -> None:
        super().__init__()
        self.latent = at_least("latent", latent, 1)
        self.size = power_of_two("size", size, 2 * FIRST_SIDE)
        self.widths = widths = channels(width, size, max_width)[:-1]
        self.linear = nn.Linear(latent, widths[0] * FIRST_SIDE**2, bias=False)
        self.first = nn.Sequential(nn.BatchNorm2d(widths[0]), nn.ReLU())
        self.doublings = nn.Sequential(*(self._doubling(i, o) for i, o in pairwise(widths)))
        self.output = nn.ConvTranspose2d(widths[-1], 1, kernel_size=4, stride=2, padding=1)
        for layer in self.modules():
            if isinstance(layer, nn.Linear | nn.ConvTranspose2d):
                nn.init.normal_(layer.weight, std=0.02)
        nn.init.zeros_(self.output.bias)  # type: ignore[arg-type]

    @staticmethod
    def _doubling(in_channels: int, out_channels: int) -> nn.Sequential:
        transposed = nn.ConvTranspose2d(in_channels, out_channels, kernel_size=4, stride=2, padding=1, bias=False)
        return nn.Sequential(transposed, nn.BatchNorm2d(out_channels), nn.ReLU())

    def forward(self, z: Tensor) -> Tensor:
        """Images (B, 1, size, size) in [-1, 1] of noise vectors (B, latent)."""
        x = self.first(self.linear(z).view(len(z), -1, FIRST_SIDE, FIRST_SIDE))
        return torch.tanh(self.output(self.doublings(x)))
