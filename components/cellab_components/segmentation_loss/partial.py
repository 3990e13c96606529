"""Binary cross-entropy of the known pixels."""

from torch import Tensor

from cellab_components.checks import between
from cellab_components.segmentation_loss.bce import Bce


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
