"""The convolutional blocks of the U-Nets that compare with the paper's, and the gate of a skip."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class DoubleConvolution(nn.Sequential):
    """Two 3x3 convolutions, each with batch norm and ReLU: (B, in_channels, H, W) -> (B, out_channels, H, W).

    The sides stay, and the norms replace the convolutions' biases.

    Reference: Ronneberger et al., https://arxiv.org/abs/1505.04597, which pads nothing and normalises nothing.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            conv3x3(in_channels, out_channels),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
            conv3x3(out_channels, out_channels),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
        )


class ResidualBlock(nn.Module):
    """Norm and ReLU before each of two 3x3 convolutions, and the input added: (B, C, H, W) -> (B, C', H, W).

    Where the channels change, a 1x1 convolution of the input is added. The block of an image (`of_image`) begins with
    the convolution: a ReLU would hide the dark half of the image.

    Reference: Zhang et al., https://arxiv.org/abs/1711.10684, figure 1 (b).
    """

    def __init__(self, in_channels: int, out_channels: int, *, of_image: bool = False) -> None:
        super().__init__()
        first = [] if of_image else [nn.BatchNorm2d(in_channels), nn.ReLU()]
        self.branch = nn.Sequential(
            *first,
            conv3x3(in_channels, out_channels),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
            conv3x3(out_channels, out_channels),
        )
        same = in_channels == out_channels
        self.shortcut = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, kernel_size=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """The sum of the branch and the shortcut, without an activation."""
        total: Tensor = self.branch(x) + self.shortcut(x)
        return total


class AttentionGate(nn.Module):
    """Multiplies each pixel of a skip by a number in (0, 1) that the map below has a say in.

    .. code-block:: text

        gated = skip * up(sigmoid(psi(ReLU(conv2x2 /2 (skip) + conv1x1(below)))))

    Reference: Oktay et al., https://arxiv.org/abs/1804.03999, section 2.2 and figure 2.

    Shapes:
        skip (B, channels, H, W), below (B, below_channels, H/2, W/2) -> (B, channels, H, W).
    """

    def __init__(self, channels: int, below_channels: int) -> None:
        super().__init__()
        self.of_skip = nn.Conv2d(channels, channels, kernel_size=2, stride=2, bias=False)
        self.of_below = nn.Conv2d(below_channels, channels, kernel_size=1)
        self.psi = nn.Conv2d(channels, 1, kernel_size=1)

    def forward(self, skip: Tensor, below: Tensor) -> Tensor:
        """The gated skip."""
        return skip * self.coefficients(skip, below)

    def coefficients(self, skip: Tensor, below: Tensor) -> Tensor:
        """What the skip's pixels are multiplied by, (B, 1, H, W) in (0, 1)."""
        coarse = torch.sigmoid(self.psi(F.relu(self.of_skip(skip) + self.of_below(below))))
        return F.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)


def conv3x3(in_channels: int, out_channels: int) -> nn.Conv2d:
    """A convolution that keeps the sides, without the bias that a norm would subtract again."""
    return nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False)


def up_convolution(in_channels: int, out_channels: int) -> nn.ConvTranspose2d:
    """The transposed convolution that doubles the sides."""
    return nn.ConvTranspose2d(in_channels, out_channels, kernel_size=2, stride=2)
