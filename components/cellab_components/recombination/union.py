"""The given mask or the pseudo-label."""

import torch
from torch import Tensor


class Union:
    """A pixel is positive where the given mask or the pseudo-label says so.

    .. code-block:: text

        target = max(given, pseudo)

    Masks miss cells but seldom invent them, so what they do say is kept.

    Reference: Hann, section 4.2.

    Shapes:
        as `Replace`.
    """

    def __call__(self, given: Tensor, pseudo: Tensor) -> tuple[Tensor, Tensor]:
        """The larger of both, and ones."""
        return torch.maximum(given, pseudo), torch.ones_like(pseudo)
