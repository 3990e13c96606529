"""An adversarial loss as it is trained with: composed with a regulariser and an optimiser."""

from collections.abc import Callable, Iterable
from typing import Protocol

from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from cellab_components.checks import at_least


class Loss(Protocol):
    """What an adversarial loss offers."""

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """A scalar, of logits (B,) of real and of generated images."""

    def generator_loss(self, fake_logits: Tensor) -> Tensor:
        """A scalar, of logits (B,) of generated images."""


class Regulariser(Protocol):
    """What a regulariser of the discriminator offers; one that is not due at every step says so by `interval`."""

    def penalty(self, discriminator: nn.Module, real: Tensor, fake: Tensor, generator: Generator | None) -> Tensor:
        """A scalar that is added to the discriminator's loss."""

    def constrain(self, discriminator: nn.Module) -> None:
        """Called after each step of the discriminator's optimiser."""


class AdversarialLoss:
    """An adversarial loss, the regulariser of its discriminator, and the optimiser that suits them.

    Args:
        loss: a loss of `cellab_components.gan_loss`, or any object with its methods.
        regulariser: see `cellab_components.gan_regulariser`.
        optimiser: makes an optimiser of parameters; the discriminators' and the generator's are made alike.
        critic_steps: discriminator steps for each generator step.

    Raises:
        ValueError: `critic_steps` is below 1, or a part lacks the methods that it should have.
    """

    def __init__(
        self,
        loss: Loss,
        regulariser: Regulariser,
        optimiser: Callable[[Iterable[nn.Parameter]], Optimizer],
        critic_steps: int,
    ) -> None:
        _offers("loss", loss, "discriminator_loss", "generator_loss")
        _offers("regulariser", regulariser, "penalty", "constrain")
        self.loss = loss
        self.regulariser = regulariser
        self.optimiser = optimiser
        self.critic_steps = at_least("critic_steps", critic_steps, 1)

    @property
    def regularisation_interval(self) -> int:
        """Every so many steps of a discriminator `regularisation` is due, and then weighs that many times as much."""
        return int(getattr(self.regulariser, "interval", 1))

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """What a discriminator minimises, without `regularisation`: a scalar of two batches of logits (B,)."""
        return self.loss.discriminator_loss(real_logits, fake_logits)

    def generator_loss(self, fake_logits: Tensor) -> Tensor:
        """What the generator minimises against one discriminator: a scalar of logits (B,)."""
        return self.loss.generator_loss(fake_logits)

    def regularisation(
        self, discriminator: nn.Module, real: Tensor, fake: Tensor, generator: Generator | None = None
    ) -> Tensor:
        """A scalar that is added to the discriminator's loss; zero where the regulariser only constrains weights.

        Args:
            discriminator: images (B, C, H, W) -> logits (B,).
            real: images (B, C, H, W).
            fake: generated images of the same shape; no gradient flows into them.
            generator: source of random numbers; PyTorch's global one where it is None.
        """
        return self.regulariser.penalty(discriminator, real, fake, generator)

    def constrain(self, discriminator: nn.Module) -> None:
        """Restricts the discriminator's weights, in place, after its optimiser's step."""
        self.regulariser.constrain(discriminator)

    def discriminator_optimiser(self, parameters: Iterable[nn.Parameter]) -> Optimizer:
        """An optimiser of a discriminator's parameters."""
        return self.optimiser(parameters)

    def generator_optimiser(self, parameters: Iterable[nn.Parameter]) -> Optimizer:
        """An optimiser of the generator's parameters."""
        return self.optimiser(parameters)


def _offers(name: str, part: object, *methods: str) -> None:
    lacking = [method for method in methods if not callable(getattr(part, method, None))]
    if lacking:
        raise ValueError(f"{name}: {part!r} is not allowed; it must offer {' and '.join(methods)}.")
