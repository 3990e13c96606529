"""Binary cross-entropy."""

from torch import Tensor
from torch.nn import functional as F

from cellab_components.segmentation_loss.averages import count


class Bce:
    """Binary cross-entropy, averaged over the pixels that count.

    .. code-block:: text

        L = sum w (-t ln p - (1 - t) ln(1 - p)) / sum w,   p = sigmoid(logit)

    L is 0 where every weight is 0.

    Reference: Ronneberger et al., *U-Net*, https://arxiv.org/abs/1505.04597, section 3, for two classes.

    Shapes:
        logits (B, 1, H, W), target (B, 1, H, W) in [0, 1], weight (B, 1, H, W) of at least 0 or None (all pixels
        count alike; a pixel of weight 0 carries no loss) -> scalar.
    """

    def __call__(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The loss, a scalar."""
        loss = F.binary_cross_entropy_with_logits(logits, target, weight, reduction="sum")
        return loss / count(logits, weight)
