"""Small data sets and folders of images for the tests of the data layer."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from cellab.data.dataset import SPLITS
from cellab.data.scaling import scale_frame, scale_mask
from cellab.data.synthetic import Phantom, synthesise
from cellab.data.writer import DatasetWriter


def save(path: Path, content: np.ndarray) -> None:
    if path.suffix == ".png":
        Image.fromarray(content).save(path)
    else:
        tifffile.imwrite(path, content, photometric="rgb" if content.shape[3:] == (3,) else "minisblack")


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[str, Mapping[str, np.ndarray]], Path]:
    """Makes a folder of images: file name to content."""

    def make(name: str, files: Mapping[str, np.ndarray]) -> Path:
        made = tmp_path / name
        made.mkdir()
        for file, content in files.items():
            save(made / file, content)
        return made

    return make


@pytest.fixture
def cells() -> tuple[np.ndarray, np.ndarray]:
    """Twelve mid-grey noisy frames of 40 x 48 and masks with two discs that drift slowly, as ids 3 and 7."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:40, :48]
    ids = np.zeros((12, 40, 48), np.uint16)
    for t in range(12):
        ids[t][(rows - 12 - t / 4) ** 2 + (columns - 12) ** 2 < 40] = 3
        ids[t][(rows - 26) ** 2 + (columns - 34 + t / 4) ** 2 < 60] = 7
    frames = np.clip(rng.normal(120, 50, ids.shape) + 30 * (ids > 0), 0, 255).astype(np.uint8)
    return frames, ids


@pytest.fixture
def named() -> Callable[[np.ndarray, str], dict[str, np.ndarray]]:
    """Names a stack's frames 0.png, 1.png ..., 10.png: only natural order keeps them consecutive."""
    return lambda stack, ending: {f"{index}{ending}": frame for index, frame in enumerate(stack)}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a data set from masks: (N, H, W) and a letter a frame: t train, v validation, e test, u unused."""

    def make(
        masks: np.ndarray,
        split: str,
        *,
        name: str = "made.h5",
        frames: np.ndarray | None = None,
        truth: np.ndarray | None = None,
        annotated: np.ndarray | None = None,
        instances: bool = False,
        related: bool = True,
        scales: tuple[float, ...] = (1.0, 0.5),
    ) -> Path:
        names = dict(zip("tveu", SPLITS, strict=True))
        if frames is None:
            frames = (np.arange(masks.size).reshape(masks.shape) % 251).astype(np.uint8)

        def pyramid(image: np.ndarray | None, how: Callable[..., np.ndarray], *more: Any) -> Any:
            return None if image is None else {scale: how(image, scale, *more) for scale in scales}

        sizes = {scale: scale_frame(frames[0], scale).shape for scale in scales}
        with DatasetWriter(
            tmp_path / name,
            sizes,
            len(masks),
            mask_type=masks.dtype,
            has_truth=truth is not None,
            instances=instances,
            related=related,
            provenance={"source": "test", "history": []},
        ) as writer:
            for index, letter in enumerate(split):
                writer.append(
                    f"frame {index}",
                    names[letter],
                    pyramid(frames[index], scale_frame),
                    pyramid(masks[index], scale_mask, instances),
                    pyramid(None if truth is None else truth[index], scale_mask, instances),
                    annotated=True if annotated is None else bool(annotated[index]),
                )
        return tmp_path / name

    return make


SMALL = Phantom(n_frames=24, size=96, seed=3)


@pytest.fixture(scope="session")
def small_phantom() -> Phantom:
    return SMALL


@pytest.fixture(scope="session")
def phantom_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small phantom, written once."""
    path = tmp_path_factory.mktemp("phantom") / "phantom.h5"
    synthesise(path, SMALL)
    return path
