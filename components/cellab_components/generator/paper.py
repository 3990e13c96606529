"""The paper's generator."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cellab_components.checks import at_least, power_of_two
from cellab_components.generator.layers import AdaptiveNoise, Blur
from cellab_components.generator.maps import FIRST_SIDE, channels


class PaperGenerator(nn.Module):
    """The paper's generator: a plain doubling network with StyleGAN's blur and adaptive noise at every scale.

    .. code-block:: text

        z ~ N(0, I) -> linear -> C x 4 x 4 -> doublings up to `size` -> conv3x3 -> tanh

    See `Doubling` for what one is; 128 pixels take five. The map has ``min(max_width, width * size / side)`` channels
    where its side is `side`: the number halves with each doubling down to `width`, as far as `max_width` allows.

    Reference:
        Hann, section 6 and figure 4; blur and noise from Karras et al., *A style-based generator architecture*,
        https://arxiv.org/abs/1812.04948.

    Args:
        latent: length of the noise vector.
        width: channels at full size.
        size: side of the images in pixels, a power of two of at least 8.
        max_width: most channels at any side.

    Shapes:
        z (B, latent) -> images (B, 1, size, size) in [-1, 1]. The adaptive noise comes from PyTorch's global generator.

    Raises:
        ValueError: an impossible argument.
    """

    def __init__(self, latent: int, width: int, size: int, max_width: int = 512) -> None:
        super().__init__()
        self.latent = at_least("latent", latent, 1)
        self.size = power_of_two("size", size, 2 * FIRST_SIDE)
        self.widths = widths = channels(width, size, max_width)
        # without a bias: it would be one pattern for all z, which instance norm would let the generator fall back on
        self.linear = nn.Linear(latent, widths[0] * FIRST_SIDE**2, bias=False)
        self.doublings = nn.Sequential(*(Doubling(i, o) for i, o in pairwise(widths)))
        self.output = nn.Conv2d(widths[-1], 1, kernel_size=3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        """Images (B, 1, size, size) in [-1, 1] of noise vectors (B, latent)."""
        x = self.linear(z).view(len(z), -1, FIRST_SIDE, FIRST_SIDE)
        return torch.tanh(self.output(self.doublings(x)))


class Doubling(nn.Module):
    """One doubling of the map: (B, in_channels, H, W) -> (B, out_channels, 2H, 2W).

    Strided transposed convolution, instance norm, GELU, blur, adaptive noise, 3x3 convolution, instance norm, GELU.
    The instance norms are affine; the convolutions before them need no bias.

    Reference: Hann, section 6 and figure 4.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.transposed = nn.ConvTranspose2d(in_channels, out_channels, kernel_size=4, stride=2, padding=1, bias=False)
        self.first_norm = nn.InstanceNorm2d(out_channels, affine=True)
        self.blur = Blur(out_channels)
        self.noise = AdaptiveNoise(out_channels)
        self.convolution = nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1, bias=False)
        self.second_norm = nn.InstanceNorm2d(out_channels, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        """The doubled map."""
        x = F.gelu(self.first_norm(self.transposed(x)))
        x = self.noise(self.blur(x))
        return F.gelu(self.second_norm(self.convolution(x)))
