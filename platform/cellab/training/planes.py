"""Keeps frames of any sizes on the device, and cuts squares out of several of them at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
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

    def cut(self, frame: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Squares (B, C, S, S) of frames (B,) at rows (B, S) and columns (B, S), all on the device."""
        first = self.starts[frame][:, None, None]
        index = first + rows[:, :, None] * self.widths[frame][:, None, None] + columns[:, None, :]
        return self.pixels[:, index].transpose(0, 1)
