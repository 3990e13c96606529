"""Binary cross-entropy and the Dice loss."""

import torch
from torch import Tensor

from cellab_components.checks import between, positive
from cellab_components.segmentation_loss.bce import Bce


class BceDice:
    """Binary cross-entropy plus soft Dice loss, the latter pooled over the batch.

    .. code-block:: text

        L = BCE + dice_weight * (1 - (2 sum w p t + s) / (sum w p + sum w t + s)),   p = sigmoid(logit)

    Pooling keeps the Dice term quiet on crops without a cell; the smoothing s keeps it finite on batches without one.

    Reference: Milletari et al., *V-Net*, https://arxiv.org/abs/1606.04797 (with p instead of p squared).

    Args:
        dice_weight: of the Dice term.
        smoothing: s, in pixels.

    Shapes:
        as `Bce`.

    Raises:
        ValueError: `dice_weight` is below 0, or `smoothing` is not above 0.
    """

    is_proper = False

    def __init__(self, dice_weight: float, smoothing: float) -> None:
        self.bce = Bce()
        self.dice_weight = between("dice_weight", dice_weight, 0, float("inf"), open_high=True)
        self.smoothing = positive("smoothing", smoothing)

    def __call__(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The loss, a scalar."""
        return self.bce(logits, target, weight) + self.dice_weight * self.dice(torch.sigmoid(logits), target, weight)

    def dice(self, probability: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
        """One minus the smoothed Dice coefficient of all pixels of the batch, a scalar in [0, 1]."""
        counted = torch.ones_like(target) if weight is None else weight
        overlap = (counted * probability * target).sum()
        total = (counted * (probability + target)).sum()
        return 1 - (2 * overlap + self.smoothing) / (total + self.smoothing)
