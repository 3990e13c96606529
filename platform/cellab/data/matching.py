"""Matches masks to images by their names."""

import difflib

from cellab.data.images import Picture
from cellab.errors import DataError


def match(images: list[Picture], masks: list[Picture], what: str) -> list[Picture | None]:
    """The mask of each image, None where it has none.

    Args:
        images: of all frames.
        masks: each must have an image of its name.
        what: for messages: ``"mask"`` or ``"truth"``.

    Raises:
        DataError: a mask has no image.
    """
    by_key = {mask.key: mask for mask in masks}
    keys = {image.key for image in images}
    lost = [mask for key, mask in by_key.items() if key not in keys]
    if lost:
        near = difflib.get_close_matches(lost[0].key, keys, n=1, cutoff=0.2)
        nearest = f" (the nearest is {near[0]!r})" if near else ""
        more = f" and {len(lost) - 1} more have" if len(lost) > 1 else " has"
        raise DataError(
            f"{what} {lost[0]}{more} no image of that name{nearest}: name masks as their images, e.g. "
            f"{images[0].key!r}, or remove them."
        )
    return [by_key.get(image.key) for image in images]
