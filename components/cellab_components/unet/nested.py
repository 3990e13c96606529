"""U-Net++: a U-Net whose skips are small U-Nets themselves."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cellab_components.checks import at_least, between, boolean
from cellab_components.unet.blocks import DoubleConvolution, up_convolution
from cellab_components.unet.image import MOST_BLOCKS, check_image


class NestedUNet(nn.Module):
    """U-Net++: each skip is a row of blocks, of which every one sees all before it and the next level's.

    .. code-block:: text

        X[l, 0] = block(dropout(max pool /2 (X[l - 1, 0])))           X[0, 0] = block(image)
        X[l, j] = block(cat[X[l, 0], ..., X[l, j - 1], up-conv(X[l + 1, j - 1])])
        logits  = conv1x1(X[0, blocks]); with deep supervision a conv1x1 of each of X[0, 1], ..., X[0, blocks]

    A block is 2 x [conv3x3, BN, ReLU]. There are `blocks` poolings; level l (from 0) has ``width * 2 ** l`` channels
    and ``blocks + 1 - l`` blocks. As in the reference the deep supervision's outputs are averaged in the end ("accurate
    mode"); here it is the logits, of which the average is a map of logits again. Dropout follows every pooling, as in
    the paper's network.

    Reference:
        Zhou et al., *UNet++: a nested U-Net architecture for medical image segmentation*,
        https://arxiv.org/abs/1807.10165.

    Args:
        in_channels: channels of the image.
        width: channels of the first level.
        blocks: number of poolings.
        dropout: probability that a value is dropped after a pooling.
        deep_supervision: whether every block of the first level but the encoder's yields logits, not the last alone.

    Shapes:
        image (B, in_channels, H, W) in [0, 1] -> logits (B, 1, H, W); H and W must be multiples of `stride`. In
        training mode with deep supervision a list of `blocks` such logits, to be learnt by alike.

    Raises:
        ValueError: an impossible argument, or, when called, an image of other channels or with bad sides.
    """

    def __init__(self, in_channels: int, width: int, blocks: int, dropout: float, *, deep_supervision: bool) -> None:
        super().__init__()
        self.in_channels = at_least("in_channels", in_channels, 1)
        self.blocks = at_least("blocks", blocks, 1, MOST_BLOCKS)
        at_least("width", width, 1)
        between("dropout", dropout, 0, 1, open_high=True)
        self.deep_supervision = boolean("deep_supervision", deep_supervision)
        widths = [width * 2**level for level in range(blocks + 1)]
        self.nodes = nn.ModuleDict()  # "l_j" makes X[l, j]
        self.ups = nn.ModuleDict()  # "l_j" doubles X[l + 1, j - 1] for it
        for level, (above, own) in enumerate(pairwise([in_channels, *widths])):
            self.nodes[f"{level}_0"] = DoubleConvolution(above, own)
            for j in range(1, blocks + 1 - level):
                self.nodes[f"{level}_{j}"] = DoubleConvolution((j + 1) * own, own)
                self.ups[f"{level}_{j}"] = up_convolution(2 * own, own)
        self.dropout = nn.Dropout(dropout)
        heads = blocks if deep_supervision else 1
        self.heads = nn.ModuleList(nn.Conv2d(width, 1, kernel_size=1) for _ in range(heads))

    @property
    def stride(self) -> int:
        """The sides of an image must be multiples of it (pixels)."""
        return int(2**self.blocks)

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """Logits (B, 1, H, W) of an image (B, in_channels, H, W), a list of them if deeply supervised in training."""
        check_image(image, self.in_channels, self.blocks, base=2)
        maps = self._first_row(image)[-len(self.heads) :]
        logits = [head(x) for head, x in zip(self.heads, maps, strict=True)]
        if self.deep_supervision and self.training:
            return logits
        return torch.stack(logits).mean(dim=0)

    def _first_row(self, image: Tensor) -> list[Tensor]:
        """X[0, 1], ..., X[0, blocks]."""
        rows = [[self.nodes["0_0"](image)]]
        for level in range(1, self.blocks + 1):
            pooled = F.max_pool2d(rows[-1][0], kernel_size=2)
            rows.append([self.nodes[f"{level}_0"](self.dropout(pooled))])
        for j in range(1, self.blocks + 1):
            for level in range(self.blocks + 1 - j):
                node = f"{level}_{j}"
                below = self.ups[node](rows[level + 1][j - 1])
                rows[level].append(self.nodes[node](torch.cat([*rows[level], below], dim=1)))
        return rows[0][1:]
