"""The focal loss."""

import torch
from torch import Tensor
from torch.nn import functional as F

from cellab_components.checks import between
from cellab_components.segmentation_loss.averages import mean


class Focal:
    """Cross-entropy in which pixels that are right already count little.

    .. code-block:: text

        L = sum w (-alpha t (1 - p)^gamma ln p - (1 - alpha) (1 - t) p^gamma ln(1 - p)) / sum w,   p = sigmoid(logit)

    At gamma = 0 and alpha = 0.5 it is half of `Bce`. Other values of alpha move the probability at which a pixel is as
    good as either class away from 0.5, where masks are cut: 0.25 calls a pixel a cell from 0.75 on. The reference
    divides by the number of positives, which a crop without a cell does not have.

    Reference: Lin et al., *Focal loss for dense object detection*, https://arxiv.org/abs/1708.02002.

    Args:
        gamma: how soon a pixel that is right stops counting.
        alpha: weight of the positive class; the negative class has the rest of 1.

    Shapes:
        as `Bce`.

    Raises:
        ValueError: `gamma` is below 0, or `alpha` is not in [0, 1].
    """

    is_proper = False

    def __init__(self, gamma: float, alpha: float) -> None:
        self.gamma = between("gamma", gamma, 0, float("inf"), open_high=True)
        self.alpha = between("alpha", alpha, 0, 1)

    def __call__(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The loss, a scalar."""
        log_p, log_q = F.logsigmoid(logits), F.logsigmoid(-logits)
        cell = self.alpha * target * torch.exp(self.gamma * log_q) * log_p
        background = (1 - self.alpha) * (1 - target) * torch.exp(self.gamma * log_p) * log_q
        return mean(-cell - background, weight)
