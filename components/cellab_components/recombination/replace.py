"""The pseudo-label alone."""

import torch
from torch import Tensor


class Replace:
    """The pseudo-label replaces the given mask.

    .. code-block:: text

        target = pseudo

    Reference: Hann, section 4.2.

    Shapes:
        given, pseudo (B, 1, H, W) in [0, 1] -> target and weight, both (B, 1, H, W); the weight is 1 everywhere.
    """

    def __call__(self, given: Tensor, pseudo: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """The pseudo-label, and ones."""
        return pseudo, torch.ones_like(pseudo)
