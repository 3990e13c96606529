"""Measures how much objects stand out from what is around them."""

import numpy as np
from scipy import ndimage

from cellab.data.dataset import Dataset
from cellab.data.objects import NEIGHBOURS, Objects, labels
from cellab.data.progress import Progress

RING = 5  # pixels: wide enough to reach beyond a blurred edge


def contrasts(dataset: Dataset, objects: Objects, progress: Progress | None = None) -> np.ndarray:
    """The difference, bright or dark, of an object's mean grey value from that of a ring around it.

    The ring is `RING` pixels wide at the largest scale, and leaves other objects out unless there is nothing else. An
    object in several frames is measured in all of them together; one that fills its frames has no contrast.

    Args:
        dataset: the data set.
        objects: of its given masks.
        progress: called before each frame.

    Returns:
        (objects.count,) float64, grey values from 0 to 255.
    """
    inside, around = np.zeros((2, objects.count)), np.zeros((2, objects.count))  # sums of grey values, pixels
    scale = dataset.scales[0]
    for done, (index, of_label) in enumerate(objects.of_label.items()):
        if progress:
            progress("measuring contrast", done, len(objects.of_label))
        (frame,), (mask,) = dataset.frames(scale, [index]), dataset.instances_of(scale, [index])
        numbered = labels(mask, dataset.instances)
        for label, box in enumerate(ndimage.find_objects(numbered), 1):
            wide = tuple(slice(max(0, side.start - RING), side.stop + RING) for side in box)
            grey, near = frame[wide].astype(np.float64), numbered[wide]
            ring = _ring(near, label)
            inside[:, of_label[label]] += grey[near == label].sum(), (near == label).sum()
            around[:, of_label[label]] += grey[ring].sum(), ring.sum()
    seen = around[1] > 0
    measured = np.zeros(objects.count)
    measured[seen] = np.abs(inside[0] / inside[1] - around[0] / np.maximum(around[1], 1))[seen]
    return measured


def _ring(numbered: np.ndarray, label: int) -> np.ndarray:
    """(H, W) bool: the background around a label; where there is none, what else is around it."""
    own = numbered == label
    ring: np.ndarray = ndimage.binary_dilation(own, NEIGHBOURS, iterations=RING) & ~own
    background = ring & (numbered == 0)
    return background if background.any() else ring
