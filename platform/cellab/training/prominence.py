"""Reads the prominence of crops, the mean of the mask, from summed-area tables (paper 4.4).

A table makes each of them four look-ups, whatever the crop's size (Crow 1984, Summed-area tables for texture mapping).
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def summed_area(mask: np.ndarray) -> np.ndarray:
    """How many pixels of a mask (H, W), 0 or 1, lie above and to the left: (H + 1, W + 1) int32."""
    height, width = mask.shape
    table = np.zeros((height + 1, width + 1), np.int32)
    np.cumsum(mask, axis=0, dtype=np.int32, out=table[1:, 1:])
    np.cumsum(table[1:, 1:], axis=1, out=table[1:, 1:])
    return table


def marked_pixels(mask: np.ndarray, size: int) -> np.ndarray:
    """The number of mask pixels in the crop at every place, (H - size + 1, W - size + 1) int32."""
    table = summed_area(mask)
    counts: np.ndarray = table[size:, size:] - table[:-size, size:] - table[size:, :-size] + table[:-size, :-size]
    return counts


class SummedAreas:
    """The tables of many masks, on the CPU.

    Args:
        masks: (H, W) each, 0 or 1, of any sizes.
    """

    def __init__(self, masks: Sequence[np.ndarray]) -> None:
        tables = [summed_area(mask) for mask in masks]
        lengths = torch.tensor([table.size for table in tables], dtype=torch.int64)
        self._entries = torch.from_numpy(np.concatenate([table.ravel() for table in tables]))
        self._starts = lengths.cumsum(0) - lengths
        self._widths = torch.tensor([table.shape[1] for table in tables], dtype=torch.int64)

    def prominence(self, places: Tensor, size: int) -> Tensor:
        """(B,) float64 in [0, 1] of crops of `size` pixels at `places` (B, 3): frame, top, left."""
        frame, top, left = places.unbind(1)
        start, width = self._starts[frame], self._widths[frame]
        above, below = start + top * width + left, start + (top + size) * width + left
        entries = self._entries
        total = entries[below + size] - entries[above + size] - entries[below] + entries[above]
        return total.double() / size**2
