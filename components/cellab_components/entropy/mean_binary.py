"""The binary entropy, averaged over pixels."""

from torch import Tensor

from cellab_components.entropy.pixels import binary_entropy


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
        return self.pixels(probability).flatten(1).mean(dim=1)

    def pixels(self, probability: Tensor) -> Tensor:
        """Each pixel's part."""
        return binary_entropy(probability)

    def of_total(self, total: Tensor, count: int) -> Tensor:
        """The mean."""
        return total / count
