"""Discriminators: from an image to one logit, each sample judged by itself."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cellab_components.checks import at_least, between, boolean, power_of_two

LAST_SIDE = 4  # pixels of the map that the linear layer judges


class Discriminator(nn.Module):
    """Strided 3x3 convolutions, with optional dilated branches and copies of the image, down to one logit.

    .. code-block:: text

        image -> [strided conv3x3 (parallel branches) -> LeakyReLU -> concat image / 2 ** n] x n -> linear -> logit

    Blocks halve the map's side from `size` down to 4. A block's output of ``min(max_width, width * 2 ** block)``
    channels is shared out among its branches, which read the same map with different dilations and are concatenated:
    an undilated branch sees texture, a dilated one large structures. With `resample`, a copy of the image, averaged
    down to the new side, is concatenated wherever the map shrinks. There is no norm: nothing mixes the samples.

    Reference:
        Hann, section 7 and figure 5; LeakyReLU from Radford et al., https://arxiv.org/abs/1511.06434.

    Args:
        in_channels: channels of the image.
        width: channels that the first block makes.
        size: side of the image in pixels, a power of two of at least 8.
        dilations: for each block the dilations of its branches, ``[[1]]`` is plain; the last entry holds on. An even
            one looks at every second row and column only, as the stride is 2: give it an odd one as its neighbour.
        resample: whether the image is shown again at every scale.
        max_width: most channels that a block makes.
        negative_slope: of the LeakyReLU.

    Shapes:
        image (B, in_channels, size, size) in [-1, 1] -> logits (B,).

    Raises:
        ValueError: an impossible argument, or, when called, an image of another shape.
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        size: int,
        *,
        dilations: Sequence[Sequence[int]] = ((1,),),
        resample: bool = False,
        max_width: int = 512,
        negative_slope: float = 0.2,
    ) -> None:
        super().__init__()
        self.in_channels = at_least("in_channels", in_channels, 1)
        self.size = power_of_two("size", size, 2 * LAST_SIDE)
        self.resample = boolean("resample", resample)
        self.negative_slope = between("negative_slope", negative_slope, 0, 1, open_high=True)
        at_least("max_width", max_width, at_least("width", width, 1))
        blocks = (size // LAST_SIDE).bit_length() - 1
        branches = _check_dilations(dilations, width, size, blocks)
        widths = [min(max_width, width * 2**block) for block in range(blocks)]
        shown = in_channels if resample else 0
        entering = [in_channels, *(made + shown for made in widths)]
        self.blocks = nn.ModuleList(
            ParallelConv(entering[n], widths[n], branches[min(n, len(branches) - 1)]) for n in range(blocks)
        )
        self.head = nn.Linear(entering[-1] * LAST_SIDE**2, 1)
        self._initialise()

    def _initialise(self) -> None:
        """He et al., https://arxiv.org/abs/1502.01852: PyTorch's own initialisation shrinks the signal at every layer.

        Without a norm nothing makes up for it: the logit then hardly depends on the image, and the generator collapses.
        """
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, self.negative_slope, nonlinearity="leaky_relu")
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B,) of images (B, in_channels, size, size); the larger, the more real."""
        expected = (self.in_channels, self.size, self.size)
        if image.ndim != 4 or image.shape[1:] != expected:
            raise ValueError(f"image: {tuple(image.shape)} is not of shape (B, {', '.join(map(str, expected))}).")
        x = image
        for block in self.blocks:
            x = F.leaky_relu(block(x), self.negative_slope)
            if self.resample:
                image = F.avg_pool2d(image, kernel_size=2)
                x = torch.cat([x, image], dim=1)
        logits: Tensor = self.head(x.flatten(1))
        return logits.squeeze(1)


class ParallelConv(nn.Module):
    """Strided 3x3 convolutions of several dilations side by side: (B, in_channels, H, W) -> (B, width, H/2, W/2)."""

    def __init__(self, in_channels: int, width: int, dilations: Sequence[int]) -> None:
        super().__init__()
        share, rest = divmod(width, len(dilations))
        self.branches = nn.ModuleList(
            nn.Conv2d(in_channels, share + (n < rest), kernel_size=3, stride=2, padding=d, dilation=d)
            for n, d in enumerate(dilations)
        )

    def forward(self, x: Tensor) -> Tensor:
        """The branches' maps, concatenated."""
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def _check_dilations(dilations: Sequence[Sequence[int]], width: int, size: int, blocks: int) -> list[list[int]]:
    lists = isinstance(dilations, Sequence) and all(isinstance(block, Sequence) and block for block in dilations)
    if not lists or not dilations or not all(type(d) is int and d >= 1 for block in dilations for d in block):
        raise ValueError(
            f"dilations: {dilations!r} is not allowed; it must be a list of at least one non-empty list of "
            f"whole numbers of at least 1, such as [[1, 5], [1, 3], [1]]."
        )
    branches = [list(block) for block in dilations]
    for block in range(blocks):
        widest, side = max(branches[min(block, len(branches) - 1)]), size >> block
        if widest >= side:
            raise ValueError(
                f"dilations: {widest} is not allowed in block {block}, whose map has {side} x {side} pixels: its "
                f"outer taps would see nothing but the border."
            )
    if max(map(len, branches)) > width:
        raise ValueError(f"dilations: {branches!r} has more branches than a block has channels (width: {width}).")
    return branches
