"""A member, or the average of its weights, that labels once early learning is over."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypedDict

from cellab_components.teacher.early_learning import EarlyLearning, EarlyLearningState
from cellab_components.teacher.ema import ExponentialMovingAverage

if TYPE_CHECKING:  # planning a lineage asks who teaches, and needs no PyTorch for it
    from torch import Tensor, nn


class CorrectionState(TypedDict):
    """The average's state, and what was seen of early learning."""

    average: Mapping[str, "Tensor"]
    early_learning: EarlyLearningState


class EarlyLearningCorrection:
    """The member labels for itself, by an average of its weights, but only once it has learned what masks have right.

    .. code-block:: text

        shares of a batch:   labelled 1 until early learning is over (`EarlyLearning`), then the data mix's
        labels:              teacher <- d * teacher + (1 - d) * member,   d = min(decay, 1 - 1 / (step + 1))

    With `decay` 0 the member itself labels, in evaluation mode, and is kept: ADELE. With a larger one the average does,
    and is kept: AIO2. Nothing is inherited. Pairs are made anew at every draw, and pass through voting, gate and
    recombination as all pseudo-labels do.

    *ADELE* (``teacher=adele``). As in the reference: that early learning ends, and labels are corrected, where the
    curve of the IoU with the given masks flattens. Here there is one class, cells; the trigger counts intervals of
    steps, not epochs, with a simpler start. Other than there: labels are made anew at each draw, not stored once an
    epoch, and there is neither averaging over scales nor its consistency loss.
    ``voting=soft acceptance=none recombination=replace_where_sure`` and a `data_mix` of nothing but pseudo-labelled
    crops are nearest to it. Where masks miss cells but invent none, a member that may also take given cells away
    comes to find fewer and fewer; ``voting=mean recombination=union`` keeps what is given.

    *AIO2* (``teacher=aio2``). As in the reference: a mean teacher's objects are added to the given mask, by
    ``recombination=add_objects``, which has to be asked for, once a trigger says so; labels are not stored. Other than
    there: the trigger is ADELE's. AIO2's own takes sliding windows' slopes of the teacher's accuracy, finds the end of
    the transition after it has passed, and goes back to a checkpoint before it; here nothing goes back, and the
    curve is the member's.

    Reference: Liu et al., *Adaptive early-learning correction for segmentation from noisy annotations*,
    https://arxiv.org/abs/2110.03740; Liu et al., *AIO2: online correction of object labels for deep learning with
    incomplete annotation in remote sensing image segmentation*, https://arxiv.org/abs/2403.01641.

    Args:
        decay: of the average; 0: the member's own weights.
        interval: steps that a point of the curve stands for.
        threshold: relative change of the curve's slope at which early learning is over.

    Raises:
        ValueError: `decay` or `threshold` is not in [0, 1), or `interval` not a whole number of at least 1.
    """

    lone_generation = 1  # the first that is taught; it needs none before it
    pairs_age = True

    def __init__(self, decay: float, interval: int, threshold: float) -> None:
        self._average = ExponentialMovingAverage(decay, ramp_up=0, labelled=0)
        self._early_learning = EarlyLearning(interval, threshold)

    def parents(self, members: Sequence[str]) -> Sequence[str]:
        """None of them."""
        return self._average.parents(members)

    def start(self, member: "nn.Module", parents: Sequence["nn.Module"]) -> None:
        """Takes a new member, and makes the average of its weights: a copy, as yet."""
        self._average.start(member, parents)

    def labellers(self) -> Sequence["nn.Module"]:
        """The average."""
        return self._average.labellers()

    def shares(self, shares: Mapping[str, float], progress: float) -> Mapping[str, float]:  # noqa: ARG002
        """The shares of a batch's sources: all is labelled until early learning is over; then as the data mix says."""
        if self._early_learning.over:
            return shares
        return {name: float(name == "labelled") for name in shares}

    def update(self, step: int, logits: "Tensor", targets: "Tensor") -> None:
        """Moves the average towards the member, and, as long as all targets are given masks, watches how they fit."""
        self._average.update(step, logits, targets)
        self._early_learning.watch(step, logits, targets)

    def kept(self) -> "nn.Module":
        """The average."""
        return self._average.kept()

    def state_dict(self) -> CorrectionState:
        """The average's, and what was seen."""
        return {"average": self._average.state_dict(), "early_learning": self._early_learning.state_dict()}

    def load_state_dict(self, state: CorrectionState) -> None:
        """Goes on from there."""
        self._average.load_state_dict(state["average"])
        self._early_learning.load_state_dict(state["early_learning"])
