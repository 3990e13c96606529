"""The given mask's cells, and elsewhere the pseudo-label."""

import torch
from torch import Tensor


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
