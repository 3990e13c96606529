"""The pseudo-label where it is sure, else the given mask."""

import torch
from torch import Tensor

from cellab_components.checks import between


class ReplaceWhereSure:
    """The pseudo-label, made hard, replaces the given mask where it is sure; elsewhere the given mask stays.

    .. code-block:: text

        target = [pseudo > 0.5] where max(pseudo, 1 - pseudo) > confidence, else given

    It needs soft pseudo-labels (``voting=soft``): of hard ones every pixel is sure, and it is `Replace`.

    Reference: Liu et al., *Adaptive early-learning correction for segmentation from noisy annotations*,
    https://arxiv.org/abs/2110.03740, for one class and without the constraint that a class that an image's
    given mask lacks is not added.

    Args:
        confidence: that a pixel's probability of being what it is called must exceed.

    Shapes:
        as `Replace`.

    Raises:
        ValueError: `confidence` is not in [0.5, 1).
    """

    def __init__(self, confidence: float) -> None:
        self.confidence = between("confidence", confidence, 0.5, 1, open_high=True)

    def __call__(self, given: Tensor, pseudo: Tensor) -> tuple[Tensor, Tensor]:
        """The hard pseudo-label where it is sure, else the given mask, and ones."""
        is_sure = torch.maximum(pseudo, 1 - pseudo) > self.confidence
        return torch.where(is_sure, (pseudo > 0.5).to(pseudo.dtype), given), torch.ones_like(pseudo)
