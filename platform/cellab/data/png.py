"""Reads PNG as it is stored, and what else Pillow reads under that ending."""

from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image

from cellab.data.stored import DROPPED, Stored
from cellab.errors import DataError

Image.MAX_IMAGE_PIXELS = None  # sections of microscopes are larger than what Pillow takes for an attack

ORIENTATION = 0x0112  # of EXIF


def read_png(path: Path) -> Stored:
    """Reads a picture.

    Args:
        path: of the file.

    Raises:
        DataError: it is animated, or in colours that are not red, green and blue.
    """
    with Image.open(path) as image:
        image.verify()  # the check sums, which decoding does not look at
    with Image.open(path) as image:
        if getattr(image, "n_frames", 1) > 1:
            raise DataError(f"{path} is animated: save each of its pictures by itself, or as the pages of a TIFF.")
        if image.mode not in ("1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA"):
            raise DataError(f"{path} is stored as {image.mode}: save it as grey or RGB.")
        bits = _bits(path) if image.format == "PNG" else 8
        orientation = image.getexif().get(ORIENTATION, 1)
        notices = (DROPPED,) if "transparency" in image.info else ()
        if image.mode == "P":
            palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
            return Stored(np.asarray(image), bits, palette=palette, orientation=orientation, notices=notices)
        numbers = _numbers(path, image, bits)
    if numbers.ndim == 2:
        return Stored(numbers, bits, orientation=orientation, notices=notices)
    if numbers.shape[2] in (2, 4):
        return Stored(numbers[..., :-1], bits, alpha=numbers[..., -1], orientation=orientation, notices=notices)
    return Stored(numbers, bits, orientation=orientation, notices=notices)


def _bits(path: Path) -> int:
    """The depth of a PNG, the ninth byte of its first chunk."""
    with path.open("rb") as file:
        return file.read(25)[-1]


def _numbers(path: Path, image: Image.Image, bits: int) -> np.ndarray:
    if bits == 16 and image.mode in ("LA", "RGB", "RGBA"):  # of which Pillow keeps the upper eight bits
        decoded: np.ndarray = imagecodecs.png_decode(path.read_bytes())
        return decoded
    numbers = np.asarray(image)
    if bits == 16:
        return numbers.astype(np.uint16)
    if bits in (2, 4) and image.mode == "L":  # Pillow spreads them over eight bits
        return numbers // np.uint8(255 // (2**bits - 1))
    return numbers
