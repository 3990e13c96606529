"""The original adversarial loss."""

from torch import Tensor
from torch.nn import functional as F


class NonSaturating:
    """The original GAN loss, with the generator's non-saturating variant.

    .. code-block:: text

        L_D = E softplus(-D(real)) + E softplus(D(fake))        L_G = E softplus(-D(fake))

    Reference: Goodfellow et al., *Generative adversarial networks*, https://arxiv.org/abs/1406.2661; Hann, section 8.
    """

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """E softplus(-D(real)) + E softplus(D(fake)), a scalar of logits (B,)."""
        return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()

    def generator_loss(self, fake_logits: Tensor) -> Tensor:
        """E softplus(-D(fake)), a scalar of logits (B,)."""
        return F.softplus(-fake_logits).mean()
