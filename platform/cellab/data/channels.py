"""Tells by the description of a TIFF whether its pages are channels of the same scene rather than frames."""

import math
import re
from typing import Any

import numpy as np
import tifffile
from tifffile import PHOTOMETRIC

# tifffile calls the pages of OME and ImageJ files channels unless told otherwise, and hardly anybody images so many
MOST_UNNAMED = 4

NAMED = re.compile(r"<(?:\w+:)?Channel\b[^>]*\s(?:Name|Fluor|EmissionWavelength|ExcitationWavelength)=")


def count_channels(tiff: tifffile.TiffFile) -> tuple[int, tuple[str, ...]]:
    """How many channels the pages of a file are of; those of an OME set may be in other files.

    Args:
        tiff: an open file.

    Returns:
        Their number, and a notice where what is called channels was taken for frames.
    """
    most = max((_channels(series) for series in tiff.series), default=1)
    if most > MOST_UNNAMED and len(tiff.series) == 1 and _nothing_else(tiff.series[0]) and not _named(tiff):
        return 1, (f"{most} channels without names taken for frames",)
    return most, ()


def _channels(series: Any) -> int:
    if "C" not in series.axes or series.keyframe.photometric in (PHOTOMETRIC.RGB, PHOTOMETRIC.YCBCR):
        return 1
    axis = series.axes.index("C")
    pages = list(series.pages)
    before = series.shape[: len(series.axes) - series.keyframe.ndim]
    if axis >= len(before) or len(pages) != math.prod(before):
        return int(series.shape[axis])
    here = np.array([page is not None for page in pages]).reshape(before)
    return int(np.moveaxis(here, axis, 0).reshape(series.shape[axis], -1).any(axis=1).sum())


def _nothing_else(series: Any) -> bool:
    """Whether a series of planes has no axis but that of its channels, by OME or ImageJ."""
    lengths = dict(zip(series.axes, series.shape, strict=True))
    others = math.prod(length for axis, length in lengths.items() if axis not in "CYX")
    return series.kind in ("ome", "imagej") and series.keyframe.samplesperpixel == 1 and others == 1


def _named(tiff: tifffile.TiffFile) -> bool:
    """Whether somebody said what the channels are, or in which colours they are shown."""
    described: dict[str, object] = tiff.imagej_metadata or {}
    return bool(
        NAMED.search(tiff.ome_metadata or "") or described.get("mode") in ("composite", "color") or "LUTs" in described
    )
