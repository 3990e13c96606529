"""No regulariser."""

from torch import Generator, Tensor, nn


class NoRegulariser:
    """Leaves the discriminator alone.

    .. code-block:: text

        penalty = 0

    Reference: Goodfellow et al., https://arxiv.org/abs/1406.2661, whose discriminator has none.

    Shapes:
        real, fake (B, C, H, W) -> scalar 0.
    """

    interval = 1

    def penalty(self, discriminator: nn.Module, real: Tensor, fake: Tensor, generator: Generator | None) -> Tensor:  # noqa: ARG002
        """Zero."""
        return real.new_zeros(())

    def constrain(self, discriminator: nn.Module) -> None:
        """Does nothing."""
