"""Averages over the pixels that count."""

import torch
from torch import Tensor


def mean(loss: Tensor, weight: Tensor | None) -> Tensor:
    """The weighted mean of a loss of each pixel; 0 where every weight is 0."""
    total = loss.sum() if weight is None else (weight * loss).sum()
    return total / count(loss, weight)


def count(logits: Tensor, weight: Tensor | None) -> Tensor:
    """The sum of weights; 1 where it is 0, so that a loss without a pixel is 0 / 1."""
    if weight is None:
        return torch.tensor(float(logits.numel()), device=logits.device)  # float16 counts to 65504 only
    total = weight.sum()
    return torch.where(total > 0, total, 1.0)
