"""Finds and reads images: folders of PNG and TIFF, the pages of a TIFF as consecutive frames, each read when needed."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cellab.data.png import read_png
from cellab.data.stored import Stored, as_image, as_mask
from cellab.data.tiff import is_tiff, opened
from cellab.errors import DataError

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


def find_pictures(folder: Path, what: str) -> list[Picture]:
    """The pictures of a folder, or of one file, in natural order (2 before 10), pages of a TIFF in theirs.

    Args:
        folder: where they are; of a file's pages the keys are their numbers only.
        what: for messages, e.g. ``"images"``.

    Raises:
        DataError: there is no such folder, nothing in it, or two files of one name.
    """
    if folder.is_file():
        return [Picture(p.path, p.page, str(p.page or 0)) for p in pages_of(folder)]
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
    return [picture for file in files for picture in pages_of(file)]


def _is_picture(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in PNG + TIFF and not path.name.startswith(".")


def natural(name: str) -> list[tuple[int, str]]:
    """A sort key by which ``a2`` comes before ``a10``."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name) if part]


def pages_of(path: Path) -> list[Picture]:
    """The pictures of one file: the pages of a TIFF, or the one that it holds.

    Args:
        path: of the file.

    Raises:
        DataError: it is damaged, or a TIFF of several channels or sizes.
    """
    with _readable(path):
        count = len(opened(path).planes) if is_tiff(path) else 1
    if count == 1:
        return [Picture(path, None, path.stem)]
    digits = len(str(count - 1))
    return [Picture(path, page, f"{path.stem}:{page:0{digits}d}") for page in range(count)]


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
