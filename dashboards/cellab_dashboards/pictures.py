"""The pictures of a report: generated images, and overlays as in the paper's figures 13 to 16, as data URLs."""

import base64
import io
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import h5py
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cellab_dashboards.study_files import StudyFiles

Pixels = NDArray[np.uint8]

GRID = (3, 8)  # rows and columns of generated images
TILE = 64  # pixels of one of them in the report
WIDEST = 320  # pixels of an overlay's panel
SPLITS = ("train", "test")
PER_SPLIT = 3
HALF = 128  # of 255: a probability above it is positive

AGREED, EXTRA, MISSED = (0, 158, 115), (230, 159, 0), (204, 51, 102)


def data_url(pixels: Pixels) -> str:
    """A PNG (H, W) or (H, W, 3) uint8 as a data URL."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def generated(study: StudyFiles) -> list[dict[str, Any]]:
    """A grid of real crops and one of generated ones for each arm that has some (its first seed)."""
    grids = []
    with h5py.File(study.images) as file:
        if "real" in file:
            grids.append({"title": "real crops", "note": "", "url": data_url(_grid(file["real"][:]))})
        for arm in study.arms:
            seeds = file.get(f"generated/{quote(arm['arm'], safe='')}")
            if seeds is not None:
                seed = min(seeds, key=int)
                grids.append({"title": arm["arm"], "note": f"seed {seed}", "url": data_url(_grid(seeds[seed][:]))})
    return grids if len(grids) > 1 else []


def _grid(images: Pixels) -> Pixels:
    rows, columns = GRID
    images = images[: rows * columns]
    rows = -(-len(images) // columns)
    canvas = Image.new("L", (columns * (TILE + 2) - 2, rows * (TILE + 2) - 2), 255)
    for i, image in enumerate(images):
        tile = Image.fromarray(image).resize((TILE, TILE), Image.Resampling.BICUBIC)
        canvas.paste(tile, (i % columns * (TILE + 2), i // columns * (TILE + 2)))
    return np.asarray(canvas)


def overlays(study: StudyFiles) -> list[dict[str, Any]]:
    """For each arm the overlays of its first seed's first and last generation; the baseline's last comes first."""
    found = []
    with h5py.File(study.images) as file:
        for arm in study.arms:
            seeds = file.get(f"overlays/{quote(arm['arm'], safe='')}")
            if not seeds:
                continue
            seed = min(seeds, key=int)
            generations = sorted(seeds[seed], key=int)
            for generation in dict.fromkeys([generations[-1], generations[0]]):
                found.append(
                    {
                        "title": f"{arm['arm']} · generation {generation} · seed {seed}",
                        "first": arm["arm"] == study.baseline and generation == generations[-1],
                        "frames": list(_frames(seeds[seed][generation])),
                    }
                )
    return sorted(found, key=lambda choice: not choice["first"])


def _frames(group: h5py.Group) -> Iterator[dict[str, Any]]:
    for split in SPLITS:
        frames = sorted(group.get(split, {}), key=int)[:PER_SPLIT]
        for frame in frames:
            yield {
                "split": split,
                "frame": frame,
                "name": group[split][frame].attrs["name"],
                **_panels(group[split][frame]),
            }


def _panels(group: h5py.Group) -> dict[str, Any]:
    image, given, probability = (group[name][:] for name in ("image", "given", "probability"))
    truth = group["truth"][:] if "truth" in group else None
    reference = given if truth is None else truth
    output = probability >= HALF
    panels = [
        ("image", _shrink(image)),
        ("given mask", _shrink(given * 255)),
        ("output", _shrink(probability)),
        ("output over image", _shrink(_agreement(image, output, reference > 0))),
    ]
    if truth is not None:
        panels.append(("truth", _shrink(truth * 255)))
    return {"panels": [{"title": title, "url": data_url(pixels)} for title, pixels in panels]}


def _agreement(image: Pixels, output: NDArray[np.bool_], reference: NDArray[np.bool_]) -> Pixels:
    """The image (H, W) in grey with agreement, extra and missed pixels tinted: (H, W, 3)."""
    stretched = image.astype(np.float32)
    low, high = np.percentile(stretched, (0.5, 99.5))
    grey = ((stretched - low) / max(high - low, 1) * 255).clip(0, 255)
    colours = np.repeat(grey[:, :, None], 3, axis=2)
    for where, tint in ((output & reference, AGREED), (output & ~reference, EXTRA), (~output & reference, MISSED)):
        colours[where] = 0.55 * colours[where] + 0.45 * np.array(tint)
    return colours.astype(np.uint8)


def _shrink(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    if width <= WIDEST:
        return pixels
    size = (WIDEST, max(1, round(height * WIDEST / width)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))
