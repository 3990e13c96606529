"""Random numbers between limits, as augmentations draw them."""

from torch import Tensor


def uniform(share: Tensor, limits: tuple[float, float]) -> Tensor:
    """Shares in [0, 1], moved to [low, high]."""
    low, high = limits
    return low + (high - low) * share
