"""Generated images, beside real crops (the paper's figures 11 and 12)."""

import hashlib
from typing import TypedDict

import numpy as np
from PIL import Image

from cellab.study_files.folder import REAL_IMAGES, generated_images
from cellab_dashboards.pictures import Pixels, data_url
from cellab_dashboards.study_files import StudyFiles

COLUMNS, ROWS = 6, 4
TILE, GAP = 60, 2  # pixels
MOST_GRIDS = 48  # more than these, and only the first seed is shown


class Grid(TypedDict):
    """Images of one generator, which arms may share, as a data URL."""

    arms: list[str]
    seed: int
    url: str


class Generated(TypedDict):
    """Grids of generated images, their seeds, and arms that have none; `real` crops as a data URL, if there are any."""

    real: str | None
    grids: list[Grid]
    seeds: list[int]
    without: list[str]


def generated(study: StudyFiles) -> Generated:
    """Grids of generated images and of real crops."""
    with study.open_images() as file:
        real = data_url(_grid(file[REAL_IMAGES][:])) if REAL_IMAGES in file and len(file[REAL_IMAGES]) else None
        found = {arm.arm: file.get(generated_images(arm.arm)) for arm in study.arms}
        samples = {
            (arm, int(seed)): group[seed][: COLUMNS * ROWS] for arm, group in found.items() if group for seed in group
        }
        grids = _shared(_few({key: images for key, images in samples.items() if len(images)}))
    shown = {arm for grid in grids for arm in grid["arms"]}
    seeds = sorted({grid["seed"] for grid in grids})
    without = [arm.arm for arm in study.arms if arm.arm not in shown]
    return {"real": real, "grids": grids, "seeds": seeds, "without": without}


def _few(samples: dict[tuple[str, int], Pixels]) -> dict[tuple[str, int], Pixels]:
    """All samples, or each arm's first seed where they are many."""
    if len(samples) <= MOST_GRIDS:
        return samples
    first = {arm: min(seed for name, seed in samples if name == arm) for arm, _ in samples}
    return {(arm, seed): images for (arm, seed), images in samples.items() if seed == first[arm]}


def _shared(samples: dict[tuple[str, int], Pixels]) -> list[Grid]:
    grids: dict[tuple[int, str], Grid] = {}
    for (arm, seed), images in samples.items():
        key = (seed, hashlib.sha256(images.tobytes()).hexdigest())
        if key not in grids:
            grids[key] = {"arms": [], "seed": seed, "url": data_url(_grid(images))}
        grids[key]["arms"].append(arm)
    return list(grids.values())


def _grid(images: Pixels) -> Image.Image:
    """Images (n, S, S) uint8 side by side."""
    images = images[: COLUMNS * ROWS]
    rows, columns = -(-len(images) // COLUMNS), min(len(images), COLUMNS)
    step = TILE + GAP
    canvas = Image.new("L", (columns * step - GAP, rows * step - GAP), 255)
    for place, image in enumerate(images):
        tile = Image.fromarray(np.asarray(image)).resize((TILE, TILE), Image.Resampling.BICUBIC)
        canvas.paste(tile, (place % COLUMNS * step, place // COLUMNS * step))
    return canvas
