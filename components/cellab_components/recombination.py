"""Recombination: what becomes of the given mask once there is a pseudo-label."""

import torch
from torch import Tensor


class Replace:
    """The pseudo-label replaces the given mask.

    .. code-block:: text

        target = pseudo

    Reference: Hann, section 4.2.

    Shapes:
        given, pseudo (B, 1, H, W) in [0, 1] -> target and weight, both (B, 1, H, W); the weight is 1 everywhere.
    """

    def __call__(self, given: Tensor, pseudo: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """The pseudo-label, and ones."""
        return pseudo, torch.ones_like(pseudo)


class Union:
    """A pixel is positive where the given mask or the pseudo-label says so.

    .. code-block:: text

        target = max(given, pseudo)

    Masks miss cells but seldom invent them, so what they do say is kept.

    Reference: Hann, section 4.2.

    Shapes:
        as `Replace`.
    """

    def __call__(self, given: Tensor, pseudo: Tensor) -> tuple[Tensor, Tensor]:
        """The larger of both, and ones."""
        return torch.maximum(given, pseudo), torch.ones_like(pseudo)


class KeepLabelledPositives:
    """What the given mask calls a cell stays as given; everywhere else the pseudo-label decides.

    .. code-block:: text

        target = given where given > 0.5, else pseudo

    The same as `Union` wherever the given mask is hard, be the pseudo-label hard or soft. It differs where the given
    mask is soft: there `Union` takes the larger of both, while this neither raises a given positive to a surer
    pseudo-label nor lets a weak hint of the given mask (0.5 or below) outvote the pseudo-label. Masks of a data set
    are hard.

    Reference: ours; one way to "re-combine" masks, which Hann, section 4.2, leaves open.

    Shapes:
        as `Replace`.
    """

    def __call__(self, given: Tensor, pseudo: Tensor) -> tuple[Tensor, Tensor]:
        """The given mask where it is positive, else the pseudo-label, and ones."""
        return torch.where(given > 0.5, given, pseudo), torch.ones_like(pseudo)


class DisagreementIsIgnored:
    """The pseudo-label, and pixels where the given mask says otherwise carry no loss.

    .. code-block:: text

        target = pseudo,   weight = 1 where [given > 0.5] = [pseudo > 0.5], else 0

    A cell that the given mask misses is then neither learned nor unlearned.

    Reference: ours; one way to "re-combine" masks, which Hann, section 4.2, leaves open.

    Shapes:
        as `Replace`, but for the weight, which is 0 or 1.
    """

    def __call__(self, given: Tensor, pseudo: Tensor) -> tuple[Tensor, Tensor]:
        """The pseudo-label, and ones where both agree on what is a cell."""
        return pseudo, ((given > 0.5) == (pseudo > 0.5)).to(pseudo.dtype)
