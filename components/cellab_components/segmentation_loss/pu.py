"""The non-negative risk of positive and unlabelled pixels."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from cellab_components.checks import between, positive
from cellab_components.segmentation_loss.averages import mean

# What a pixel of the positive class costs at a logit; at minus the logit it is one of the negative class.
SURROGATES: dict[str, Callable[[Tensor], Tensor]] = {
    "logistic": lambda logits: F.softplus(-logits),
    "sigmoid": lambda logits: torch.sigmoid(-logits),
}


class NonNegativePu:
    """The non-negative risk of learning from positive and unlabelled pixels: what is not marked may be a cell.

    .. code-block:: text

        L = prior R_p(+) + max(0, R_u(-) - prior R_p(-))
        R_p(y) = sum w t l(y logit) / sum w t,   R_u(y) = sum w l(y logit) / sum w
        l(z) = ln(1 + exp(-z)) (logistic)   or   sigmoid(-z) (sigmoid)

    One sample serves as both: positives are the pixels of target 1, and the unlabelled are all pixels, positives
    among them, as they come with the data's own share of cell. Without the max it is unbiased where marked pixels are
    a random choice of all cell pixels and the prior is right; the max keeps a network that knows the marked pixels by
    heart from a risk below 0. Its gradient is that of the formula; the reference's algorithm also steps uphill where
    the max holds. A batch without a positive has R_p = 0, and takes every pixel for background.

    The prior is that of the crops that are drawn, which the prominence filter makes larger than that of the frames, and
    of the masks' full extent: pseudo-labels that complete the masks leave less unmarked than it says.

    The logistic surrogate gives probabilities; the sigmoid's drift to 0 and 1, of which entropies tell little.

    Reference:
        Kiryo et al., *Positive-unlabeled learning with non-negative risk estimator*,
        https://arxiv.org/abs/1703.00593, equation 6.

    Args:
        prior: share of cell pixels, marked or not, among all pixels of the crops; above the share of marked ones.
        surrogate: `logistic` or `sigmoid`.

    Shapes:
        as `Bce`; soft targets are positives of less weight.

    Raises:
        ValueError: `prior` is not between 0 and 1, or there is no such surrogate.
    """

    def __init__(self, prior: float, surrogate: str) -> None:
        self.prior = positive("prior", between("prior", prior, 0, 1, open_high=True))
        if not isinstance(surrogate, str) or surrogate not in SURROGATES:
            raise ValueError(f"surrogate: {surrogate!r} is not allowed; it must be one of {', '.join(SURROGATES)}.")
        self.surrogate = SURROGATES[surrogate]

    def __call__(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The loss, a scalar of at least 0."""
        marked = target if weight is None else weight * target
        as_cell, as_background = self.surrogate(logits), self.surrogate(-logits)
        hidden = mean(as_background, weight) - self.prior * mean(as_background, marked)
        return self.prior * mean(as_cell, marked) + hidden.clamp(min=0)
