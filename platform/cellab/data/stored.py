"""The one rule for what numbers mean: images are taken as they are shown, masks as the numbers that are stored.

Geometry (the orientation tag) is as shown for both, so that a mask drawn over what a viewer showed lies where it was
drawn. Pictures of one bit hold no numbers, only black and white: as masks too they are taken as shown, white is object.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from cellab.errors import DataError

LARGEST_ID = 2**32 - 1

DROPPED = "transparency was dropped"
GREYED = "colour was converted to grey (0.299 R + 0.587 G + 0.114 B)"
INVERTED = "stored inverted (MINISWHITE), turned over as it is shown"
TURNED = "turned as its orientation tag says"


@dataclass(frozen=True)
class Stored:
    """A picture as its file stores it, and what is needed to show it.

    Args:
        numbers: (H, W), or (H, W, channels) of colours and other channels, of any type; bool: one bit.
        bits: of a number, which may be fewer than its type has.
        inverted: whether 0 is shown white.
        palette: (n, 3) uint8 or uint16, the colours that the numbers stand for.
        alpha: (H, W), 0 where the picture is transparent.
        colour: whether three channels are red, green and blue rather than three pictures.
        orientation: the tag of that name in TIFF and EXIF, 1 to 8.
        notices: of the reader.
    """

    numbers: np.ndarray
    bits: int
    inverted: bool = False
    palette: np.ndarray | None = None
    alpha: np.ndarray | None = None
    colour: bool = True
    orientation: int = 1
    notices: tuple[str, ...] = ()


def as_image(stored: Stored, what: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """The grey values that are shown.

    Args:
        stored: the picture.
        what: it is, for messages.

    Returns:
        (H, W) uint8, uint16 or, where numbers are stored that no screen shows, their own type; and what was done to it.

    Raises:
        DataError: it has channels other than colours, or numbers that cannot be grey values.
    """
    notices = list(stored.notices)
    if stored.numbers.dtype.kind not in "buif":
        raise DataError(f"{what} holds {stored.numbers.dtype} values: save it as unsigned 8 or 16 bit.")
    if stored.alpha is not None and len(np.unique(stored.alpha)) > 1:
        notices.append(DROPPED)
    if stored.inverted:
        notices.append(INVERTED)
    grey = _single(_in_full_range(stored))
    if grey.ndim > 2:
        if grey.shape[2:] != (3,) or not (stored.colour or stored.palette is not None):
            raise DataError(f"{what} holds {grey.shape[2]} channels: save the one to import by itself.")
        notices.append(GREYED)
        grey = _luminance(grey)
    if grey.dtype.kind == "f" and not np.isfinite(grey).all():
        count = int((~np.isfinite(grey)).sum())
        raise DataError(
            f"{what} holds {count} values that are infinite or no numbers (NaN): replace them, e.g. by the background."
        )
    return _turned(grey, stored, notices), tuple(notices)


def as_mask(stored: Stored, what: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """The ids that are stored.

    Args:
        stored: the picture.
        what: it is, for messages.

    Returns:
        (H, W) uint32, and what was done to it.

    Raises:
        DataError: it is in colour, holds numbers that are no ids, or its objects are in its transparency.
    """
    notices = list(stored.notices)
    numbers = _single(stored.numbers)
    if numbers.ndim == 3:
        raise DataError(
            f"mask {what} is in colour: give one grey value (0 and 255, or an id) a pixel; where every colour is an "
            f"object, number the colours."
        )
    if stored.alpha is not None and len(np.unique(stored.alpha)) > 1:
        if (numbers == numbers[0, 0]).all():
            raise DataError(
                f"mask {what} has the same value everywhere: the objects seem to be in its transparency (alpha): save "
                f"that channel as the mask."
            )
        notices.append(DROPPED)
    if stored.bits == 1:
        numbers = _white(stored, numbers)
    elif stored.inverted:
        notices.append("stored inverted (MINISWHITE), its stored numbers were taken, 0 is background")
    elif _shows_background_brightest(stored, numbers):
        notices.append("its palette shows 0 brightest, its stored numbers were taken, 0 is background")
    _check_ids(numbers, what)
    return _turned(numbers.astype(np.uint32), stored, notices), tuple(notices)


def _single(numbers: np.ndarray) -> np.ndarray:
    """(H, W) of (H, W, channels) where all channels are the same."""
    if numbers.ndim == 3 and all(np.array_equal(numbers[..., 0], numbers[..., c]) for c in range(1, numbers.shape[2])):
        return numbers[..., 0]
    return numbers


def _in_full_range(stored: Stored) -> np.ndarray:
    """The numbers with palettes looked up, inverted ones turned over, those of few bits in the range of eight."""
    numbers, bits = stored.numbers, stored.bits
    if stored.palette is not None:
        return _looked_up(stored.palette, _single(numbers))
    if numbers.dtype.kind not in "bu":  # the range of numbers with a sign is its own mirror image
        return numbers if not stored.inverted else -numbers if numbers.dtype.kind == "f" else ~numbers
    white = numbers.dtype.type(2**bits - 1)
    if stored.inverted:
        numbers = white ^ numbers
    return np.round(numbers.astype(np.float32) * (255 / int(white))).astype(np.uint8) if bits < 8 else numbers


def _looked_up(palette: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """(H, W, 3): numbers beyond the palette are black."""
    colours = np.zeros((max(len(palette), int(numbers.max()) + 1), 3), palette.dtype)
    colours[: len(palette)] = palette
    looked_up: np.ndarray = colours[numbers.astype(np.intp)]
    return looked_up


def _luminance(colours: np.ndarray) -> np.ndarray:
    grey = colours @ np.array([0.299, 0.587, 0.114])
    rounded: np.ndarray = (grey if colours.dtype.kind == "f" else np.round(grey)).astype(colours.dtype)
    return rounded


def _white(stored: Stored, numbers: np.ndarray) -> np.ndarray:
    """Where a picture of one bit is shown white: the brighter of a palette's two colours."""
    if stored.palette is None:
        return numbers.astype(bool) ^ stored.inverted
    black, white = _luminance(_looked_up(stored.palette, np.arange(2)))
    return numbers.astype(bool) ^ bool(black > white)


def _shows_background_brightest(stored: Stored, numbers: np.ndarray) -> bool:
    if stored.palette is None:
        return False
    shown = _luminance(_looked_up(stored.palette, np.unique(np.append(0, numbers))))
    return bool(len(shown) > 1 and (shown[0] > shown[1:]).all())


def _check_ids(numbers: np.ndarray, what: str) -> None:
    kind: Any = numbers.dtype.kind
    if kind not in "buif":
        raise DataError(f"mask {what} holds {numbers.dtype} values: give whole numbers, 0 for background.")
    if kind == "b" or (kind == "u" and numbers.dtype.itemsize <= 4):
        return
    if kind == "f":
        exact = numbers.astype(np.float64)  # in fewer bits the largest id would be rounded up
        wrong = ~((exact >= 0) & (exact <= LARGEST_ID) & (exact == np.floor(exact)))
    else:
        wrong = (numbers < 0) | (numbers > LARGEST_ID)
    if wrong.any():
        row, column = np.argwhere(wrong)[0].tolist()
        raise DataError(
            f"mask {what} holds {numbers[row, column]} ({numbers.dtype}) in row {row}, column {column}: give whole "
            f"numbers from 0, the background, to {LARGEST_ID}."
        )


def _turned(values: np.ndarray, stored: Stored, notices: list[str]) -> np.ndarray:
    """The picture as its orientation tag says that it is shown."""
    if stored.orientation not in range(2, 9):
        return values
    notices.append(TURNED)
    if stored.orientation >= 5:
        values = values.T
    rows, columns = {2: (1, -1), 3: (-1, -1), 4: (-1, 1), 5: (1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}[
        stored.orientation
    ]
    return np.ascontiguousarray(values[::rows, ::columns])
