"""Reads the prominence of crops, the mean of the mask, from summed-area tables (paper 4.4).

A table makes each of them four look-ups, whatever the crop's size (Crow 1984, Summed-area tables for texture mapping).
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def summed_area(values: np.ndarray) -> np.ndarray:
    """What the values (H, W) above and to the left sum up to: (H + 1, W + 1), int32 of whole numbers, else float64."""
    height, width = values.shape
    dtype = np.int32 if np.issubdtype(values.dtype, np.integer) else np.float64
    table = np.zeros((height + 1, width + 1), dtype)
    np.cumsum(values, axis=0, dtype=dtype, out=table[1:, 1:])
    np.cumsum(table[1:, 1:], axis=1, out=table[1:, 1:])
    return table


def marked_pixels(mask: np.ndarray, size: int) -> np.ndarray:
    """The number of mask pixels in the crop at every place, (H - size + 1, W - size + 1) int32."""
    table = summed_area(mask)
    counts: np.ndarray = table[size:, size:] - table[:-size, size:] - table[size:, :-size] + table[:-size, :-size]
    return counts


class SummedAreas:
    """The tables of many masks, or of other values, on the CPU.

    Args:
        values: (H, W) each, of any sizes.
    """

    def __init__(self, values: Sequence[np.ndarray]) -> None:
        tables = [summed_area(each) for each in values]
        lengths = torch.tensor([table.size for table in tables], dtype=torch.int64)
        self._entries = torch.from_numpy(np.concatenate([table.ravel() for table in tables]))
        self._starts = lengths.cumsum(0) - lengths
        self._widths = torch.tensor([table.shape[1] for table in tables], dtype=torch.int64)

    def prominence(self, places: Tensor, size: int) -> Tensor:
        """Of masks: (B,) float64 in [0, 1] of crops of `size` pixels at `places` (B, 3): frame, top, left."""
        return self.totals(places, size) / size**2

    def totals(self, places: Tensor, size: int) -> Tensor:
        """The sums (B,) float64 of the values in crops of `size` pixels at `places` (B, 3): frame, top, left."""
        frame, top, left = places.unbind(1)
        start, width = self._starts[frame], self._widths[frame]
        above, below = start + top * width + left, start + (top + size) * width + left
        entries = self._entries
        total = entries[below + size] - entries[above + size] - entries[below] + entries[above]
        return total.double()
