"""Reads pictures, PNG and the pages of TIFF, each when it is needed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cellab.data.png import read_png
from cellab.data.stored import Stored, as_image, as_mask
from cellab.data.tiff import is_tiff, opened
from cellab.errors import DataError
from cellab.stopping import stop_if_asked


@dataclass(frozen=True)
class Picture:
    """One image or mask: a PNG, or a page of a TIFF.

    Args:
        path: of the file.
        page: of the TIFF, from 0; None: the file holds one image.
        key: the file's name without its ending and the page, counted from 1, e.g. ``"stack:07"``.
    """

    path: Path
    page: int | None
    key: str

    @property
    def stem(self) -> str:
        """The file's name without its ending, `.ome.tif` being one."""
        return self.key if self.page is None else self.key.rpartition(":")[0]

    def __str__(self) -> str:
        return str(self.path) if self.page is None else f"{self.path} (page {self.page + 1})"


@contextmanager
def _readable(picture: "Picture | Path") -> Iterator[None]:
    """Turns the many ways in which an image can be broken into one message."""
    try:
        yield
    except DataError:
        raise
    except OSError as error:
        if error.errno is not None:  # the system's, not a decoder's
            raise DataError(f"{picture} cannot be read: {error.strerror}.") from error
        raise _damaged(picture, error) from error
    except Exception as error:
        raise _damaged(picture, error) from error


def _damaged(picture: "Picture | Path", error: Exception) -> DataError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return DataError(f"{picture} cannot be read ({reason}): it is damaged or truncated; copy it again.")


def pages_of(path: Path) -> list[Picture]:
    """The pictures of one file: the pages of a TIFF, or the one that it holds.

    Args:
        path: of the file.

    Raises:
        DataError: it is damaged, or a TIFF of several channels or sizes.
    """
    stop_if_asked()  # before there are frames to count, thousands of TIFFs are opened
    with _readable(path):
        count = len(opened(path).planes) if is_tiff(path) else 1
    name = stem_of(path)
    if count == 1:
        return [Picture(path, None, name)]
    digits = len(str(count))
    return [Picture(path, page, f"{name}:{page + 1:0{digits}d}") for page in range(count)]


def stem_of(path: Path) -> str:
    """A picture's name without its ending, `.ome.tif` being one."""
    stem = path.stem
    return stem[: -len(".ome")] if stem.lower().endswith(".ome") and len(stem) > len(".ome") else stem


def read_image(picture: Picture) -> tuple[np.ndarray, tuple[str, ...]]:
    """An image as grey, as it is shown; see `cellab.data.stored`.

    Returns:
        (H, W) uint8, uint16 or, where it holds numbers with a sign, of more bits or fractions, their type; and what was
        done to make it grey.

    Raises:
        DataError: it cannot be read, or not be shown as grey.
    """
    return as_image(_read(picture), str(picture))


def read_mask(picture: Picture) -> tuple[np.ndarray, tuple[str, ...]]:
    """A mask as the numbers that it stores; see `cellab.data.stored`.

    Returns:
        (H, W) uint32, and what was done to it.

    Raises:
        DataError: it cannot be read, is in colour, or holds numbers that are no ids.
    """
    return as_mask(_read(picture), str(picture))


def _read(picture: Picture) -> Stored:
    with _readable(picture):
        if is_tiff(picture.path):
            return opened(picture.path).read(picture.page or 0, str(picture))
        return read_png(picture.path)
