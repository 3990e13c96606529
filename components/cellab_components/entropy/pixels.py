"""The entropy of each pixel's choice between cell and background."""

import torch
from torch import Tensor


def binary_entropy(probability: Tensor) -> Tensor:
    """The binary entropy of each pixel, in nats; of any shape."""
    rest = 1 - probability
    return -(torch.xlogy(probability, probability) + torch.xlogy(rest, rest))
