"""Percentiles of the grey values of all images, of any real type, exactly and in constant memory."""

from dataclasses import dataclass

import numpy as np

DIGIT = 16  # bits that one pass over the images settles
LEVELS = 2**DIGIT


@dataclass
class _Sought:
    """A percentile of which some digits are known.

    Args:
        percentile: from 0 to 100.
        rank: of its pixel among those that share the digits, from 1; 0: not known before the first pass ends.
        digits: that are known, as one number.
    """

    percentile: float
    rank: float = 0.0
    digits: int = 0


class GreyValues:
    """Is fed all images once for every 16 bits that a grey value has, and then knows some of their percentiles.

    A percentile is the smallest grey value that at least so many per cent of the pixels do not exceed. It is selected
    digit by digit: values are mapped to unsigned numbers of the same order, a pass counts the pixels by their next 16
    bits among those that share the digits known so far, and so settles these. Neither hot pixels nor an offset that is
    large against the range do any harm.

    Args:
        percentiles: that are sought.
        dtype: of the images.
    """

    def __init__(self, percentiles: tuple[float, ...], dtype: np.dtype) -> None:
        self.dtype = dtype
        self._sought = {percentile: _Sought(percentile) for percentile in percentiles}
        self._shift = max(0, 8 * dtype.itemsize - DIGIT)
        self._counts: dict[int, np.ndarray] = {0: np.zeros(LEVELS, np.int64)}

    @classmethod
    def of(cls, image: np.ndarray, percentiles: tuple[float, ...]) -> "GreyValues":
        """Of a single image, (H, W)."""
        values = cls(percentiles, image.dtype)
        values.add(image)
        while values.needs_another_pass():
            values.add(image)
        return values

    def add(self, image: np.ndarray) -> None:
        """Counts one image's pixels.

        Args:
            image: (H, W), finite.
        """
        keys = _ordered(image.ravel())
        for digits in self._counts:
            among = keys[keys >> (self._shift + DIGIT) == digits] if self._settled else keys
            self._counts[digits] += np.bincount(
                (among >> self._shift).astype(np.int64) & (LEVELS - 1), minlength=LEVELS
            )

    def needs_another_pass(self) -> bool:
        """Ends a pass over all images; whether another one is needed."""
        for sought in self._sought.values():
            cumulated = np.cumsum(self._counts[sought.digits])
            rank = sought.rank or max(1.0, cumulated[-1] * sought.percentile / 100)
            digit = int(np.searchsorted(cumulated, rank))
            sought.rank = rank - (int(cumulated[digit - 1]) if digit else 0)
            sought.digits = sought.digits * LEVELS + digit
        if self._shift == 0:
            return False
        self._shift -= DIGIT
        self._counts = {sought.digits: np.zeros(LEVELS, np.int64) for sought in self._sought.values()}
        return True

    def percentile(self, percentile: float) -> float:
        """One of the percentiles that were sought, once no other pass is needed."""
        return _value(self._sought[percentile].digits, self.dtype)

    @property
    def _settled(self) -> bool:
        """Whether some digits are."""
        return self._shift + DIGIT < 8 * self.dtype.itemsize


def _ordered(values: np.ndarray) -> np.ndarray:
    """Unsigned numbers of as many bits, in the same order."""
    bits: np.ndarray = values.view(f"u{values.dtype.itemsize}")
    sign = bits.dtype.type(1 << (8 * values.dtype.itemsize - 1))
    if values.dtype.kind == "u":
        return bits
    # floats are stored as a sign and a magnitude, whole numbers as complements
    ordered: np.ndarray = bits ^ sign if values.dtype.kind == "i" else np.where(bits & sign, ~bits, bits | sign)
    return ordered


def _value(key: int, dtype: np.dtype) -> float:
    """The inverse of `_ordered`."""
    sign = 1 << (8 * dtype.itemsize - 1)
    if dtype.kind == "i":
        key ^= sign
    elif dtype.kind == "f":
        key = key & ~sign if key & sign else ~key & (2 * sign - 1)
    return float(np.array(key, f"u{dtype.itemsize}").view(dtype))
