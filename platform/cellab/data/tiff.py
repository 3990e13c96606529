"""Reads TIFF a page at a time: a file's frames are its pages of full resolution in file order, whoever wrote it."""

import json
import logging
import math
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tifffile
from tifffile import COMPRESSION, EXTRASAMPLE, PHOTOMETRIC

from cellab.data.channels import count_channels
from cellab.data.stored import Stored
from cellab.errors import DataError

# what it says of private tags concerns nobody, and what matters is checked here
logging.getLogger("tifffile").addHandler(logging.NullHandler())

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
ORIENTATION = 274
PHOTOMETRIC_TAG = 262
JPEG = (COMPRESSION.JPEG, COMPRESSION.OJPEG, COMPRESSION.ALT_JPEG)
REFUSED: dict[int, str] = {
    PHOTOMETRIC.SEPARATED: "CMYK",
    PHOTOMETRIC.CIELAB: "Lab",
    PHOTOMETRIC.ICCLAB: "Lab",
    PHOTOMETRIC.ITULAB: "Lab",
}


def is_tiff(path: Path) -> bool:
    """Whether a file's content is TIFF, whatever its ending."""
    with path.open("rb") as file:
        return file.read(4) in SIGNATURES


class Plane(NamedTuple):
    """Where a frame lies in a TIFF.

    Args:
        page: number of the directory entry, all of them counted.
        number: of the plane behind that entry: volumes and ImageJ's large stacks have several.
    """

    page: int
    number: int


class Stack:
    """An open TIFF.

    Args:
        path: of the file.

    Attributes:
        planes: its frames; pages of lower resolution (pyramids, thumbnails) and of transparency are left out.

    Raises:
        DataError: it is truncated, or holds several channels or pictures of several sizes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # other files of an OME set are read when their turn comes
        self._file = tifffile.TiffFile(path, _multifile=False)
        try:
            self.planes, left_out = self._find_planes()
            channels, notices = count_channels(self._file)
            if channels > 1:
                raise DataError(f"{path} holds {channels} channels: save the one to import by itself.")
        except BaseException:
            self.close()
            raise
        if left_out:
            pages = "1 page" if left_out == 1 else f"{left_out} pages"
            notices += (f"{pages} of lower resolution or of transparency left out",)
        self._notices = notices

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def read(self, frame: int, what: str) -> Stored:
        """Reads one frame; takes as long for the last as for the first.

        Args:
            frame: its number among `planes`.
            what: it is, for messages.

        Raises:
            DataError: it holds numbers, colours or a compression that cannot be read.
        """
        plane = self.planes[frame]
        page = self._page(plane.page)
        _check_readable(page, what)
        self._check_whole(page, what)
        notices = self._notices if frame == 0 else ()
        return _described(page, self._numbers(page, plane.number, what), notices)

    def _page(self, number: int) -> tifffile.TiffPage:
        page = self._file.pages.get(number)
        assert isinstance(page, tifffile.TiffPage)
        return page

    def _find_planes(self) -> tuple[list[Plane], int]:
        count = self._count()
        sizes: dict[bool, set[tuple[int, int]]] = {True: set(), False: set()}  # of full and of lower resolution
        planes: dict[bool, list[Plane]] = {True: [], False: []}
        below = 0
        for number in range(count):
            page = self._page(number)
            full = not page.is_reduced and not page.is_mask
            sizes[full].add((page.imagelength, page.imagewidth))
            planes[full] += [Plane(number, plane) for plane in range(self._depth(page, count == 1))]
            below += len(page.subifds or ()) if full else 0
        found = bool(planes[True])  # else all are said to be of lower resolution, though there is no other
        if len(sizes[found]) != 1:
            raise DataError(
                f"{self._path} holds images of {len(sizes[found])} sizes: save those of one size by themselves."
            )
        return planes[found], below + len(planes[False]) * found

    def _count(self) -> int:
        """The number of directory entries; the link of the last must say that it is."""
        count = len(self._file.pages)
        handle = self._file.filehandle
        handle.seek(self._file.pages.next_page_offset or 0)
        if handle.read(self._file.tiff.offsetsize) != bytes(self._file.tiff.offsetsize):
            raise DataError(f"{self._path} is truncated or damaged after page {count}: copy it again.")
        return count

    def _depth(self, page: tifffile.TiffPage, alone: bool) -> int:
        """How many planes lie behind a directory entry."""
        promised = _promised(self._file, page, alone) if page.is_final else 1
        if promised > 1:
            held, rest = divmod(self._file.filehandle.size - page.dataoffsets[0], page.nbytes)
            if held == 1 and (rest == 0 or page.offset > page.dataoffsets[0]):
                return page.imagedepth  # somebody kept the description of the stack that it was taken from
            if held < promised:
                raise DataError(f"{self._path} holds {held} of {promised} pages, it is truncated: copy it again.")
        return promised * page.imagedepth

    def _check_whole(self, page: tifffile.TiffPage, what: str) -> None:
        """Checks that all strips or tiles are in the file: some codecs make up what is missing."""
        ends = [start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=False)]
        if not ends or (not page.is_final and max(ends) > self._file.filehandle.size):
            raise DataError(f"{what} is truncated or damaged: copy it again.")

    def _numbers(self, page: tifffile.TiffPage, number: int, what: str) -> np.ndarray:
        """(H, W) or (H, W, channels)."""
        separate, depth, height, width, together = page.shaped
        if depth == 1 and number == 0:
            numbers = page.asarray().reshape(separate, height, width, together)
        elif separate > 1:
            raise DataError(f"{what} is of a volume of {separate} channels: save the one to import by itself.")
        elif page.is_final:
            numbers = self._contiguous(page, number)
        else:
            numbers = self._of_volume(page, number)
        numbers = np.moveaxis(numbers, 0, -1)[..., 0, :] if separate > 1 else numbers[0]
        return numbers[..., 0] if numbers.shape[-1] == 1 else numbers

    def _contiguous(self, page: tifffile.TiffPage, number: int) -> np.ndarray:
        """(1, H, W, channels): one of the planes that lie one after the other behind an entry."""
        assert page.dtype is not None
        shape = page.shaped[2:]
        type_ = page.dtype.newbyteorder(self._file.byteorder)
        offset = page.dataoffsets[0] + number * math.prod(shape) * type_.itemsize
        plane = self._file.filehandle.read_array(type_, math.prod(shape), offset)
        return plane.astype(page.dtype).reshape(1, *shape)

    def _of_volume(self, page: tifffile.TiffPage, number: int) -> np.ndarray:
        """(1, H, W, channels): one plane of a volume, of which only the strips or tiles that hold it are decoded."""
        height, width = page.shaped[2:4]
        plane = np.zeros(page.shaped[2:], page.dtype)
        layer = number // page.tiledepth
        count = math.prod(page.chunked[1:])
        for index in range(layer * count, (layer + 1) * count):
            self._file.filehandle.seek(page.dataoffsets[index])
            coded = self._file.filehandle.read(page.databytecounts[index])
            part, (_, first, row, column, _), _ = page.decode(coded, index, jpegtables=page.jpegtables)
            if part is None:  # left out of the file, since all of it is background
                continue
            shown = part[number - first, : height - row, : width - column]
            plane[row : row + shown.shape[0], column : column + shown.shape[1]] = shown
        return plane[None]


def _check_readable(page: tifffile.TiffPage, what: str) -> None:
    if page.dtype is None or not isinstance(page.bitspersample, int):
        raise DataError(
            f"{what} holds numbers of {page.bitspersample} bits that cannot be read: save it as unsigned 8 or 16 bit."
        )
    if page.compression != COMPRESSION.NONE and page.compression not in tifffile.TIFF.DECOMPRESSORS:
        raise DataError(f"{what} is compressed in a way ({page.compression!s}) that cannot be read: use LZW or ZIP.")
    if page.photometric in REFUSED or page.photometric > PHOTOMETRIC.YCBCR:
        known = REFUSED.get(page.photometric, getattr(page.photometric, "name", page.photometric))
        raise DataError(f"{what} is stored as {known}: save it as grey or RGB.")
    if page.photometric == PHOTOMETRIC.YCBCR and page.is_subsampled and page.compression not in JPEG:
        raise DataError(f"{what} is stored as YCbCr of several resolutions: save it as grey or RGB.")


def _promised(tiff: tifffile.TiffFile, page: tifffile.TiffPage, alone: bool) -> int:
    """How many pages the description of one says lie one after the other behind it.

    Args:
        page: whose data are not compressed.
        alone: whether there is no other page.
    """
    shaped = page.shaped_description
    if shaped and shaped.startswith("{"):
        series = json.loads(shaped)
        if alone or series.get("truncated"):
            return int(math.prod(series["shape"])) // math.prod(page.shape)
    described: dict[str, int] | None = tiff.imagej_metadata
    if alone and described:  # ImageJ writes stacks of more than 4 GB so
        hyper: int = math.prod(described.get(axis, 1) for axis in ("slices", "frames", "channels"))
        return max(int(described.get("images", 1)), 1 if page.samplesperpixel > 1 else hyper)
    if alone and page.is_stk:
        return int(page.tags["UIC2tag"].count)
    return 1


def _described(page: tifffile.TiffPage, numbers: np.ndarray, notices: tuple[str, ...]) -> Stored:
    """What the tags of a page say of its numbers."""
    photometric = page.photometric if PHOTOMETRIC_TAG in page.tags else PHOTOMETRIC.MINISBLACK
    alpha = None
    colours = 1
    if photometric == PHOTOMETRIC.RGB or (photometric == PHOTOMETRIC.YCBCR and page.compression in JPEG):
        colours = 3
    elif photometric == PHOTOMETRIC.YCBCR:
        numbers = numbers[..., 0]  # brightness, by the weights of grey
    transparent = colours == 3 or page.extrasamples[:1] in ((EXTRASAMPLE.ASSOCALPHA,), (EXTRASAMPLE.UNASSALPHA,))
    if numbers.ndim == 3 and numbers.shape[2] == colours + 1 and transparent:
        numbers, alpha = numbers[..., :-1], numbers[..., -1]
    bits = page.bitspersample
    return Stored(
        numbers,
        bits,
        inverted=photometric == PHOTOMETRIC.MINISWHITE,
        palette=_palette(page, bits) if photometric == PHOTOMETRIC.PALETTE else None,
        alpha=alpha,
        colour=colours == 3,
        orientation=int(page.tags[ORIENTATION].value) if ORIENTATION in page.tags else 1,
        notices=notices,
    )


def _palette(page: tifffile.TiffPage, bits: int) -> np.ndarray:
    """(n, 3) of 8 bit where the picture has no more; TIFF stores 16 but for old programs, which stored 8."""
    stored = np.asarray(page.colormap).T
    return (stored >> 8 if stored.max() > 255 else stored).astype(np.uint8) if bits <= 8 else stored


_opened: OrderedDict[Path, tuple[tuple[int, ...], Stack]] = OrderedDict()
MOST_OPENED = 4


def opened(path: Path) -> Stack:
    """A TIFF, kept open from page to page: finding a page anew takes as long as there are pages before it."""
    status = path.stat()
    version = (status.st_mtime_ns, status.st_size, status.st_ino)
    known, stack = _opened.pop(path, ((), None))
    if stack is None or known != version:
        if stack is not None:
            stack.close()
        while len(_opened) >= MOST_OPENED:
            _opened.popitem(last=False)[1][1].close()
        stack = Stack(path)
    _opened[path] = (version, stack)
    return stack
