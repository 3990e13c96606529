"""Keeps frames of any sizes on the device, and cuts squares out of several of them at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Planes:
    """Frames of several channels, one after the other, each row by row.

    Args:
        pixels: (C, P), any dtype, on the device: the P pixels of all frames.
        starts: (N,) int64, likewise: where each frame begins among them.
        heights: (N,) int64, likewise.
        widths: (N,) int64, likewise.
    """

    pixels: Tensor
    starts: Tensor
    heights: Tensor
    widths: Tensor

    @classmethod
    def of_frames(cls, channels: Sequence[Sequence[np.ndarray]], device: torch.device) -> Self:
        """Of C channels, each a list of N frames (H, W) uint8; the n-th of every channel are of one size."""
        sizes = np.array([frame.shape for frame in channels[0]], np.int64).reshape(-1, 2)
        ends = sizes.prod(axis=1).cumsum()
        pixels = np.empty((len(channels), int(ends[-1]) if len(ends) else 0), np.uint8)
        for row, channel in zip(pixels, channels, strict=True):
            for frame, end in zip(channel, ends.tolist(), strict=True):
                row[end - frame.size : end] = frame.ravel()
        starts = torch.from_numpy(ends - sizes.prod(axis=1))
        heights, widths = torch.from_numpy(sizes.T.copy())
        return cls(torch.from_numpy(pixels).to(device), starts.to(device), heights.to(device), widths.to(device))

    @classmethod
    def of_images(cls, images: Tensor) -> Self:
        """Of images (N, C, H, W) of one size."""
        count, channels, height, width = images.shape
        starts = torch.arange(count, device=images.device) * (height * width)
        heights, widths = (torch.full_like(starts, length) for length in (height, width))
        return cls(images.transpose(0, 1).reshape(channels, -1), starts, heights, widths)

    def cut(self, places: Tensor, size: int) -> Tensor:
        """Squares of frames, mirrored beyond the border, the border pixel not repeated.

        Args:
            places: (B, 3) integer, on the CPU: frame, top and left of each square, which may stick out.
            size: the squares' side S, in pixels.

        Returns:
            (B, C, S, S) float, in the frames' units.
        """
        return self.sliced(places, size) if self.pixels.device.type == "cpu" else self.gathered(places, size)

    def sliced(self, places: Tensor, size: int) -> Tensor:
        """As `cut`, square by square: the fastest where a square costs no launch of a kernel."""
        squares = torch.empty(len(places), len(self.pixels), size, size)
        frame = places[:, 0]
        wanted = (places[:, 1], places[:, 2], self.starts[frame], self.heights[frame], self.widths[frame])
        for square, (top, left, start, height, width) in zip(squares, torch.stack(wanted, 1).tolist(), strict=True):
            whole = self.pixels[:, start : start + height * width].view(-1, height, width)
            above, below = _beyond(top, size, height)
            before, after = _beyond(left, size, width)
            part = whole[:, max(top, 0) : max(top + size, 0), max(left, 0) : max(left + size, 0)]
            if not (above or below or before or after):
                square.copy_(part)
            elif max(above, below) < part.shape[1] and max(before, after) < part.shape[2]:
                square.copy_(F.pad(part.float(), (before, after, above, below), mode="reflect"))
            else:  # so far out that what is mirrored is mirrored again
                offsets = torch.arange(size)
                square.copy_(whole[:, _mirror(top + offsets, height)][:, :, _mirror(left + offsets, width)])
        return squares

    def gathered(self, places: Tensor, size: int) -> Tensor:
        """As `cut`, all squares by one index."""
        frame, top, left = places.to(self.pixels.device).unbind(1)
        offsets = torch.arange(size, device=self.pixels.device)
        rows = _mirror(top[:, None] + offsets, self.heights[frame][:, None])
        columns = _mirror(left[:, None] + offsets, self.widths[frame][:, None])
        first = self.starts[frame][:, None, None]
        index = first + rows[:, :, None] * self.widths[frame][:, None, None] + columns[:, None, :]
        return self.pixels[:, index].transpose(0, 1).float()


def _beyond(first: int, size: int, length: int) -> tuple[int, int]:
    """How many of `size` places from `first` on lie before a side of this length, and how many after it."""
    return max(0, -first), max(0, first + size - length)


def _mirror(index: Tensor, length: Tensor | int) -> Tensor:
    """Reflects indices (..., S) beyond [0, length) at the borders; length is a number, or (..., 1)."""
    period = (2 * (torch.as_tensor(length) - 1)).clamp(min=1)  # a single pixel is all there is to reflect
    index = index.remainder(period)
    return torch.where(index < length, index, period - index)
