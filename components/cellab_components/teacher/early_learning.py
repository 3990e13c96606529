"""Tells from how well a network fits its given masks when early learning is over."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict

from cellab_components.checks import at_least, between

if TYPE_CHECKING:  # planning a lineage asks who teaches, and needs neither PyTorch nor SciPy for it
    from numpy.typing import NDArray
    from torch import Tensor

PARAMETERS = 3  # of the curve; it goes through as many points, and tells nothing
LEARNING = 0.1  # the IoU of a network that has begun to find anything


class EarlyLearningState(TypedDict):
    """How far it is: pixels of the present interval, the IoU of those before, and whether early learning is over."""

    both: int
    either: int
    ious: list[float]
    over: bool


class EarlyLearning:
    """Watches the overlap of a network's training output with the given masks, and says once that its rise flattens.

    .. code-block:: text

        IoU(t) = |p > 0.5 and mask| / |p > 0.5 or mask|,   over all pixels of the t-th interval of so many steps
        f(t) = a (1 - exp(-b t^c)),   0 <= a <= 1, b >= 0, 0 <= c <= 1,   least squares
        over, for good, where   |f'(1) - f'(t)| / f'(1) > threshold

    Later points weigh more, as the reference's code has it: residuals are divided by 1 (the first) to 0.1 (the last).
    Intervals before the IoU first reaches 0.1 are not counted. So a network that calls nothing a cell at 0.5, as where
    far fewer than half of the cells are marked, stays in early learning for ever.

    Reference: Liu et al., *Adaptive early-learning correction for segmentation from noisy annotations*,
    https://arxiv.org/abs/2110.03740, where an interval is an epoch, and leading ones are left out until
    the IoU rises by 0.1 from one to the next.

    Args:
        interval: steps that a point of the curve stands for.
        threshold: relative change of the slope.

    Attributes:
        over: whether early learning is.

    Raises:
        ValueError: `interval` is not a whole number of at least 1, or `threshold` not in [0, 1).
    """

    def __init__(self, interval: int, threshold: float) -> None:
        self.interval = at_least("interval", interval, 1)
        self.threshold = between("threshold", threshold, 0, 1, open_high=True)
        self.over = False
        self._both = self._either = 0
        self._ious: list[float] = []

    def watch(self, step: int, logits: "Tensor", masks: "Tensor") -> None:
        """Sees a step's (from 1) logits and the given masks, both (B, 1, H, W)."""
        if self.over:
            return
        said, given = logits > 0, masks > 0.5
        self._both += int((said & given).sum())
        self._either += int((said | given).sum())
        if step % self.interval == 0:
            iou = self._both / self._either if self._either else 0.0
            self._both = self._either = 0
            if self._ious or iou >= LEARNING:
                self._ious.append(iou)
            self.over = len(self._ious) > PARAMETERS and slope_change(self._ious) > self.threshold

    def state_dict(self) -> EarlyLearningState:
        """What it has seen."""
        return {"both": self._both, "either": self._either, "ious": list(self._ious), "over": self.over}

    def load_state_dict(self, state: EarlyLearningState) -> None:
        """Goes on from there."""
        self._both, self._either, self.over = state["both"], state["either"], state["over"]
        self._ious = list(state["ious"])


def slope_change(ious: Sequence[float]) -> float:
    """By what part the slope of the curve through IoUs, in [0, 1], has fallen from the first to the last: in [0, 1]."""
    import numpy as np
    from scipy.optimize import least_squares

    times = np.arange(1, len(ious) + 1)
    sigma = np.geomspace(1, 0.1, len(ious))

    def residuals(curve: "NDArray[np.float64]") -> "NDArray[np.float64]":
        height, rate, power = curve
        misses: NDArray[np.float64] = (height * (1 - np.exp(-rate * times**power)) - ious) / sigma
        return misses

    _, rate, power = least_squares(residuals, x0=(1, 1, 1), bounds=([0, 0, 0], [1, np.inf, 1])).x
    return float(1 - times[-1] ** (power - 1) * np.exp(-rate * (times[-1] ** power - 1)))
