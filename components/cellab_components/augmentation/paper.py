"""The paper's augmentation."""

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from cellab_components.augmentation.drawing import uniform
from cellab_components.augmentation.flips import Flips
from cellab_components.checks import between, interval


class PaperAugmentation:
    """The paper's augmentation: rotation, slight scaling, shear and flips; seldom blur and noise together.

    .. code-block:: text

        input = R(angle) [[1, shear], [0, 1]] / zoom  diag(+-1, +-1) output

    Coordinates are column vectors (x to the right, y down) from the crop's centre; angle, shear and zoom are uniform.
    Blurred images are convolved with a Gaussian, then N(0, noise^2) is added, and the result is kept in [0, 1].

    Reference: Hann, section 4.5; the paper gives no ranges.

    Args:
        rotation: largest angle to either side, in degrees.
        zoom: [low, high]; above 1 enlarges what the image shows.
        shear: largest shear to either side, as a slope.
        flip_probability: of the horizontal and of the vertical flip.
        appearance_probability: of blur and noise, which come together.
        blur: [low, high] of the Gaussian's standard deviation, in pixels.
        noise: [low, high] of the noise's standard deviation, of the range of grey values [0, 1].

    Raises:
        ValueError: an impossible argument.
    """

    def __init__(
        self,
        *,
        rotation: float,
        zoom: Sequence[float],
        shear: float,
        flip_probability: float,
        appearance_probability: float,
        blur: Sequence[float],
        noise: Sequence[float],
    ) -> None:
        self.rotation = between("rotation", rotation, 0, 180)
        self.zoom = interval("zoom", zoom, 0.1, 10)
        self.shear = between("shear", shear, 0, 1)
        self.flips = Flips(between("flip_probability", flip_probability, 0, 1))
        self.appearance_probability = between("appearance_probability", appearance_probability, 0, 1)
        self.blur = interval("blur", blur, 0, 100)
        self.noise = interval("noise", noise, 0, 1)

    def linear(self, count: int, generator: Generator) -> Tensor:
        """Random linear maps of output to input coordinates (count, 2, 2), float32, on the CPU."""
        flips = self.flips.linear(count, generator)
        angle, shear, zoom = torch.rand(count, 3, generator=generator).unbind(1)
        angle = math.radians(self.rotation) * (2 * angle - 1)
        shear = self.shear * (2 * shear - 1)
        zoom = uniform(zoom, self.zoom)
        rotations = _matrices(angle.cos(), -angle.sin(), angle.sin(), angle.cos())
        shears = _matrices(torch.ones(count), shear, torch.zeros(count), torch.ones(count))
        return rotations @ shears @ flips / zoom[:, None, None]

    def displacement(self, count: int, size: int, generator: Generator) -> Tensor | None:  # noqa: ARG002
        """None: straight lines stay straight."""
        return None

    def appearance(self, images: Tensor, generator: Generator) -> Tensor:
        """Some of the images (B, 1, H, W) in [0, 1] blurred and noisy, the others as they are."""
        chosen, blur, noise = torch.rand(len(images), 3, generator=generator).unbind(1)
        rows = torch.nonzero(chosen < self.appearance_probability).squeeze(1)
        if len(rows) == 0:
            return images
        noises = torch.randn(len(rows), *images.shape[1:], generator=generator)
        noises = noises * uniform(noise[rows], self.noise)[:, None, None, None]
        rows_there = rows.to(images.device)
        changed = _gaussian_blur(images[rows_there], uniform(blur[rows], self.blur), reach=self.blur[1])
        changed = (changed + noises.to(images)).clamp(0, 1)
        return images.index_copy(0, rows_there, changed)


def _matrices(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """Matrices [[a, b], [c, d]] (N, 2, 2) of four vectors (N,)."""
    return torch.stack([torch.stack([a, b], dim=1), torch.stack([c, d], dim=1)], dim=1)


def _gaussian_blur(images: Tensor, deviations: Tensor, reach: float) -> Tensor:
    """Images (N, 1, H, W) convolved with Gaussians of the deviations (N,) up to `reach` pixels; borders repeated."""
    radius = max(1, math.ceil(3 * reach))
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float32)
    # A deviation of 0 would divide by 0; this one leaves an image as it is.
    kernels = torch.exp(-0.5 * (offsets / deviations.clamp(min=1e-3)[:, None]).square())
    kernels = (kernels / kernels.sum(dim=1, keepdim=True)).to(images)
    padded = F.pad(images.transpose(0, 1), (radius,) * 4, mode="replicate")
    rows = F.conv2d(padded, kernels[:, None, None, :], groups=len(images))
    return F.conv2d(rows, kernels[:, None, :, None], groups=len(images)).transpose(0, 1)
