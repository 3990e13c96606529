"""The least-squares loss."""

from torch import Tensor


class LeastSquares:
    """The least-squares loss, of labels 1 for real and 0 for generated images.

    .. code-block:: text

        L_D = 1/2 E (D(real) - 1)^2 + 1/2 E D(fake)^2        L_G = 1/2 E (D(fake) - 1)^2

    Reference:
        Mao et al., *Least squares generative adversarial networks*, https://arxiv.org/abs/1611.04076, equation 9.
    """

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """1/2 E (D(real) - 1)^2 + 1/2 E D(fake)^2, a scalar of logits (B,)."""
        return ((real_logits - 1).square().mean() + fake_logits.square().mean()) / 2

    def generator_loss(self, fake_logits: Tensor) -> Tensor:
        """1/2 E (D(fake) - 1)^2, a scalar of logits (B,)."""
        return (fake_logits - 1).square().mean() / 2
