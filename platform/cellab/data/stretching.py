"""Stretches grey values to 8 bit by percentiles: of the whole data set, or of each unrelated image by its own."""

from dataclasses import dataclass

import numpy as np

from cellab.errors import DataError

LEVELS = 65536


@dataclass(frozen=True)
class Stretch:
    """When and how grey values are stretched.

    Args:
        mode: ``"auto"``: 16-bit images, and 8-bit ones that use little of their range or are mostly dark, as
            fluorescence is; ``"none"``: never (16 bit are divided by 257); ``"always"``.
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

    def limits(self, histogram: np.ndarray, is_16_bit: bool) -> "Limits":
        """The grey values that become 0 and 255.

        Args:
            histogram: (65536,) counts of the grey values of all frames.
            is_16_bit: whether they are 16-bit numbers.
        """
        full = (0.0, 65535.0) if is_16_bit else (0.0, 255.0)
        low, middle, high = (_percentile(histogram, p) for p in (self.percentiles[0], 50, self.percentiles[1]))
        narrow = high - low < self.narrow * full[1]
        dark = middle < self.dark * full[1]
        reasons = {
            "16 bit": is_16_bit,
            "narrow range": narrow and not is_16_bit,
            "dark background": dark and not is_16_bit,
        }
        found = [reason for reason, applies in reasons.items() if applies]
        if self.mode == "none" or (self.mode == "auto" and not found):
            return Limits(*full, reason=None)
        reason = ", ".join(found) if self.mode == "auto" else "as asked"
        return Limits(float(low), float(max(high, low + 1)), reason=reason)

    def apply(self, image: np.ndarray, limits: "Limits") -> np.ndarray:
        """(H, W) uint8 or uint16 to (H, W) uint8.

        Args:
            image: to stretch.
            limits: of the whole data set.
        """
        if not self.each or limits.reason is None:
            return limits.apply(image)
        counts = np.bincount(image.ravel(), minlength=LEVELS)
        low, high = (float(_percentile(counts, p)) for p in self.percentiles)
        least = max(1.0, self.least * (limits.high - limits.low))
        return Limits(low, max(high, low + least), limits.reason).apply(image)


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
        """(H, W) uint8 or uint16 to (H, W) uint8; values outside the limits are clipped."""
        if (self.low, self.high) == (0.0, 255.0) and image.dtype == np.uint8:
            return image
        stretched = (image.astype(np.float32) - self.low) * (255 / (self.high - self.low))
        return np.clip(np.round(stretched), 0, 255).astype(np.uint8)


def _percentile(histogram: np.ndarray, percentile: float) -> int:
    """The smallest grey value that at least this per cent of the pixels do not exceed."""
    cumulated = np.cumsum(histogram)
    return int(np.searchsorted(cumulated, max(1, cumulated[-1] * percentile / 100)))
