"""Differentiable augmentation of what discriminators see."""

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from cellab_components.checks import between


class DiffAugment:
    """Differentiable augmentation of real and generated images, against discriminators that learn few frames by heart.

    .. code-block:: text

        brightness    x + b,                       b ~ U(-brightness, brightness)
        contrast      c (x - mean(x)) + mean(x),   c ~ U(1 - contrast, 1 + contrast)
        translation   by whole pixels of up to translation * side to either side, on each axis; what moves in is 0
        cutout        a square of cutout * side, its centre anywhere in the image, becomes 0

    In this order, drawn for each image alone. A strength of 0 switches a policy off and leaves the others' random
    numbers as they are. The reference's saturation has no meaning for grey images. Grey values may leave [-1, 1].

    Reference:
        Zhao et al., *Differentiable augmentation for data-efficient GAN training*, https://arxiv.org/abs/2006.10738.

    Args:
        brightness: largest change to either side, of grey values in [-1, 1].
        contrast: largest change of the factor to either side of 1.
        translation: largest shift to either side, as a share of the image's side.
        cutout: side of the square, as a share of the image's side.

    Shapes:
        images (B, C, H, W) in [-1, 1] -> the same shape.

    Raises:
        ValueError: a strength is not in [0, 1].
    """

    def __init__(self, *, brightness: float, contrast: float, translation: float, cutout: float) -> None:
        self.brightness = between("brightness", brightness, 0, 1)
        self.contrast = between("contrast", contrast, 0, 1)
        self.translation = between("translation", translation, 0, 1)
        self.cutout = between("cutout", cutout, 0, 1)

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """The images, changed; gradients flow through to them."""
        shares = torch.rand(6, len(images), generator=generator)
        if self.brightness:
            images = images + _column(self.brightness * (2 * shares[0] - 1), images)
        if self.contrast:
            mean = images.mean(dim=(1, 2, 3), keepdim=True)
            images = _column(1 + self.contrast * (2 * shares[1] - 1), images) * (images - mean) + mean
        if self.translation:
            images = self._translated(images, shares[2:4])
        if self.cutout:
            images = self._cut_out(images, shares[4:])
        return images

    def _translated(self, images: Tensor, shares: Tensor) -> Tensor:
        reach = torch.tensor([[round(self.translation * side)] for side in images.shape[2:]])
        shifts = ((2 * reach + 1) * shares).floor().long() - reach
        return torch.stack([F.pad(x, (r, -r, d, -d)) for x, (d, r) in zip(images, shifts.T.tolist(), strict=True)])

    def _cut_out(self, images: Tensor, shares: Tensor) -> Tensor:
        rows, columns = (
            _in_hole(side, round(self.cutout * side), share)
            for side, share in zip(images.shape[2:], shares, strict=True)
        )
        hole = rows[:, None, :, None] & columns[:, None, None, :]
        return images * (~hole).to(images)


def _column(values: Tensor, images: Tensor) -> Tensor:
    return values.to(images)[:, None, None, None]


def _in_hole(side: int, width: int, shares: Tensor) -> Tensor:
    """Which of `side` places (B, side) lie in a hole of `width` places, its centre at shares (B,) of the side."""
    first = (shares * side).floor().long() - width // 2
    offset = torch.arange(side) - first[:, None]
    return (offset >= 0) & (offset < width)
