"""Adversarial losses with softened labels."""

from torch import Tensor
from torch.nn import functional as F


class SmoothedLabels:
    """The non-saturating loss, real images labelled a little less than real.

    .. code-block:: text

        L_D = (1 - s) E softplus(-D(real)) + s E softplus(D(real)) + E softplus(D(fake))
        L_G = E softplus(-D(fake))

    Reference: Salimans et al., *Improved techniques for training GANs*, https://arxiv.org/abs/1606.03498, section 3.4.

    Args:
        smoothing: s, what real images' label lacks.

    Raises:
        ValueError: `smoothing` is not in [0, 0.5).
    """

    def __init__(self, smoothing: float) -> None:
        if not 0 <= smoothing < 0.5:
            raise ValueError(f"smoothing: {smoothing!r} is not allowed; it must lie in [0, 0.5).")
        self.smoothing = smoothing

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """A scalar of logits (B,) of real and of generated images."""
        real = (1 - self.smoothing) * F.softplus(-real_logits) + self.smoothing * F.softplus(real_logits)
        return real.mean() + F.softplus(fake_logits).mean()

    def generator_loss(self, fake_logits: Tensor) -> Tensor:
        """A scalar of logits (B,) of generated images."""
        return F.softplus(-fake_logits).mean()
