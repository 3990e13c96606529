"""Entropies: how unsure the parents are of a crop."""

import torch
from torch import Tensor


class PaperEntropy:
    """The paper's entropy of a soft mask, literally: a sum over pixels without the term of the background.

    .. code-block:: text

        E(X) = -sum X ln X,   0 ln 0 = 0

    A hard mask has none. The largest value is H * W / e, where every pixel is 1/e.

    Reference: Hann, section 4.2.

    Shapes:
        probability (B, 1, H, W) in [0, 1] -> (B,), in nats.
    """

    def __call__(self, probability: Tensor) -> Tensor:
        """The entropy (B,) of each mask."""
        return -torch.xlogy(probability, probability).flatten(1).sum(dim=1)


class BinaryEntropy:
    """The entropy of every pixel's choice between cell and background, summed over pixels.

    .. code-block:: text

        E(X) = -sum (X ln X + (1 - X) ln(1 - X)),   0 ln 0 = 0

    Unlike the paper's, it finds a pixel of 0.9 as sure as one of 0.1. The largest value is H * W * ln 2.

    Reference: Shannon, *A mathematical theory of communication*, https://doi.org/10.1002/j.1538-7305.1948.tb01338.x.

    Shapes:
        as `PaperEntropy`.
    """

    def __call__(self, probability: Tensor) -> Tensor:
        """The entropy (B,) of each mask."""
        return _binary(probability).sum(dim=1)


class MeanBinaryEntropy:
    """The mean instead of the sum of `BinaryEntropy`, which does not grow with the crop.

    .. code-block:: text

        E(X) = -1/(H W) sum (X ln X + (1 - X) ln(1 - X)),   0 ln 0 = 0

    The largest value is ln 2.

    Reference: as `BinaryEntropy`.

    Shapes:
        as `PaperEntropy`, in nats a pixel.
    """

    def __call__(self, probability: Tensor) -> Tensor:
        """The mean entropy (B,) of each mask."""
        return _binary(probability).mean(dim=1)


def _binary(probability: Tensor) -> Tensor:
    """The binary entropy (B, H * W) of each pixel."""
    rest = 1 - probability
    return -(torch.xlogy(probability, probability) + torch.xlogy(rest, rest)).flatten(1)
