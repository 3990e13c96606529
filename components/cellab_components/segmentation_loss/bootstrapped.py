"""Binary cross-entropy with a target that the network has a say in."""

import torch
from torch import Tensor

from cellab_components.checks import between, boolean, positive
from cellab_components.segmentation_loss.bce import Bce


class Bootstrapped:
    """Binary cross-entropy with a target that is mixed with what the network itself says.

    .. code-block:: text

        L = BCE(beta t + (1 - beta) q),   q = p (soft)   or   q = 1 where p > 0.5, else 0 (hard),   p = sigmoid(logit)

    The gradient flows through the soft q too, as in the reference, where it makes the network surer: with q held fixed
    it would be beta times the gradient of `Bce`, and nothing new.

    Reference:
        Reed et al., *Training deep neural networks on noisy labels with bootstrapping*,
        https://arxiv.org/abs/1412.6596.

    Args:
        beta: share of the target in the mixture; 1 is `Bce`.
        hard: whether q is hard.

    Shapes:
        as `Bce`.

    Raises:
        ValueError: `beta` is not above 0 and at most 1, or `hard` is not a boolean.
    """

    is_proper = False

    def __init__(self, beta: float, *, hard: bool) -> None:
        self.bce = Bce()
        self.beta = positive("beta", between("beta", beta, 0, 1))
        self.hard = boolean("hard", hard)

    def __call__(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The loss, a scalar."""
        said = (logits > 0).to(target.dtype) if self.hard else torch.sigmoid(logits)
        return self.bce(logits, self.beta * target + (1 - self.beta) * said, weight)
