"""Stretches grey values to 8 bit by percentiles: of the whole data set, or of each unrelated image by its own."""

from dataclasses import dataclass

import numpy as np

from cellab.data.grey_values import GreyValues
from cellab.errors import DataError

MEDIAN = 50.0


@dataclass(frozen=True)
class Stretch:
    """When and how grey values are stretched.

    Args:
        mode: ``"auto"``: images of other than 8 bit, and 8-bit ones that use little of their range or are mostly dark,
            as fluorescence is; ``"none"``: never (16 bit are divided by 257); ``"always"``.
        percentiles: that become 0 and 255. The default is StarDist's (Schmidt et al. 2018, MICCAI).
        each: whether percentiles are each image's own rather than the whole data set's: for unrelated images, whose
            exposures differ. Whether anything is stretched is decided for all together.
        narrow: auto: 8-bit images whose percentiles are less than this share of the range apart are stretched.
        dark: auto: 8-bit images whose median is below this share of the range are fluorescence.
        least: each: an image's own range counts as at least this share of the data set's, so that an empty one
            stays dark instead of showing nothing but noise.
    """

    mode: str = "auto"
    percentiles: tuple[float, float] = (1.0, 99.8)
    each: bool = False
    narrow: float = 0.5
    dark: float = 0.15
    least: float = 0.05

    def __post_init__(self) -> None:
        low, high = self.percentiles
        if not 0 <= low < high <= 100:
            raise DataError(f"stretch {low:g},{high:g}: give two percentiles from 0 to 100, the lower first.")

    @classmethod
    def parse(cls, text: str, each: bool = False) -> "Stretch":
        """From ``auto``, ``none`` or two percentiles such as ``0.5,99.5``.

        Args:
            text: to read.
            each: whether each image is stretched by its own percentiles.

        Raises:
            DataError: it is none of these.
        """
        if text in ("auto", "none"):
            return cls(mode=text, each=each)
        try:
            low, high = (float(part) for part in text.split(","))
        except ValueError:
            raise DataError(f"stretch {text!r}: give auto, none, or two percentiles such as 0.5,99.5.") from None
        return cls(mode="always", percentiles=(low, high), each=each)

    def values(self, dtype: np.dtype) -> GreyValues:
        """An empty account of grey values, to be fed all images.

        Args:
            dtype: of the images.

        Raises:
            DataError: numbers of that type have no black and white of their own, and are not to be stretched.
        """
        if self.mode == "none" and dtype not in (np.uint8, np.uint16):
            raise DataError(
                f"stretch none: images of {dtype} values must be stretched, since only unsigned 8 and 16 bit have a "
                f"black and a white of their own; give auto, or two percentiles such as 0.5,99.5."
            )
        return GreyValues((*self.percentiles, MEDIAN), dtype)

    def limits(self, values: GreyValues) -> "Limits":
        """The grey values that become 0 and 255.

        Args:
            values: of all frames.
        """
        low, middle, high = (values.percentile(p) for p in (self.percentiles[0], MEDIAN, self.percentiles[1]))
        full = 65535.0 if values.dtype == np.uint16 else 255.0
        if values.dtype == np.uint8:
            reasons = {"narrow range": high - low < self.narrow * full, "dark background": middle < self.dark * full}
            found = ", ".join(reason for reason, applies in reasons.items() if applies)
        else:
            found = _kind(values.dtype)
        if self.mode == "none" or (self.mode == "auto" and not found):
            return Limits(0.0, full, reason=None)
        return Limits(low, _above(low, high, values.dtype), reason=found if self.mode == "auto" else "as asked")

    def apply(self, image: np.ndarray, limits: "Limits") -> np.ndarray:
        """(H, W) of any real type to (H, W) uint8.

        Args:
            image: to stretch.
            limits: of the whole data set.
        """
        if not self.each or limits.reason is None:
            return limits.apply(image)
        own = GreyValues.of(image, self.percentiles)
        low, high = (own.percentile(p) for p in self.percentiles)
        least = low + self.least * (limits.high - limits.low)
        return Limits(low, _above(low, max(high, least), image.dtype), limits.reason).apply(image)


@dataclass(frozen=True)
class Limits:
    """A linear map of grey values.

    Args:
        low: becomes 0.
        high: becomes 255.
        reason: why values are stretched; None: they are not.
    """

    low: float
    high: float
    reason: str | None

    def apply(self, image: np.ndarray) -> np.ndarray:
        """(H, W) of any real type to (H, W) uint8; values outside the limits are clipped."""
        if (self.low, self.high) == (0.0, 255.0) and image.dtype == np.uint8:
            return image
        if image.dtype.itemsize <= 2:
            stretched = (image.astype(np.float32) - self.low) * (255 / (self.high - self.low))
        else:  # an offset may be large, and the whole range larger than the largest number
            half = image.astype(np.float64) / 2 - self.low / 2
            stretched = half / (self.high / 2 - self.low / 2) * 255
        return np.clip(np.round(stretched), 0, 255).astype(np.uint8)


def _above(low: float, high: float, dtype: np.dtype) -> float:
    """A limit above the lower one, also where all values are the same: at least the next whole number, if they are."""
    least = 0.0 if dtype.kind == "f" and high > low else max(1.0, 2 * float(np.spacing(abs(low))))
    return max(high, low + least)


def _kind(dtype: np.dtype) -> str:
    """A type of numbers in words."""
    bits = 8 * dtype.itemsize
    return {"u": f"{bits} bit", "i": f"signed {bits} bit", "f": f"{bits}-bit float"}[dtype.kind]
