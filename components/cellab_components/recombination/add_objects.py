"""The given mask, and those whole objects of the pseudo-label that it knows nothing of."""

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

IN_PLANE = np.stack([np.zeros((3, 3)), np.ones((3, 3)), np.zeros((3, 3))])  # of neighbours: eight, none in other images


class AddObjects:
    """Objects of the pseudo-label that overlap no given one are added as a whole; the given mask stays as it is.

    .. code-block:: text

        objects: connected pixels (by sides or corners) of [pseudo > 0.5]
        target = max(given, pseudo) in objects without a pixel of [given > 0.5], else given

    Unlike `Union` it leaves the outlines of given objects alone.

    Reference: Liu et al., *AIO2: online correction of object labels for deep learning with incomplete annotation in
    remote sensing image segmentation*, https://arxiv.org/abs/2403.01641, which also fills holes of objects, and may
    blur the outlines of those that it adds.

    Shapes:
        as `Replace`.
    """

    def __call__(self, given: Tensor, pseudo: Tensor) -> tuple[Tensor, Tensor]:
        """The given mask with the objects added, and ones."""
        objects, number = ndimage.label((pseudo[:, 0] > 0.5).cpu().numpy(), IN_PLANE)
        is_new = np.ones(number + 1, dtype=bool)
        is_new[0] = False  # what is no object
        is_new[objects[(given[:, 0] > 0.5).cpu().numpy()]] = False
        added = torch.from_numpy(is_new[objects])[:, None].to(pseudo.device)
        return torch.where(added, torch.maximum(given, pseudo), given), torch.ones_like(pseudo)
