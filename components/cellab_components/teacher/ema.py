"""The mean teacher: an average of the member's own weights."""

import copy
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cellab_components.checks import between

if TYPE_CHECKING:  # planning a lineage asks who teaches, and needs no PyTorch for it
    from torch import Tensor, nn


class ExponentialMovingAverage:
    """A mean teacher: an average of the member's own weights labels while the member trains; nothing is inherited.

    .. code-block:: text

        teacher <- d * teacher + (1 - d) * member,   d = min(decay, 1 - 1 / (step + 1)),   after each step
        r = exp(-5 (1 - min(1, progress / ramp_up))^2)
        share of pseudo-labelled and generated crops = r * min(the data mix's, 1 - labelled);   the rest is labelled

    Statistics of batch norm are the member's. The average is what is kept of the member. Pairs are made anew at every
    draw, since the teacher moves, and pass through voting, gate and recombination as all pseudo-labels do: hard
    targets by default. ``voting=soft acceptance=none recombination=replace`` is nearest to the reference, which has
    a consistency loss whose weight is ramped, where this ramps the share of crops.

    Reference: Tarvainen and Valpola, *Mean teachers are better role models*, https://arxiv.org/abs/1703.01780; ramp-up
    and half-labelled batches as in SSL4MIS, https://github.com/HiLab-git/SSL4MIS.

    Args:
        decay: of the average.
        ramp_up: share of the training in which the teacher's part grows; 0: it is whole from the start.
        labelled: least share of labelled crops in a batch.

    Raises:
        ValueError: `decay` is not in [0, 1), or `ramp_up` or `labelled` not in [0, 1].
    """

    lone_generation = 1  # the first that is taught; it needs none before it
    pairs_age = True

    def __init__(self, decay: float, ramp_up: float, labelled: float) -> None:
        self.decay = between("decay", decay, 0, 1, open_high=True)
        self.ramp_up = between("ramp_up", ramp_up, 0, 1)
        self.labelled = between("labelled", labelled, 0, 1)

    def parents(self, members: Sequence[str]) -> Sequence[str]:  # noqa: ARG002
        """None of them."""
        return ()

    def start(self, member: "nn.Module", parents: Sequence["nn.Module"]) -> None:  # noqa: ARG002
        """Takes a new member, and makes the average of its weights: a copy, as yet."""
        self._member = member
        self._average = copy.deepcopy(member).eval().requires_grad_(False)

    def labellers(self) -> Sequence["nn.Module"]:
        """The average."""
        return [self._average]

    def shares(self, shares: Mapping[str, float], progress: float) -> dict[str, float]:
        """The shares of a batch's sources after a share `progress` of the training, in [0, 1]; they add up to 1."""
        missing = 0.0 if progress >= self.ramp_up else 1 - progress / self.ramp_up
        taught = 1 - shares["labelled"]
        factor = math.exp(-5 * missing**2) * min(1.0, (1 - self.labelled) / taught) if taught else 0.0
        labelled_by_teacher = {name: share * factor for name, share in shares.items() if name != "labelled"}
        return {"labelled": 1 - sum(labelled_by_teacher.values()), **labelled_by_teacher}

    def update(self, step: int, logits: "Tensor", targets: "Tensor") -> None:  # noqa: ARG002
        """Moves the average towards the member after its step (from 1)."""
        decay = min(self.decay, 1 - 1 / (step + 1))
        for average, weight in zip(self._average.parameters(), self._member.parameters(), strict=True):
            average.data.lerp_(weight.data, 1 - decay)
        for kept, statistic in zip(self._average.buffers(), self._member.buffers(), strict=True):
            kept.data.copy_(statistic.data)

    def kept(self) -> "nn.Module":
        """The average."""
        return self._average

    def state_dict(self) -> Mapping[str, "Tensor"]:
        """The average's."""
        return self._average.state_dict()

    def load_state_dict(self, state: Mapping[str, "Tensor"]) -> None:
        """Goes on from that average."""
        self._average.load_state_dict(state)
