"""The members of a generation, predicting full frames."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cellab.contracts import Voting
from cellab.evaluation.tiling import predict
from cellab.requests import Tiles
from cellab.settings import Component
from cellab.stage import Workplace
from cellab.training.networks import UNET, load_network, to_channels_last


class Ensemble:
    """Networks that vote.

    Args:
        unet: what they are.
        members: keys of the stages that trained them.
        voting: of theirs.
        tiles: how frames are predicted.
        workplace: where their weights are.
        device: where they are to be.
    """

    def __init__(
        self,
        unet: Component,
        members: tuple[str, ...],
        voting: Voting,
        tiles: Tiles,
        workplace: Workplace,
        device: torch.device,
    ) -> None:
        self.members = [load_network(unet, "unet", workplace.inputs[key] / UNET, device) for key in members]
        self.voting = voting
        self.tiles = tiles
        self.device = device

    def predict(self, frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Each member's probability (K, H, W) in [0, 1] of the pixels of a frame (H, W)."""
        return predict(self._votes, frame, self.tiles, self.device)

    def _votes(self, images: Tensor) -> Tensor:
        return self.voting.votes(self.members, to_channels_last(images))


def spread(indices: np.ndarray, count: int | None) -> np.ndarray:
    """`count` of the indices, evenly spaced; all where there are fewer, or `count` is None."""
    if count is None or len(indices) <= count:
        return indices
    return indices[np.round(np.linspace(0, len(indices) - 1, count)).astype(int)] if count else indices[:0]
