"""The Tversky loss."""

import torch
from torch import Tensor

from cellab_components.checks import positive


class Tversky:
    """One minus the Tversky index of all pixels of the batch, which weighs invented and missed pixels differently.

    .. code-block:: text

        TP = sum w p t,   FP = sum w p (1 - t),   FN = sum w (1 - p) t,   p = sigmoid(logit)
        L = 1 - (TP + s) / (TP + alpha FP + beta FN + s)

    At alpha = beta = 0.5 it is the Dice loss. The smoothing s keeps it finite on batches without a cell.

    Reference:
        Salehi et al., *Tversky loss function for image segmentation using 3D fully convolutional deep networks*,
        https://arxiv.org/abs/1706.05721.

    Args:
        alpha: weight of invented pixels.
        beta: weight of missed ones; above `alpha` it favours recall.
        smoothing: s, in pixels.

    Shapes:
        as `Bce`.

    Raises:
        ValueError: an argument is not above 0.
    """

    is_proper = False

    def __init__(self, alpha: float, beta: float, smoothing: float) -> None:
        self.alpha = positive("alpha", alpha)
        self.beta = positive("beta", beta)
        self.smoothing = positive("smoothing", smoothing)

    def __call__(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The loss, a scalar in [0, 1]."""
        counted = torch.ones_like(target) if weight is None else weight
        probability = torch.sigmoid(logits)
        hit = (counted * probability * target).sum()
        invented = (counted * probability * (1 - target)).sum()
        missed = (counted * (1 - probability) * target).sum()
        total = hit + self.alpha * invented + self.beta * missed
        return 1 - (hit + self.smoothing) / (total + self.smoothing)
