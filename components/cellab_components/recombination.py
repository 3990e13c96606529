"""Recombination: what becomes of the given mask once there is a pseudo-label."""

import torch
from torch import Tensor


class Replace:
    """The pseudo-label replaces the given mask.

    Reference: Hann, section 4.2.

    Shapes:
        given, pseudo (B, 1, H, W) in [0, 1] -> target and weight, both (B, 1, H, W); the weight is 1 everywhere.
    """

    def __call__(self, given: Tensor, pseudo: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """The pseudo-label, and ones."""
        return pseudo, torch.ones_like(pseudo)


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
