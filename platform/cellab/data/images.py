"""Finds and reads images: folders of PNG and TIFF, the pages of a TIFF as consecutive frames, each read when needed."""

import functools
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from cellab.errors import DataError

Image.MAX_IMAGE_PIXELS = None  # sections of microscopes are larger than what Pillow takes for an attack

PNG, TIFF = (".png",), (".tif", ".tiff")


@dataclass(frozen=True)
class Picture:
    """One image or mask: a PNG, or a page of a TIFF.

    Args:
        path: of the file.
        page: of the TIFF, from 0; None: the file holds one image.
        key: what images and masks are matched by: the file's name without its ending, and the page.
    """

    path: Path
    page: int | None
    key: str

    def __str__(self) -> str:
        return str(self.path) if self.page is None else f"{self.path} (page {self.page + 1})"

    def read(self, colours: bool = False) -> np.ndarray:
        """The picture as it is stored: (H, W), or (H, W, channels), any type.

        Args:
            colours: whether the numbers of a PNG with a palette are looked up in it.

        Raises:
            DataError: it cannot be read.
        """
        with _readable(self):
            if self.path.suffix.lower() in TIFF:
                return _read_page(self.path, self.page or 0)
            with Image.open(self.path) as image:
                return np.asarray(image.convert("RGB") if colours and image.mode == "P" else image)


@contextmanager
def _readable(picture: "Picture | Path") -> Iterator[None]:
    """Turns the many ways in which an image can be broken into one message."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{picture} cannot be read ({reason}): it is damaged or truncated; copy it again.") from error


def find_pictures(folder: Path, what: str) -> list[Picture]:
    """The pictures of a folder, or of one file, in natural order (2 before 10), pages of a TIFF in theirs.

    Args:
        folder: where they are; of a file's pages the keys are their numbers only.
        what: for messages, e.g. ``"images"``.

    Raises:
        DataError: there is no such folder, nothing in it, or two files of one name.
    """
    if folder.is_file():
        return [Picture(p.path, p.page, str(p.page or 0)) for p in _pages(folder)]
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder} to take {what} from.")
    files = sorted((f for f in folder.iterdir() if _is_picture(f)), key=lambda f: natural(f.name))
    if not files:
        endings = sorted({f.suffix for f in folder.iterdir() if f.is_file() and f.suffix})
        held = f"it holds {', '.join(endings)}" if endings else "it is empty"
        raise DataError(f"there are no {what} in {folder}: {held}, and PNG or TIFF is needed.")
    by_stem: dict[str, Path] = {}
    for file in files:
        other = by_stem.setdefault(file.stem, file)
        if other != file:
            raise DataError(f"{what} {other} and {file} have the same name: keep one of them.")
    return [picture for file in files for picture in _pages(file)]


def _is_picture(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in PNG + TIFF and not path.name.startswith(".")


def natural(name: str) -> list[tuple[int, str]]:
    """A sort key by which ``a2`` comes before ``a10``."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name) if part]


def _pages(path: Path) -> list[Picture]:
    if path.suffix.lower() not in TIFF:
        return [Picture(path, None, path.stem)]
    with _readable(path):
        series = _opened(path, path.stat().st_mtime_ns).series
        planes = {tuple(length for axis, length in _lengths(each) if axis in "YXS") for each in series}
        if len(planes) != 1:
            raise DataError(f"{path} holds images of {len(planes)} sizes: save those of one size by themselves.")
        channels = max(dict(_lengths(each)).get("C", 1) for each in series)
        if channels > 1:
            raise DataError(f"{path} holds {channels} channels ({series[0].axes}): save the one to import by itself.")
        count = sum(_depth(each) for each in series)
    if count == 1:
        return [Picture(path, None, path.stem)]
    digits = len(str(count - 1))
    return [Picture(path, page, f"{path.stem}:{page:0{digits}d}") for page in range(count)]


@functools.lru_cache(maxsize=4)
def _opened(path: Path, _changed: int) -> tifffile.TiffFile:
    """A TIFF, kept open from page to page: finding a page anew takes as long as there are pages before it."""
    return tifffile.TiffFile(path)


def _lengths(series: Any) -> list[tuple[str, int]]:
    return list(zip(series.axes, series.shape, strict=True))


def _depth(series: Any) -> int:
    """How many planes a series of a TIFF holds."""
    return math.prod(length for axis, length in _lengths(series) if axis not in "YXS")


def _read_page(path: Path, page: int) -> np.ndarray:
    tiff = _opened(path, path.stat().st_mtime_ns)
    series: Any
    for series in tiff.series:  # programs that write page by page leave a series each
        if page < _depth(series):
            break
        page -= _depth(series)
    if len(tiff.pages) == 1 and _depth(series) > 1:
        # ImageJ writes a large stack behind a single directory entry: only memory mapping reads it page by page
        stack = tifffile.memmap(path, mode="r", series=0)
        return np.array(stack.reshape(-1, *stack.shape[-2:])[page])
    entry = series.pages[page]
    content: np.ndarray = entry.asarray()
    if entry.axes == "SYX":
        content = np.moveaxis(content, 0, -1)
    if entry.photometric == tifffile.PHOTOMETRIC.MINISWHITE and content.dtype.kind == "u":
        content = np.iinfo(content.dtype).max - content
    return content


def read_image(picture: Picture) -> tuple[np.ndarray, str | None]:
    """An image as grey.

    Returns:
        (H, W) uint8 or uint16, and what was done to make it grey, if anything.

    Raises:
        DataError: it cannot be read, or holds numbers other than 8 or 16 bit.
    """
    stored = picture.read(colours=True)
    if stored.dtype == bool:
        stored = stored.astype(np.uint8) * 255
    if stored.dtype not in (np.uint8, np.uint16):
        raise DataError(f"{picture} holds {stored.dtype} values: convert it to unsigned 8 or 16 bit.")
    if stored.ndim == 2:
        return stored, None
    if stored.ndim != 3 or stored.shape[2] not in (1, 2, 3, 4):
        raise DataError(f"{picture} has shape {stored.shape}: give a grey or an RGB image, (height, width[, 3]).")
    if stored.shape[2] < 3:
        return stored[..., 0], "transparency was dropped" if stored.shape[2] == 2 else None
    luminance = stored[..., :3] @ np.array([0.299, 0.587, 0.114])
    return np.round(luminance).astype(stored.dtype), "colour was converted to grey (0.299 R + 0.587 G + 0.114 B)"


def read_mask(picture: Picture) -> np.ndarray:
    """A mask as it is stored: (H, W) uint32.

    Raises:
        DataError: it cannot be read, is in colour, or holds numbers that are no ids.
    """
    stored = picture.read()
    if stored.ndim == 3 and stored.shape[2] in (2, 4):
        stored = stored[..., :-1]
    if stored.ndim == 3 and (stored == stored[..., :1]).all():
        stored = stored[..., 0]
    if stored.ndim != 2:
        raise DataError(f"mask {picture} is in colour: give one grey value (0 and 255, or an id) a pixel.")
    if stored.dtype.kind == "f" or (stored.dtype.kind == "i" and stored.min() < 0) or stored.max() > 2**32 - 1:
        raise DataError(f"mask {picture} holds {stored.dtype} values: give whole numbers, 0 for background.")
    return stored.astype(np.uint32)
