"""Augmented crops, as the paper has them: cellab against MONAI and AlbumentationsX, on one CPU thread.

    pip install monai albumentationsx opencv-python-headless
    python tests/benchmarks/rivals_crops.py

Each cuts squares of an image and its mask at random places, and rotates, scales, shears and flips them, with blur and
noise now and then. cellab's squares show the frame beyond what was cut, the others mirror the square. They take turns,
batch by batch; reports ratios of median times.
"""

import math
import statistics
import time
from collections.abc import Callable

import albumentations
import cv2
import numpy as np
import torch
from monai import transforms

from cellab import components
from cellab.training.crops import views
from cellab.training.planes import Planes

BATCH, REPEATS, SIDE, FRAMES = 16, 15, 1024, 20


def monai_crops(frames: np.ndarray, size: int) -> Callable[[list[list[int]]], object]:
    """By dictionary transforms, crop by crop."""
    both = ["image", "mask"]
    augment = transforms.Compose(
        [
            transforms.RandAffined(
                both,
                prob=1,
                rotate_range=math.pi,
                scale_range=0.1,
                shear_range=0.1,
                mode=["bilinear", "nearest"],
                padding_mode="reflection",
            ),
            transforms.RandFlipd(both, prob=0.5, spatial_axis=0),
            transforms.RandFlipd(both, prob=0.5, spatial_axis=1),
            transforms.RandGaussianSmoothd(["image"], prob=0.1),
            transforms.RandGaussianNoised(["image"], prob=0.1),
        ]
    )

    def crops(places: list[list[int]]) -> object:
        squares = [frames[:, frame, top : top + size, left : left + size] for frame, top, left in places]
        return [
            augment(
                {
                    name: torch.from_numpy(plane[None].astype(np.float32))
                    for name, plane in zip(both, square, strict=True)
                }
            )
            for square in squares
        ]

    return crops


def albumentations_crops(frames: np.ndarray, size: int) -> Callable[[list[list[int]]], object]:
    """On uint8, crop by crop, then as float tensors."""
    augment = albumentations.Compose(
        [
            albumentations.Affine(
                rotate=(-180, 180), scale=(0.9, 1.1), shear=(-5, 5), p=1, border_mode=cv2.BORDER_REFLECT_101
            ),
            albumentations.HorizontalFlip(p=0.5),
            albumentations.VerticalFlip(p=0.5),
            albumentations.GaussianBlur(p=0.1),
            albumentations.GaussNoise(p=0.1),
        ]
    )

    def crops(places: list[list[int]]) -> object:
        made = []
        for frame, top, left in places:
            image, mask = frames[:, frame, top : top + size, left : left + size]
            both = augment(image=image, mask=mask)
            made.append([torch.from_numpy(np.ascontiguousarray(both[name])).float() for name in ("image", "mask")])
        return made

    return crops


def cellab_crops(frames: np.ndarray, size: int) -> Callable[[list[list[int]]], object]:
    """In one batch."""
    planes = Planes.of_frames(frames, torch.device("cpu"))
    augmentation = components.build("augmentation", "paper")
    stream = torch.Generator().manual_seed(0)
    return lambda places: views(planes, torch.tensor(places), size, augmentation, stream)


def main() -> None:
    """Measures crops of two sizes."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    draws = np.random.default_rng(0)
    image = draws.integers(0, 256, (FRAMES, SIDE, SIDE), np.uint8)
    frames = np.stack([image, (image > 200).astype(np.uint8)])
    makers = {"cellab": cellab_crops, "MONAI": monai_crops, "AlbumentationsX": albumentations_crops}
    for size in (64, 256):
        ready = {name: maker(frames, size) for name, maker in makers.items()}
        durations: dict[str, list[float]] = {name: [] for name in makers}
        for _ in range(REPEATS + 1):
            corners = draws.integers(0, SIDE - size, (BATCH, 2))
            places = np.concatenate([draws.integers(0, FRAMES, (BATCH, 1)), corners], axis=1).tolist()
            for name, crops in ready.items():
                start = time.perf_counter()
                crops(places)
                durations[name].append(time.perf_counter() - start)
        medians = {name: statistics.median(times[1:]) for name, times in durations.items()}
        told = ", ".join(f"{name} {1e6 * median / BATCH:.0f}" for name, median in medians.items())
        ours = medians["cellab"]
        print(
            f"crops of {size} x {size}: {medians['MONAI'] / ours:.1f} times as fast as MONAI, "
            f"{medians['AlbumentationsX'] / ours:.2f} times as AlbumentationsX (microseconds a crop: {told})"
        )


if __name__ == "__main__":
    main()
