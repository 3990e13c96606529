"""Segmentation losses: how far a member's logits are from a mask that may be wrong, soft, or partly unknown."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from cellab_components.checks import between, boolean, positive

# What a pixel of the positive class costs at a logit; at minus the logit it is one of the negative class.
SURROGATES: dict[str, Callable[[Tensor], Tensor]] = {
    "logistic": lambda logits: F.softplus(-logits),
    "sigmoid": lambda logits: torch.sigmoid(-logits),
}


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
        return loss / _count(logits, weight)


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

    def __init__(self, gamma: float, alpha: float) -> None:
        self.gamma = between("gamma", gamma, 0, float("inf"), open_high=True)
        self.alpha = between("alpha", alpha, 0, 1)

    def __call__(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The loss, a scalar."""
        log_p, log_q = F.logsigmoid(logits), F.logsigmoid(-logits)
        cell = self.alpha * target * torch.exp(self.gamma * log_q) * log_p
        background = (1 - self.alpha) * (1 - target) * torch.exp(self.gamma * log_p) * log_q
        return _mean(-cell - background, weight)


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
        hidden = _mean(as_background, weight) - self.prior * _mean(as_background, marked)
        return self.prior * _mean(as_cell, marked) + hidden.clamp(min=0)


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

    def __init__(self, beta: float, *, hard: bool) -> None:
        self.bce = Bce()
        self.beta = positive("beta", between("beta", beta, 0, 1))
        self.hard = boolean("hard", hard)

    def __call__(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The loss, a scalar."""
        said = (logits > 0).to(target.dtype) if self.hard else torch.sigmoid(logits)
        return self.bce(logits, self.beta * target + (1 - self.beta) * said, weight)


class Partial:
    """Binary cross-entropy of the known pixels only.

    .. code-block:: text

        L = BCE with weights w [|t - 0.5| > margin]

    A pixel is unknown where its weight is 0, or where its soft target is too close to 0.5. The sum is divided by the
    weights of the known pixels; L is 0 where there is none.

    Reference:
        Cicek et al., *3D U-Net: learning dense volumetric segmentation from sparse annotation*,
        https://arxiv.org/abs/1606.06650.

    Args:
        margin: largest distance from 0.5 of a target that says nothing.

    Shapes:
        as `Bce`.

    Raises:
        ValueError: `margin` is not in [0, 0.5).
    """

    def __init__(self, margin: float) -> None:
        self.bce = Bce()
        self.margin = between("margin", margin, 0, 0.5, open_high=True)

    def __call__(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The loss, a scalar."""
        known = ((target - 0.5).abs() > self.margin).to(target.dtype)
        return self.bce(logits, target, known if weight is None else known * weight)


def _mean(loss: Tensor, weight: Tensor | None) -> Tensor:
    """The weighted mean of a loss of each pixel; 0 where every weight is 0."""
    total = loss.sum() if weight is None else (weight * loss).sum()
    return total / _count(loss, weight)


def _count(logits: Tensor, weight: Tensor | None) -> Tensor:
    """The sum of weights; 1 where it is 0, so that a loss without a pixel is 0 / 1."""
    if weight is None:
        return torch.tensor(float(logits.numel()), device=logits.device)  # float16 counts to 65504 only
    total = weight.sum()
    return torch.where(total > 0, total, 1.0)
