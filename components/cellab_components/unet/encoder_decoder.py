"""The U-Net as most people know it, with residual blocks and gated skips as options."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cellab_components.checks import at_least, between, boolean
from cellab_components.unet.blocks import AttentionGate, DoubleConvolution, ResidualBlock, up_convolution
from cellab_components.unet.image import MOST_BLOCKS, check_image


class EncoderDecoder(nn.Module):
    """U-Net of Ronneberger et al.: a block a level, max pool on the way down, up-convolution and skip on the way up.

    .. code-block:: text

        encoder      block -> skip; max pool /2 -> dropout -> block -> skip; ...; max pool /2 -> dropout -> block
        decoder      up-conv x2 -> concat (gated) skip -> block
        block        2 x [conv3x3, BN, ReLU], or residual: x + 2 x [BN, ReLU, conv3x3]
        gated skip   skip * up(sigmoid(psi(ReLU(W skip + V below + b)) + c))
        output       conv1x1

    There are `blocks` poolings; level l (from 0) has ``width * 2 ** l`` channels. The variants differ in the block and
    in the gate alone, so that a comparison of them compares just these. What is not as published: convolutions are
    padded, so that the logits are as large as the image; they have batch norm, which is younger than the first U-Net;
    dropout follows every pooling as in the paper's network, not just the encoder's end; residual U-Nets pool and
    up-convolve instead of striding and repeating pixels; attention U-Nets learn by their last output alone.

    Reference:
        Ronneberger et al., *U-Net: convolutional networks for biomedical image segmentation*,
        https://arxiv.org/abs/1505.04597. Residual: Zhang et al., *Road extraction by deep residual U-Net*,
        https://arxiv.org/abs/1711.10684. Attention: Oktay et al., *Attention U-Net: learning where to look for the
        pancreas*, https://arxiv.org/abs/1804.03999.

    Args:
        in_channels: channels of the image.
        width: channels of the first level.
        blocks: number of poolings, and of up-convolutions; at least 2 with `attention`.
        dropout: probability that a value is dropped after a pooling.
        residual: whether the blocks are residual.
        attention: whether the skips are gated, all but the one at full size (which Oktay et al. leave alone too).

    Shapes:
        image (B, in_channels, H, W) in [0, 1] -> logits (B, 1, H, W); H and W must be multiples of `stride`.

    Raises:
        ValueError: an impossible argument, or, when called, an image of other channels or with bad sides.
    """

    def __init__(
        self, in_channels: int, width: int, blocks: int, dropout: float, *, residual: bool, attention: bool
    ) -> None:
        super().__init__()
        self.in_channels = at_least("in_channels", in_channels, 1)
        boolean("residual", residual)
        boolean("attention", attention)
        # one level has the skip at full size only, and that is never gated
        self.blocks = at_least("blocks", blocks, 2 if attention else 1, MOST_BLOCKS)
        at_least("width", width, 1)
        between("dropout", dropout, 0, 1, open_high=True)
        widths = [width * 2**level for level in range(blocks + 1)]
        block = ResidualBlock if residual else DoubleConvolution
        first = ResidualBlock(in_channels, width, of_image=True) if residual else DoubleConvolution(in_channels, width)
        self.encoder = nn.ModuleList([first, *(block(above, below) for above, below in pairwise(widths))])
        self.ups = nn.ModuleList(up_convolution(below, above) for above, below in pairwise(widths))
        gated = range(1, blocks) if attention else ()
        self.gates = nn.ModuleDict({str(level): AttentionGate(widths[level], widths[level + 1]) for level in gated})
        self.decoder = nn.ModuleList(block(2 * above, above) for above in widths[:-1])
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Conv2d(width, 1, kernel_size=1)

    @property
    def stride(self) -> int:
        """The sides of an image must be multiples of it (pixels)."""
        return int(2**self.blocks)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, 1, H, W) of an image (B, in_channels, H, W)."""
        check_image(image, self.in_channels, self.blocks, base=2)
        x = self.encoder[0](image)
        skips = []
        for block in self.encoder[1:]:
            skips.append(x)
            x = block(self.dropout(F.max_pool2d(x, kernel_size=2)))
        for level in reversed(range(self.blocks)):
            skip = skips[level]
            if str(level) in self.gates:
                skip = self.gates[str(level)](skip, x)
            x = self.decoder[level](torch.cat([self.ups[level](x), skip], dim=1))
        logits: Tensor = self.head(x)
        return logits
