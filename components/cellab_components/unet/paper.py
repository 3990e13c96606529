"""The paper's U-Net."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cellab_components.checks import at_least, between
from cellab_components.unet.image import MOST_BLOCKS, check_image


class PaperUNet(nn.Module):
    """The paper's U-Net: blocks that quarter the sides, every skip used twice, the image shown again at both ends.

    .. code-block:: text

        stem     2 x [conv3x3, GELU]
        down     2 x [conv3x3, BN, GELU] -> [conv3x3 /2, BN, GELU] = skip -> max pool /2 -> dropout
        up       bilinear x2 -> concat skip -> 2 x [conv3x3, BN, GELU] -> concat skip -> [transposed conv x2, BN, GELU]
        output   2 x [concat image, conv3x3, GELU] -> conv1x1

    There are `blocks` down blocks and as many up blocks; the image is concatenated to the first down block's input too.
    Block b (from 0) has ``width * 2 ** b`` channels, the stem and the output stage have `width`. A block shrinks the
    map's sides by 4, so that four blocks make 1 pixel of 256, and three of 64.

    Reference:
        Hann, *Self-training and generative data augmentation for semantic segmentation of cellular microscopy images*,
        section 5, figures 3 and 10. The paper's final sigmoid is left to whoever reads the logits.

    Args:
        in_channels: channels of the image.
        width: channels of the stem and of the first block.
        blocks: number of down blocks, and of up blocks.
        dropout: probability that a value is dropped after a down block.

    Shapes:
        image (B, in_channels, H, W) in [0, 1] -> logits (B, 1, H, W); H and W must be multiples of `stride`.

    Raises:
        ValueError: an impossible argument, or, when called, an image of other channels or with bad sides.
    """

    def __init__(self, in_channels: int, width: int, blocks: int, dropout: float) -> None:
        super().__init__()
        self.in_channels = at_least("in_channels", in_channels, 1)
        self.blocks = at_least("blocks", blocks, 1, MOST_BLOCKS)
        at_least("width", width, 1)
        between("dropout", dropout, 0, 1, open_high=True)
        widths = [width * 2**block for block in range(blocks)]
        above = [width, *widths[:-1]]  # what a block's neighbour towards the image works with
        shown = [in_channels, *[0] * (blocks - 1)]  # the image is concatenated to the first block's input only
        self.stem = nn.Sequential(ConvGelu(in_channels, width), ConvGelu(width, width))
        self.down = nn.ModuleList(DownBlock(a + s, w, dropout) for a, s, w in zip(above, shown, widths, strict=True))
        self.up = nn.ModuleList(UpBlock(w, a) for w, a in zip(widths, above, strict=True))
        self.output = nn.ModuleList(ConvGelu(width + in_channels, width) for _ in range(2))
        self.head = nn.Conv2d(width, 1, kernel_size=1)

    @property
    def stride(self) -> int:
        """The sides of an image must be multiples of it (pixels)."""
        return int(4**self.blocks)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, 1, H, W) of an image (B, in_channels, H, W)."""
        check_image(image, self.in_channels, self.blocks, base=4)
        x = self.stem(image)
        skips = []
        for block, down in enumerate(self.down):
            x, skip = down(x, image if block == 0 else None)
            skips.append(skip)
        for up, skip in zip(reversed(self.up), reversed(skips), strict=True):
            x = up(x, skip)
        for convolution in self.output:
            x = convolution(x, image)
        logits: Tensor = self.head(x)
        return logits


class DownBlock(nn.Module):
    """Two convolutions, a strided one whose output is the skip, max pool, dropout: (B, C, H, W) -> (B, C', H/4, W/4).

    Reference: Hann, section 5 and figure 10.
    """

    def __init__(self, in_channels: int, width: int, dropout: float) -> None:
        super().__init__()
        self.first = ConvNormGelu(in_channels, width)
        self.second = ConvNormGelu(width, width)
        self.strided = ConvNormGelu(width, width, stride=2)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, image: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The map for the next block (sides / 4), and the skip (sides / 2); the image is concatenated to `x`."""
        skip: Tensor = self.strided(self.second(self.first(x, image)))
        return self.dropout(F.max_pool2d(skip, kernel_size=2)), skip


class UpBlock(nn.Module):
    """Bilinear x2, skip, two convolutions, the same skip, transposed convolution x2: (B, C, H, W) -> (B, C', 4H, 4W).

    Reference: Hann, section 5 and figure 10.
    """

    def __init__(self, width: int, out_channels: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(ConvNormGelu(2 * width, width), ConvNormGelu(width, width))
        self.transposed = nn.ConvTranspose2d(2 * width, out_channels, kernel_size=2, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """The map for the next block; `skip` has twice the sides of `x`."""
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        x = self.convolutions(torch.cat([x, skip], dim=1))
        x = self.transposed(torch.cat([x, skip], dim=1))
        return F.gelu(self.norm(x))


class ConvGelu(nn.Module):
    """3x3 convolution and GELU, without a norm: (B, in_channels, H, W) -> (B, out_channels, H, W)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.convolution = ConcatConv(in_channels, out_channels, kernel_size=3, padding=1)

    def forward(self, x: Tensor, image: Tensor | None = None) -> Tensor:
        """GELU of the convolution of `x`, to which the image is concatenated."""
        return F.gelu(self.convolution(x, image))


class ConvNormGelu(nn.Module):
    """3x3 convolution, batch norm and GELU: (B, in_channels, H, W) -> (B, out_channels, H / stride, W / stride).

    The convolution has no bias: the norm would subtract it again.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.convolution = ConcatConv(in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor, image: Tensor | None = None) -> Tensor:
        """GELU of the normalised convolution of `x`, to which the image is concatenated."""
        return F.gelu(self.norm(self.convolution(x, image)))


class ConcatConv(nn.Conv2d):
    """A convolution of two concatenated maps, computed as the sum of a convolution of each.

    It is the same mathematics with the same weights. Numbers of channels such as 8 + 1 leave the fast kernels (on a
    CPU a step of the whole network takes a quarter longer with the concatenation), and nothing is copied.
    """

    def forward(self, x: Tensor, concatenated: Tensor | None = None) -> Tensor:
        """The convolution of ``cat([x, concatenated], dim=1)``, or of `x` alone."""
        if concatenated is None:
            return super().forward(x)
        channels = x.shape[1]
        of_x: Tensor = self._conv_forward(x, self.weight[:, :channels], self.bias)
        of_concatenated: Tensor = self._conv_forward(concatenated, self.weight[:, channels:], None)
        return of_x + of_concatenated
