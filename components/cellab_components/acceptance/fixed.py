"""A gate at a threshold that never moves."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from cellab_components.checks import between


class Fixed:
    """A mask passes if its entropy is at most a threshold that never moves, in proportion to its pixels.

    .. code-block:: text

        accept X if E(X) <= threshold * H * W

    For entropies that are summed over pixels (`paper`, `binary`). One that is their mean, `mean_binary`, is never above
    ln 2, so that a larger crop lets all of it pass: choose a sum.

    Reference: a confidence threshold as in FixMatch, Sohn et al., https://arxiv.org/abs/2001.07685, on entropies.

    Args:
        threshold: in nats a pixel, so that crops of every size are held to the same.

    Shapes:
        entropies (B), votes (K, B, 1, H, W) -> B booleans.

    Raises:
        ValueError: `threshold` is below 0, or not finite.
    """

    def __init__(self, threshold: float) -> None:
        self.per_pixel = float(between("threshold", threshold, 0, float("inf"), open_high=True))
        self.threshold = self.per_pixel  # of one pixel, before there is a crop

    def __call__(self, entropies: Sequence[float], votes: Tensor) -> list[bool]:
        """Whether each mask passes."""
        height, width = votes.shape[-2:]
        self.threshold = self.per_pixel * height * width
        return [entropy <= self.threshold for entropy in entropies]

    def state_dict(self) -> dict[str, float]:
        """Nothing is remembered."""
        return {}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Nothing is remembered."""
