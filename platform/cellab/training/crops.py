"""Draws augmented crops from frames that live on the device (paper 4.1, 4.4, 4.5; spec 2).

Candidates are axis-aligned squares at random places of random frames. Their prominence, the mean of the mask, is read
from a summed-area table, so that a rejected candidate costs nothing. The accepted ones are cut and warped at once:
rotation, scale, shear and flips are one linear map of output to input coordinates, sampled bilinearly.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from cellab.contracts import Augmentation
from cellab.errors import CellabError
from cellab.requests import Prominence
from cellab.training.frames import Frames
from cellab.training.planes import Planes

_CACHED_VALUES = (
    2**18
)  # float32, of what is cut at once: 1 MiB, a core's cache; 2**16 to 2**19 measure alike, more less


@dataclass(frozen=True)
class Crops:
    """A batch of crops.

    Args:
        images: (B, 1, S, S) float in [0, 1].
        masks: (B, 1, S, S) float, 0 or 1; zeros where the source has no masks.
        truths: the same from the complete masks, for reports only; None where there are none.
        tried: candidates considered for them.
        rejected: those of too little prominence.
        annotated: (B,) bool on the device: whether the mask is one, rather than zeros for want of any; None: all are.
    """

    images: Tensor
    masks: Tensor
    truths: Tensor | None = None
    tried: int = 0
    rejected: int = 0
    annotated: Tensor | None = None


class CropSource:
    """Draws crops from frames.

    Args:
        frames: of any sizes from the crops' up.
        crop_size: S, in pixels.
        augmentation: linear maps and appearance.
        max_tries: candidates a wanted crop before giving up.
    """

    def __init__(self, frames: Frames, crop_size: int, augmentation: Augmentation, *, max_tries: int = 10_000) -> None:
        self.frames = frames
        self.spans = frames.sizes - crop_size + 1  # (N, 2): places along each axis
        self.all = torch.arange(len(frames))
        self.annotated = self.all[frames.annotated]
        self.crop_size = crop_size
        self.augmentation = augmentation
        self.max_tries = max_tries

    def draw(
        self, count: int, prominence: Prominence, generator: torch.Generator, *, only_annotated: bool = False
    ) -> Crops:
        """Draws crops of which a share is prominent.

        Args:
            count: how many.
            prominence: of their masks.
            generator: where all random numbers come from.
            only_annotated: whether frames without a mask, which say nothing of what is background, are left out.

        Raises:
            CellabError: none is found in `max_tries` candidates a crop.
        """
        frames = self.frames
        places, tried = self.places(count, prominence, generator, only_annotated=only_annotated)
        images, others = views(frames.planes, places, self.crop_size, self.augmentation, generator)
        labels = (others >= 0.5).float()
        masks = torch.zeros_like(images) if frames.areas is None else labels[:, :1]
        truths = labels[:, 1:2] if frames.has_truth else None
        annotated = frames.annotated[places[:, 0]].to(images.device)
        return Crops(images, masks, truths, tried, tried - count, annotated)

    def places(
        self, count: int, prominence: Prominence, generator: torch.Generator, *, only_annotated: bool = False
    ) -> tuple[Tensor, int]:
        """The places (count, 3) of such crops: frame, top, left, the prominent ones first; and candidates tried."""
        among = self.annotated if only_annotated else self.all
        filtered = count if prominence.share == 1 else chosen(count, prominence.share, generator)
        places, tried = self._prominent(filtered, prominence.least, generator, among)
        if filtered < count:
            places = torch.cat([places, self._candidates(count - filtered, generator, among)])
        return places, tried + count - filtered

    def _prominent(self, count: int, threshold: float, generator: torch.Generator, among: Tensor) -> tuple[Tensor, int]:
        """(count, 3) of frame, top, left; and how many candidates it took."""
        accepted: list[Tensor] = [torch.empty(0, 3, dtype=torch.int64)]
        found = tried = 0
        chunk = count
        while found < count:
            if tried >= self.max_tries * count:
                raise CellabError(
                    f"{tried} crops of {self.crop_size} x {self.crop_size} were tried for {count} whose prominence "
                    f"(mean of the mask) reaches {threshold:g}, and {found} found: lower "
                    "prominence_schedule.labelled (for pseudo-labels prominence_schedule.pseudo_labels), or "
                    "prominence_schedule.share."
                )
            candidates = self._candidates(chunk, generator, among)
            passed = (self._prominence(candidates) >= threshold).nonzero()[:, 0][: count - found]
            last = int(passed[-1]) + 1 if found + len(passed) == count else chunk
            tried += last
            found += len(passed)
            accepted.append(candidates[passed])
            chunk = min(4 * chunk, 4096)
        return torch.cat(accepted), tried

    def _candidates(self, chunk: int, generator: torch.Generator, among: Tensor) -> Tensor:
        """Places: each frame as often as any other, and within a frame each as often as any other."""
        where = torch.rand(chunk, 3, generator=generator, dtype=torch.float64)
        frame = among[(where[:, 0] * len(among)).long()]
        return torch.cat([frame[:, None], (where[:, 1:] * self.spans[frame]).long()], dim=1)

    def _prominence(self, candidates: Tensor) -> Tensor:
        if self.frames.areas is None:
            return torch.ones(len(candidates))
        return self.frames.areas.prominence(candidates, self.crop_size)


def chosen(count: int, share: float, generator: torch.Generator) -> int:
    """How many of `count` fall to something that each falls to with a probability."""
    return int((torch.rand(count, generator=generator) < share).sum())


def least_means(count: int, prominence: Prominence, generator: torch.Generator) -> Tensor:
    """The least mean (count,) that each of as many masks must have: a share of them, chosen by chance, the least."""
    if prominence.share == 1 or prominence.least == 0:
        return torch.full((count,), prominence.least)
    return prominence.least * (torch.rand(count, generator=generator) < prominence.share)


def views(
    planes: Planes, places: Tensor, size: int, augmentation: Augmentation, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Squares of frames, or of images, through random maps, the first channel with a random look.

    Args:
        planes: of them, grey values first, in [0, 255].
        places: (B, 3) integer, on the CPU: frame, top and left of each square.
        size: the squares' side S, in pixels.
        augmentation: makes the maps and the looks.
        generator: where all random numbers come from.

    Returns:
        Images (B, 1, S, S) float in [0, 1], and the other channels (B, C - 1, S, S) float in the planes' units.
    """
    linear = augmentation.linear(len(places), generator)
    displacement = augmentation.displacement(len(places), size, generator)
    warped = warp(planes, places, linear, size, displacement)
    return augmentation.appearance(warped[:, :1] / 255, generator), warped[:, 1:]


def warp(planes: Planes, places: Tensor, linear: Tensor, size: int, displacement: Tensor | None = None) -> Tensor:
    """Cuts squares and warps them about their centres, sampling bilinearly once, mirrored beyond the border.

    Args:
        planes: N frames of C channels.
        places: (B, 3) integer, on the CPU: frame, top and left of each square.
        linear: (B, 2, 2) float, on the CPU: output offset from the centre (x, y) to input offset.
        size: the squares' side S, in pixels.
        displacement: (B, S, S, 2) float, on the CPU: pixels (x, y) added to the input offset of each output pixel.

    Returns:
        (B, C, S, S) float, in the planes' units.
    """
    reach = linear.abs().sum(2).amax(1) * size / 2  # farthest input offset that any output pixel needs
    if displacement is not None:
        reach = reach + displacement.abs().amax((1, 2, 3))
    margins = reach.ceil().long() + 1 - size // 2
    # A few at a time, since memory that is still in the CPU's cache, and given out again, is much the fastest.
    together = len(places)
    if planes.pixels.device.type == "cpu":
        together = max(1, _CACHED_VALUES // (len(planes.pixels) * (size + 2 * int(margins.max())) ** 2))
    warped = [
        _warp(
            planes,
            places[some],
            linear[some],
            size,
            int(margins[some].max()),
            None if displacement is None else displacement[some],
        )
        for some in (slice(first, first + together) for first in range(0, len(places), together))
    ]
    return torch.cat(warped)


def _warp(
    planes: Planes, places: Tensor, linear: Tensor, size: int, margin: int, displacement: Tensor | None
) -> Tensor:
    """As `warp`, by way of squares that are larger by a margin on each side."""
    patch = size + 2 * margin
    patches = planes.cut(places - torch.tensor([0, margin, margin]), patch)
    places_in = _linear_grid(linear.to(patches.device), size)
    if displacement is not None:
        places_in = places_in + displacement.to(patches.device).permute(0, 3, 1, 2)
    # align_corners=False: normalised coordinate 1 is half a patch from the centre
    grid = (places_in * (2 / patch)).permute(0, 2, 3, 1)
    return F.grid_sample(patches, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _linear_grid(linear: Tensor, size: int) -> Tensor:
    """Where linear maps (B, 2, 2) take the pixels of a square, in pixels from its centre: x and y (B, 2, S, S).

    As `F.affine_grid`, whose product of matrices takes longer than the sampling; x and y are planes, as the sampling
    reads them fastest.
    """
    offsets = torch.arange(size, device=linear.device) - (size - 1) / 2
    return linear[:, :, 0, None, None] * offsets + linear[:, :, 1, None, None] * offsets[:, None]
