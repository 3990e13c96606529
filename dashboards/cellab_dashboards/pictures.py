"""Pixels to pictures inside the page: PNG as data URLs, each kept once."""

import base64
import hashlib
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]

LONGEST = 360  # pixels, of a picture's longer side
CLEAR_TINT, STRONG_TINT = 110, 150  # of 255


def data_url(image: Image.Image) -> str:
    """A picture as a data URL (PNG)."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def grey(pixels: Pixels) -> Image.Image:
    """Pixels (H, W) uint8, stretched between their 0.5th and 99.5th percentiles, at most `LONGEST` wide and high."""
    low, high = np.percentile(pixels, (0.5, 99.5))
    stretched = (pixels.astype(np.float32) - low) / max(high - low, 1) * 255
    image = Image.fromarray(stretched.clip(0, 255).astype(np.uint8))
    return image.resize(_size(image), Image.Resampling.LANCZOS)


def black_and_white(mask: Mask) -> Image.Image:
    """A mask (H, W), white where it is true, at most `LONGEST` wide and high."""
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    return image.resize(_size(image), Image.Resampling.BOX).point(lambda value: 255 * (value >= 128)).convert("1")


def tinted(classes: Pixels, tints: list[tuple[int, int, int]], strong: set[int]) -> Image.Image:
    """A see-through picture to lay over an image.

    Args:
        classes: (H, W) uint8; 0 stays clear, class i gets the i-th tint, counted from 1.
        tints: red, green and blue, 0 to 255.
        strong: the classes that are to stand out.
    """
    image = Image.fromarray(classes)
    image = image.resize(_size(image), Image.Resampling.NEAREST)
    palette = Image.frombytes("P", image.size, image.tobytes())
    palette.putpalette([0, 0, 0, *(value for tint in tints for value in tint)])
    alphas = [0, *(STRONG_TINT if number in strong else CLEAR_TINT for number in range(1, len(tints) + 1))]
    palette.info["transparency"] = bytes(alphas)
    return palette


def _size(image: Image.Image) -> tuple[int, int]:
    width, height = image.size
    share = min(1, LONGEST / max(width, height))
    return max(1, round(width * share)), max(1, round(height * share))


class Album:
    """Pictures that may be asked for many times and are kept once; they are named by their number."""

    def __init__(self) -> None:
        self.urls: list[str] = []
        self._numbers: dict[str, int] = {}

    def add(self, image: Image.Image) -> int:
        """The number of a picture; new or known."""
        content = f"{image.mode}{image.size}{image.info.get('transparency')}".encode() + image.tobytes()
        digest = hashlib.sha256(content).hexdigest()
        if digest not in self._numbers:
            self._numbers[digest] = len(self.urls)
            self.urls.append(data_url(image))
        return self._numbers[digest]
