"""Cutting a small square before the warp, against warping a crop out of the whole frame (design: performance).

    python tests/benchmarks/crops.py

Both draw the same crops. Reports the ratio of median times on this machine's device.
"""

import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

from cellab import components
from cellab.training.crops import warp
from cellab.training.planes import Planes

CROP, BATCH, REPEATS = 64, 16, 15


def whole_frame(planes: torch.Tensor, places: torch.Tensor, linear: torch.Tensor) -> torch.Tensor:
    """Each crop sampled out of its whole frame, converted to float."""
    frame, top, left = places.unbind(1)
    height, width = planes.shape[2:]
    centre = torch.stack([left, top], 1) + (CROP - 1) / 2
    scale = torch.tensor([2 / width, 2 / height])
    shift = (centre + 0.5) * scale - 1
    theta = torch.cat([linear * CROP / 2 * scale[None, :, None], shift[:, :, None]], dim=2)
    grid = F.affine_grid(theta, [len(places), 1, CROP, CROP], align_corners=False)
    return F.grid_sample(planes[frame].float(), grid, padding_mode="reflection", align_corners=False)


def median_seconds(work: Callable[[], torch.Tensor]) -> float:
    """The median duration of a call, the first one left out."""
    durations = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        work()
        durations.append(time.perf_counter() - start)
    return statistics.median(durations[1:])


def main() -> None:
    """Measures frames of several sizes."""
    torch.set_num_threads(1)
    stream = torch.Generator().manual_seed(0)
    linear = components.build("augmentation", "paper").linear(BATCH, stream)
    for side in (256, 512, 1024):
        planes = torch.randint(0, 256, (20, 2, side, side), dtype=torch.uint8, generator=stream)
        inner = torch.randint(CROP, side - 2 * CROP, (BATCH, 2), generator=stream)
        places = torch.cat([torch.randint(0, 20, (BATCH, 1), generator=stream), inner], dim=1)
        flat = Planes.of_images(planes)
        ours = lambda p=flat, q=places: warp(p, q, linear, CROP)  # noqa: E731
        theirs = lambda p=planes, q=places: whole_frame(p, q, linear)  # noqa: E731
        torch.testing.assert_close(ours(), theirs(), atol=0.05, rtol=0)
        a, b = median_seconds(ours), median_seconds(theirs)
        times = f"{1e3 * a:.2f} against {1e3 * b:.2f} ms"
        print(f"frames of {side} x {side}: cutting first is {b / a:.1f} times as fast ({times})")


if __name__ == "__main__":
    main()
