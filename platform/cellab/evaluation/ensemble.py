"""The members of a generation, predicting full frames."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cellab.contracts import Voting
from cellab.evaluation.tiling import predict
from cellab.requests import Compute, Tiles
from cellab.settings import Component
from cellab.stage import Workplace
from cellab.training.networks import UNET, InPrecision, load_network


class Ensemble:
    """Networks that vote.

    Args:
        unet: what they are.
        members: keys of the stages that trained them.
        voting: of theirs.
        tiles: how frames are predicted.
        workplace: where their weights are.
        compute: where they are to be, and in which precision.
    """

    def __init__(
        self,
        unet: Component,
        members: tuple[str, ...],
        voting: Voting,
        tiles: Tiles,
        workplace: Workplace,
        compute: Compute,
    ) -> None:
        self.members = voters(unet, members, workplace, compute)
        self.voting = voting
        self.tiles = tiles
        self.device = torch.device(compute.device)

    def predict(self, frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Each member's probability (K, H, W) in [0, 1] of the pixels of a frame (H, W)."""
        return predict(self._votes, frame, self.tiles, self.device)

    def _votes(self, images: Tensor) -> Tensor:
        return self.voting.votes(self.members, images)


def voters(unet: Component, members: tuple[str, ...], workplace: Workplace, compute: Compute) -> list[InPrecision]:
    """The networks that stages have trained, ready to vote."""
    device = torch.device(compute.device)
    networks = [load_network(unet, "unet", workplace.inputs[key] / UNET, device) for key in members]
    return [InPrecision(network, compute) for network in networks]


def spread(indices: np.ndarray, count: int | None) -> np.ndarray:
    """`count` of the indices, evenly spaced; all where there are fewer, or `count` is None."""
    if count is None or len(indices) <= count:
        return indices
    return indices[np.round(np.linspace(0, len(indices) - 1, count)).astype(int)] if count else indices[:0]
