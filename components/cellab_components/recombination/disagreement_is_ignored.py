"""The pseudo-label where the given mask does not speak against it."""

from torch import Tensor


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
