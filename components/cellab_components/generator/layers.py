"""Layers that generators share: blur and adaptive noise."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Blur(nn.Module):
    """Depthwise convolution with the fixed kernel [1, 2, 1] x [1, 2, 1] / 16: (B, C, H, W) -> the same shape.

    It smooths the chequerboard that a strided transposed convolution leaves (Hann, section 6).
    """

    kernel: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        binomial = torch.tensor([1.0, 2.0, 1.0])
        kernel = torch.outer(binomial, binomial) / 16
        self.register_buffer("kernel", kernel.repeat(channels, 1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """The blurred map, zero beyond its border."""
        return F.conv2d(x, self.kernel, padding=1, groups=x.shape[1])


class AdaptiveNoise(nn.Module):
    """Adds one map of N(0, 1) noise an image, times a learned weight a channel that starts at zero.

    (B, C, H, W) -> the same shape. Reference: Karras et al., https://arxiv.org/abs/1812.04948, section 2.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """The map with its noise, drawn from PyTorch's global generator."""
        noise = torch.randn_like(x[:, :1])
        return x + self.weight * noise
