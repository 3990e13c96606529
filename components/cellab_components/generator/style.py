"""The elements of StyleGAN2's generator."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cellab_components.checks import at_least, power_of_two
from cellab_components.generator.layers import AdaptiveNoise, Blur
from cellab_components.generator.maps import FIRST_SIDE, channels

MOST_MAPPING_LAYERS = 100


class StyleGenerator(nn.Module):
    """The elements of StyleGAN2: a mapping network, modulated convolutions, noise at every pixel, blurred upsampling.

    .. code-block:: text

        w = mapping(z / rms(z))                                 linear, LeakyReLU: `mapping_layers` times
        learned C x 4 x 4 -> styled conv -> (upsample, blur, styled conv, styled conv) up to `size`
          -> modulated conv1x1 -> tanh
        styled conv: modulated conv3x3 -> + noise -> + bias -> sqrt(2) LeakyReLU

    The map has ``min(max_width, width * size / side)`` channels where its side is `side`. Nearest neighbours and the
    blur [1, 2, 1] are together StyleGAN2's filter [1, 3, 3, 1]. Left out: equalised learning rates, style mixing, path
    length regularisation, and images summed over the scales.

    Reference:
        Karras et al., *Analyzing and improving the image quality of StyleGAN*, https://arxiv.org/abs/1912.04958,
        section 2 and figure 2; mapping network and noise from https://arxiv.org/abs/1812.04948.

    Args:
        latent: length of the noise vector and of the style w.
        width: channels at full size.
        size: side of the images in pixels, a power of two of at least 8.
        max_width: most channels at any side.
        mapping_layers: depth of the mapping network.

    Shapes:
        z (B, latent) -> images (B, 1, size, size) in [-1, 1]. The noise comes from PyTorch's global generator.

    Raises:
        ValueError: an impossible argument.
    """

    def __init__(self, latent: int, width: int, size: int, max_width: int, mapping_layers: int) -> None:
        super().__init__()
        self.latent = at_least("latent", latent, 1)
        self.size = power_of_two("size", size, 2 * FIRST_SIDE)
        self.widths = widths = channels(width, size, max_width)
        depth = at_least("mapping_layers", mapping_layers, 1, MOST_MAPPING_LAYERS)
        self.mapping = nn.ModuleList(_unit_linear(latent, latent, bias=0) for _ in range(depth))
        self.constant = nn.Parameter(torch.randn(1, widths[0], FIRST_SIDE, FIRST_SIDE))
        self.first = StyledConv(widths[0], widths[0], latent)
        self.blurs = nn.ModuleList(Blur(channels) for channels in widths[:-1])
        self.entering = nn.ModuleList(StyledConv(i, o, latent) for i, o in pairwise(widths))
        self.following = nn.ModuleList(StyledConv(o, o, latent) for o in widths[1:])
        self.output = ModulatedConv(widths[-1], 1, latent, kernel_size=1, demodulate=False)
        self.output_bias = nn.Parameter(torch.zeros(1))

    def styles(self, z: Tensor) -> Tensor:
        """The styles w (B, latent) of noise vectors (B, latent); a vector's length does not matter."""
        w = z * (z.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()
        for layer in self.mapping:
            w = _activation(layer(w))
        return w

    def forward(self, z: Tensor) -> Tensor:
        """Images (B, 1, size, size) in [-1, 1] of noise vectors (B, latent)."""
        w = self.styles(z)
        x = self.first(self.constant.expand(len(z), -1, -1, -1), w)
        for blur, entering, following in zip(self.blurs, self.entering, self.following, strict=True):
            x = blur(F.interpolate(x, scale_factor=2, mode="nearest"))
            x = following(entering(x, w), w)
        return torch.tanh(self.output(x, w) + self.output_bias)


class StyledConv(nn.Module):
    """Modulated 3x3 convolution, noise, bias, LeakyReLU: (B, in_channels, H, W) -> (B, out_channels, H, W)."""

    def __init__(self, in_channels: int, out_channels: int, latent: int) -> None:
        super().__init__()
        self.convolution = ModulatedConv(in_channels, out_channels, latent, kernel_size=3, demodulate=True)
        self.noise = AdaptiveNoise(out_channels)
        self.bias = nn.Parameter(torch.zeros(out_channels, 1, 1))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """The next map, of a map and of styles w (B, latent)."""
        return _activation(self.noise(self.convolution(x, w)) + self.bias)


class ModulatedConv(nn.Module):
    """A convolution whose input channels are scaled by the style, and its result back to unit variance.

    .. code-block:: text

        s = A w + 1,   y_o = sum_i W_oi * (s_i x_i) / sqrt(sum_ik (s_i W_oik)^2 + 1e-8)

    Scaling the maps before and after one shared convolution equals StyleGAN2's weights of each sample. Without
    `demodulate`, the denominator is 1.

    (B, in_channels, H, W), w (B, latent) -> (B, out_channels, H, W). Reference: Karras et al.,
    https://arxiv.org/abs/1912.04958, equations 1 and 3.
    """

    def __init__(self, in_channels: int, out_channels: int, latent: int, *, kernel_size: int, demodulate: bool) -> None:
        super().__init__()
        self.demodulate = demodulate
        self.style = _unit_linear(latent, in_channels, bias=1)
        shape = (out_channels, in_channels, kernel_size, kernel_size)
        self.weight = nn.Parameter(torch.randn(shape) / math.sqrt(in_channels * kernel_size**2))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """The map, convolved by each sample's own weights."""
        style = self.style(w)
        y = F.conv2d(x * style[:, :, None, None], self.weight, padding=self.weight.shape[-1] // 2)
        if self.demodulate:
            power = style.square() @ self.weight.square().sum(dim=(2, 3)).T
            y = y * (power + 1e-8).rsqrt()[:, :, None, None]
        return y


def _unit_linear(in_features: int, out_features: int, bias: float) -> nn.Linear:
    """A linear layer that keeps the variance of its input at the start."""
    layer = nn.Linear(in_features, out_features)
    nn.init.normal_(layer.weight, std=1 / math.sqrt(in_features))
    nn.init.constant_(layer.bias, bias)
    return layer


def _activation(x: Tensor) -> Tensor:
    return math.sqrt(2) * F.leaky_relu(x, 0.2)  # StyleGAN2's gain: the variance stays what it is
