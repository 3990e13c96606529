"""The paper's entropy."""

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
        return self.pixels(probability).flatten(1).sum(dim=1)

    def pixels(self, probability: Tensor) -> Tensor:
        """Each pixel's part."""
        return -torch.xlogy(probability, probability)

    def of_total(self, total: Tensor, count: int) -> Tensor:  # noqa: ARG002
        """The sum."""
        return total
