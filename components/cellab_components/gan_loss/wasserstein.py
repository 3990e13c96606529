"""The loss of the Wasserstein GAN."""

from torch import Tensor


class Wasserstein:
    """The critic's estimate of the Wasserstein-1 distance.

    .. code-block:: text

        L_D = E D(fake) - E D(real)        L_G = -E D(fake)

    Reference: Arjovsky et al., *Wasserstein GAN*, https://arxiv.org/abs/1701.07875; Hann, section 8.
    """

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """E D(fake) - E D(real), a scalar of logits (B,)."""
        return fake_logits.mean() - real_logits.mean()

    def generator_loss(self, fake_logits: Tensor) -> Tensor:
        """-E D(fake), a scalar of logits (B,)."""
        return -fake_logits.mean()
