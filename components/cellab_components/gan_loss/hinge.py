"""The hinge loss."""

from torch import Tensor
from torch.nn import functional as F


class Hinge:
    """The hinge loss: the discriminator ignores images that it is sure of by a margin of 1.

    .. code-block:: text

        L_D = E max(0, 1 - D(real)) + E max(0, 1 + D(fake))        L_G = -E D(fake)

    Reference:
        Lim and Ye, *Geometric GAN*, https://arxiv.org/abs/1705.02894; Miyato et al., https://arxiv.org/abs/1802.05957,
        equations 16 and 17.
    """

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """E max(0, 1 - D(real)) + E max(0, 1 + D(fake)), a scalar of logits (B,)."""
        return F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()

    def generator_loss(self, fake_logits: Tensor) -> Tensor:
        """-E D(fake), a scalar of logits (B,)."""
        return -fake_logits.mean()
