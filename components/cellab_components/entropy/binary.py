"""The binary entropy, summed over pixels."""

from torch import Tensor

from cellab_components.entropy.pixels import binary_entropy


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
        return self.pixels(probability).flatten(1).sum(dim=1)

    def pixels(self, probability: Tensor) -> Tensor:
        """Each pixel's part."""
        return binary_entropy(probability)

    def of_total(self, total: Tensor, count: int) -> Tensor:  # noqa: ARG002
        """The sum."""
        return total
