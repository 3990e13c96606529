"""Predicts full frames by overlapping tiles with a smooth window, so that no seams show (spec 9)."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cellab.requests import Tiles


def predict(
    votes: Callable[[Tensor], Tensor],
    frame: NDArray[np.uint8],
    tiles: Tiles,
    device: torch.device,
) -> NDArray[np.float32]:
    """The probability of every pixel of a frame, by each voter.

    Args:
        votes: images (B, 1, S, S) in [0, 1] to probabilities (K, B, 1, S, S) of K voters.
        frame: (H, W) of any size; mirrored beyond its border where tiles stick out.
        tiles: their side, a multiple of the network's stride; what they have in common, in [0, 1); how many at once.
        device: where the voters are.

    Returns:
        (K, H, W) in [0, 1].
    """
    tile, overlap = tiles.tile, tiles.overlap
    height, width = frame.shape
    rows, columns = starts(height, tile, overlap), starts(width, tile, overlap)
    padded = np.pad(frame, _padding(height, rows, tile) + _padding(width, columns, tile), mode="reflect")
    places = [(row, column) for row in rows for column in columns]
    window = smooth_window(tile)
    total: NDArray[np.float64] | None = None
    weight = np.zeros(padded.shape, np.float64)
    for chunk in _chunks(places, tiles.batch_size):
        cut = np.stack([padded[row : row + tile, column : column + tile] for row, column in chunk])
        images = torch.from_numpy(cut)[:, None].to(device).float() / 255
        of_chunk = votes(images)[:, :, 0].cpu().numpy()  # (K, B, tile, tile)
        total = np.zeros((len(of_chunk), *padded.shape), np.float64) if total is None else total
        for number, (row, column) in enumerate(chunk):
            area = np.s_[row : row + tile, column : column + tile]
            total[:, *area] += window * of_chunk[:, number]
            weight[area] += window
    assert total is not None  # every frame has a tile
    return (total / weight)[:, :height, :width].astype(np.float32)


def _padding(length: int, places: list[int], tile: int) -> tuple[tuple[int, int]]:
    return ((0, max(0, places[-1] + tile - length)),)


def _chunks(places: list[tuple[int, int]], size: int) -> Iterator[list[tuple[int, int]]]:
    for start in range(0, len(places), size):
        yield places[start : start + size]


def starts(length: int, tile: int, overlap: float) -> list[int]:
    """Where tiles begin along one axis: evenly spread, at least `overlap` in common, the last one ending at the end."""
    if length <= tile:
        return [0]
    stride = max(1, int(tile * (1 - overlap)))
    count = -(-(length - tile) // stride) + 1
    return [round(i * (length - tile) / (count - 1)) for i in range(count)]


def smooth_window(tile: int) -> NDArray[np.float64]:
    """(tile, tile) weights: a raised cosine along each axis, positive everywhere."""
    ramp = np.sin(np.pi * (np.arange(tile) + 0.5) / tile) ** 2
    return np.outer(ramp, ramp) + 1e-6
