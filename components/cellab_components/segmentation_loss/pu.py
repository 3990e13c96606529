"""The non-negative risk of positive and unlabelled pixels."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from cellab_components.checks import between, positive
from cellab_components.segmentation_loss.averages import mean
from cellab_components.segmentation_loss.bce import Bce
from cellab_components.segmentation_loss.class_prior import ClassPrior, ClassPriorState

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

    With ``prior=auto`` it is estimated (`ClassPrior`): for the first `warm_up` batches the loss is that of `Bce`, and
    the network learns what is marked; then the prior is what its outputs on marked pixels say, and stays. It is too
    large where the network has not learned enough by then, or is unsure of marked pixels, as at outlines; too small
    where it knows the marks by heart, or marked cells are the easy ones. Zhao et al. search a grid with validation
    frames instead.

    The logistic surrogate gives probabilities; the sigmoid's drift to 0 and 1, of which entropies tell little.

    Reference:
        Kiryo et al., *Positive-unlabeled learning with non-negative risk estimator*,
        https://arxiv.org/abs/1703.00593, equation 6, with a prior that is known; for cells Zhao et al.,
        *Positive-unlabeled learning for cell detection in histopathology images with incomplete annotations*,
        https://arxiv.org/abs/2106.15918.

    Args:
        prior: share of cell pixels, marked or not, among all pixels of the crops; above the share of marked ones. Or
            `auto`.
        surrogate: `logistic` or `sigmoid`.
        warm_up: batches until an `auto` prior is known; a network of several outputs sees as many a step.

    Shapes:
        as `Bce`; soft targets are positives of less weight.

    Raises:
        ValueError: `prior` is neither between 0 and 1 nor `auto`, there is no such surrogate, or `warm_up` is no whole
            number of at least 2.
    """

    def __init__(self, prior: float | Literal["auto"], surrogate: str, warm_up: int) -> None:
        self._given = None if prior == "auto" else positive("prior", between("prior", prior, 0, 1, open_high=True))
        self._estimated = ClassPrior(warm_up)
        if not isinstance(surrogate, str) or surrogate not in SURROGATES:
            raise ValueError(f"surrogate: {surrogate!r} is not allowed; it must be one of {', '.join(SURROGATES)}.")
        self.surrogate = SURROGATES[surrogate]
        self.bce = Bce()

    @property
    def prior(self) -> float | None:
        """The prior; None while it is not known."""
        return self._estimated.value if self._given is None else self._given

    def __call__(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The loss, a scalar of at least 0."""
        marked = target if weight is None else weight * target
        prior = self.prior
        if prior is None:
            self._estimated.watch(logits, marked, weight)
            return self.bce(logits, target, weight)
        as_cell, as_background = self.surrogate(logits), self.surrogate(-logits)
        hidden = mean(as_background, weight) - prior * mean(as_background, marked)
        return prior * mean(as_cell, marked) + hidden.clamp(min=0)

    def state_dict(self) -> ClassPriorState:
        """What was seen for an `auto` prior."""
        return self._estimated.state_dict()

    def load_state_dict(self, state: ClassPriorState) -> None:
        """Goes on from there."""
        self._estimated.load_state_dict(state)
