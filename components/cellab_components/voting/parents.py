"""What parents say of images."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Members = Sequence[Callable[[Tensor], Tensor]]


def probabilities(members: Members, images: Tensor) -> Tensor:
    """Each member's probability (K, B, 1, H, W)."""
    if not members:
        raise ValueError("members: there is none; a vote needs at least one parent.")
    return torch.stack([torch.sigmoid(member(images)) for member in members])
