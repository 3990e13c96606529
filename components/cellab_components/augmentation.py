"""Augmentations: random maps that a crop is drawn through, and random changes of its appearance.

All random numbers are drawn on the CPU from the generator that is passed, so that every device sees the same ones.
"""

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from cellab_components.checks import between, interval


class NoAugmentation:
    """Crops as they are.

    .. code-block:: text

        input = output

    Reference: the control of the augmentation of Hann, section 4.5.

    Shapes:
        images (B, 1, H, W) -> themselves.
    """

    def linear(self, count: int, generator: Generator) -> Tensor:  # noqa: ARG002
        """Identities (count, 2, 2), float32, on the CPU."""
        return torch.eye(2).expand(count, 2, 2)

    def displacement(self, count: int, size: int, generator: Generator) -> Tensor | None:  # noqa: ARG002
        """None: straight lines stay straight."""
        return None

    def appearance(self, images: Tensor, generator: Generator) -> Tensor:  # noqa: ARG002
        """The images (B, 1, H, W) themselves."""
        return images


class Flips:
    """Horizontal and vertical flips, independently: what the GAN's training frames get.

    Reference: Hann, section 4.5.

    Args:
        probability: of each of both flips.

    Raises:
        ValueError: `probability` is not in [0, 1].
    """

    def __init__(self, probability: float = 0.5) -> None:
        self.probability = between("probability", probability, 0, 1)

    def linear(self, count: int, generator: Generator) -> Tensor:
        """Diagonal matrices (count, 2, 2) of 1 and -1, float32, on the CPU."""
        flipped = torch.rand(count, 2, generator=generator) < self.probability
        return torch.diag_embed(1.0 - 2.0 * flipped)

    def displacement(self, count: int, size: int, generator: Generator) -> Tensor | None:  # noqa: ARG002
        """None: straight lines stay straight."""
        return None

    def appearance(self, images: Tensor, generator: Generator) -> Tensor:  # noqa: ARG002
        """The images (B, 1, H, W) themselves."""
        return images


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
        zoom = _uniform(zoom, self.zoom)
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
        noises = noises * _uniform(noise[rows], self.noise)[:, None, None, None]
        rows_there = rows.to(images.device)
        changed = _gaussian_blur(images[rows_there], _uniform(blur[rows], self.blur), reach=self.blur[1])
        changed = (changed + noises.to(images)).clamp(0, 1)
        return images.index_copy(0, rows_there, changed)


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
        bent = images ** _column(_uniform(gamma, self.gamma), images)
        mean = bent.mean(dim=(1, 2, 3), keepdim=True)
        bent = (_column(_uniform(contrast, self.contrast), images) * (bent - mean) + mean).clamp(0, 1)
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


def _uniform(share: Tensor, limits: tuple[float, float]) -> Tensor:
    low, high = limits
    return low + (high - low) * share


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
