"""The maps of a generator: their sides and channels, from the first to the image."""

from cellab_components.checks import at_least

FIRST_SIDE = 4  # pixels of the map that the linear layer yields


def channels(width: int, size: int, max_width: int) -> list[int]:
    """Channels at the sides 4, 8, ... size: they halve with each doubling, down to `width`."""
    at_least("max_width", max_width, at_least("width", width, 1))
    sides = [FIRST_SIDE * 2**n for n in range((size // FIRST_SIDE).bit_length())]
    return [min(max_width, width * size // side) for side in sides]
