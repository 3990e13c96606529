"""Frames that crops are cut from, with their masks: on the device once, and changed by nobody."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from cellab.data.hidden import DataFile
from cellab.requests import StoredFrames
from cellab.training.planes import Planes
from cellab.training.prominence import SummedAreas

Pixels = Sequence[np.ndarray]  # N of (H, W) uint8


@dataclass(frozen=True)
class Frames:
    """N frames and what is known of them; members that are trained side by side share them.

    Args:
        planes: their channels, uint8: the image; the mask (0 or 1), where there are masks; the truth, likewise.
        sizes: (N, 2) int64 on the CPU: height and width of each, in pixels.
        areas: of the masks; None where there are none.
        has_truth: whether there are truths.
        annotated: (N,) bool on the CPU: whether a frame's mask is one, rather than zeros for want of any.
    """

    planes: Planes
    sizes: Tensor
    areas: SummedAreas | None
    has_truth: bool
    annotated: Tensor

    @classmethod
    def of(
        cls,
        images: Pixels,
        device: torch.device,
        masks: Pixels | None = None,
        truths: Pixels | None = None,
        annotated: np.ndarray | None = None,
    ) -> Self:
        """Of arrays; without `annotated` all masks are ones."""
        channels = [channel for channel in (images, masks, truths) if channel is not None]
        return cls(
            planes=Planes.of_frames(channels, device),
            sizes=torch.tensor([image.shape for image in images]),
            areas=None if masks is None else SummedAreas(masks),
            has_truth=truths is not None,
            annotated=torch.ones(len(images), dtype=torch.bool) if annotated is None else torch.from_numpy(annotated),
        )

    @classmethod
    def of_training(cls, file: DataFile, wanted: StoredFrames, device: torch.device) -> Self:
        """The images of the training frames, without masks."""
        with file.open() as data:
            images = data.frames(wanted.scale, data.indices("train"))
        return cls.of(images, device)

    @classmethod
    def of_labelled(
        cls, file: DataFile, wanted: StoredFrames, labels: str, device: torch.device, *, with_truth: bool
    ) -> Self:
        """The training frames with the masks to learn from.

        Args:
            file: of the data set.
            wanted: which scale of it.
            labels: ``"given"`` masks, or the ``"truth"``.
            device: where they will be.
            with_truth: whether the truth, where there is one, comes too: for reports.
        """
        with file.open(wanted.hiding) as data:
            indices = data.indices("train")
            images = data.frames(wanted.scale, indices)
            truth = data.truth(wanted.scale, indices) if data.has_truth else None
            if labels == "truth":
                masks, annotated = truth, None
            else:
                masks, annotated = data.masks(wanted.scale, indices), data.annotated[indices]
        return cls.of(images, device, masks, truth if with_truth else None, annotated)

    def __len__(self) -> int:
        return len(self.sizes)
