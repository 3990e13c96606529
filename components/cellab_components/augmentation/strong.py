"""The paper's augmentation and more: elastic deformation, grey values, cutout."""

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from cellab_components.augmentation.drawing import uniform
from cellab_components.augmentation.paper import PaperAugmentation
from cellab_components.checks import between, interval


class StrongAugmentation:
    """The paper's augmentation, and elastic deformation, other contrast and gamma, and now and then a square cut out.

    .. code-block:: text

        input = (the paper's map) output + d(output),   d = sum_ij b(x / spacing - i) b(y / spacing - j) c_ij
        appearance: x -> contrast (x^gamma - mean) + mean, mean of x^gamma, kept in [0, 1]; then the paper's blur and
        noise; then a square at a random place becomes the image's mean

    b is the cubic B-spline, and the control points' offsets c_ij are uniform in [-amplitude, amplitude] on both axes:
    d is smooth, never longer than the amplitude on an axis and typically 0.3 of it. An amplitude below a quarter of
    the spacing cannot fold the image by itself. The square is cut out of the image only: a given mask
    still says what was there, while parents label the image as it is, and guess what the square hides.

    Reference:
        Ronneberger et al., *U-Net*, https://arxiv.org/abs/1505.04597, section 3.1 (elastic deformation);
        DeVries and Taylor, *Improved regularization of convolutional neural networks with cutout*,
        https://arxiv.org/abs/1708.04552.

    Args:
        rotation, zoom, shear, flip_probability, appearance_probability, blur, noise: as `PaperAugmentation`.
        amplitude: largest displacement on each axis, in pixels; 0 switches it off.
        spacing: distance of the control points, in pixels, at least 1.
        contrast: [low, high] of the factor.
        gamma: [low, high] of the exponent of grey values in [0, 1].
        cutout_probability: of a square cut out.
        cutout: its side, as a share of the image's shorter side; its centre may be anywhere in the image.

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
        amplitude: float,
        spacing: float,
        contrast: Sequence[float],
        gamma: Sequence[float],
        cutout_probability: float,
        cutout: float,
    ) -> None:
        self.paper = PaperAugmentation(
            rotation=rotation,
            zoom=zoom,
            shear=shear,
            flip_probability=flip_probability,
            appearance_probability=appearance_probability,
            blur=blur,
            noise=noise,
        )
        self.amplitude = between("amplitude", amplitude, 0, 1000)
        self.spacing = between("spacing", spacing, 1, float("inf"), open_high=True)
        self.contrast = interval("contrast", contrast, 0, 100)
        self.gamma = interval("gamma", gamma, 0.1, 100)
        self.cutout_probability = between("cutout_probability", cutout_probability, 0, 1)
        self.cutout = between("cutout", cutout, 0, 1)

    def linear(self, count: int, generator: Generator) -> Tensor:
        """The paper's linear maps (count, 2, 2), float32, on the CPU."""
        return self.paper.linear(count, generator)

    def displacement(self, count: int, size: int, generator: Generator) -> Tensor | None:
        """Smooth random offsets (count, size, size, 2) in pixels (x, y), float32, on the CPU; None at amplitude 0."""
        if self.amplitude == 0:
            return None
        basis = _cubic_splines(size, self.spacing)
        points = basis.shape[1]
        offsets = self.amplitude * (2 * torch.rand(count, 2, points, points, generator=generator) - 1)
        return (basis @ offsets @ basis.T).permute(0, 2, 3, 1)

    def appearance(self, images: Tensor, generator: Generator) -> Tensor:
        """The images (B, 1, H, W) in [0, 1] with other grey values, some blurred and noisy, some with a square cut."""
        contrast, gamma, *cut = torch.rand(5, len(images), generator=generator)
        bent = images ** _column(uniform(gamma, self.gamma), images)
        mean = bent.mean(dim=(1, 2, 3), keepdim=True)
        bent = (_column(uniform(contrast, self.contrast), images) * (bent - mean) + mean).clamp(0, 1)
        return self._cut_out(self.paper.appearance(bent, generator), *cut)

    def _cut_out(self, images: Tensor, chosen: Tensor, row: Tensor, column: Tensor) -> Tensor:
        width = round(self.cutout * min(images.shape[2:]))
        rows, columns = (
            _in_hole(side, width, share) for side, share in zip(images.shape[2:], (row, column), strict=True)
        )
        hole = rows[:, None, :, None] & columns[:, None, None, :]
        hole = (hole & (chosen < self.cutout_probability)[:, None, None, None]).to(images.device)
        return torch.where(hole, images.mean(dim=(1, 2, 3), keepdim=True), images)


def _cubic_splines(size: int, spacing: float) -> Tensor:
    """Uniform cubic B-splines at the pixels of a side: (size, control points), float32; each row sums to 1."""
    places = torch.arange(size) / spacing
    first = torch.arange(math.floor((size - 1) / spacing) + 4) - 1
    distance = (places[:, None] - first).abs()
    near = 2 / 3 - distance.square() * (1 - distance / 2)
    far = (2 - distance).clamp(min=0) ** 3 / 6
    return torch.where(distance < 1, near, far)


def _in_hole(side: int, width: int, shares: Tensor) -> Tensor:
    """Which of `side` places (B, side) lie in a hole of `width` places, its centre at shares (B,) of the side."""
    first = (shares * side).floor().long() - width // 2
    offset = torch.arange(side) - first[:, None]
    return (offset >= 0) & (offset < width)


def _column(values: Tensor, images: Tensor) -> Tensor:
    """Values (B,) to multiply images (B, 1, H, W) with."""
    return values.to(images)[:, None, None, None]
