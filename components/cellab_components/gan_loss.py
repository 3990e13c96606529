"""Adversarial losses: what the discriminator and the generator minimise, composed with a regulariser and an optimiser.

The presets of `config/gan_loss` differ in nothing but the parts that they name.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

from torch import Generator, Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from cellab_components.checks import at_least


class Loss(Protocol):
    """What an adversarial loss offers."""

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """A scalar, of logits (B,) of real and of generated images."""

    def generator_loss(self, fake_logits: Tensor) -> Tensor:
        """A scalar, of logits (B,) of generated images."""


class Regulariser(Protocol):
    """What a regulariser of the discriminator offers."""

    def penalty(self, discriminator: nn.Module, real: Tensor, fake: Tensor, generator: Generator | None) -> Tensor:
        """A scalar that is added to the discriminator's loss."""

    def constrain(self, discriminator: nn.Module) -> None:
        """Called after each step of the discriminator's optimiser."""


class AdversarialLoss:
    """An adversarial loss, the regulariser of its discriminator, and the optimiser that suits them.

    Args:
        loss: `Wasserstein` or `NonSaturating`, or any object with their methods.
        regulariser: see `cellab_components.gan_regulariser`.
        optimiser: makes an optimiser of parameters; the discriminators' and the generator's are made alike.
        critic_steps: discriminator steps for each generator step.

    Raises:
        ValueError: `critic_steps` is below 1.
    """

    def __init__(
        self,
        loss: Loss,
        regulariser: Regulariser,
        optimiser: Callable[[Iterable[nn.Parameter]], Optimizer],
        critic_steps: int,
    ) -> None:
        self.loss = loss
        self.regulariser = regulariser
        self.optimiser = optimiser
        self.critic_steps = at_least("critic_steps", critic_steps, 1)

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


class Wasserstein:
    """The critic's estimate of the Wasserstein-1 distance.

    .. code-block:: text

        L_D = E D(fake) - E D(real)        L_G = -E D(fake)

    Reference: Arjovsky et al., *Wasserstein GAN*, https://arxiv.org/abs/1701.07875; Hann, section 8.
    """

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """E D(fake) - E D(real), a scalar of logits (B,)."""
        return fake_logits.mean() - real_logits.mean()

    def generator_loss(self, fake_logits: Tensor) -> Tensor:
        """-E D(fake), a scalar of logits (B,)."""
        return -fake_logits.mean()


class NonSaturating:
    """The original GAN loss, with the generator's non-saturating variant.

    .. code-block:: text

        L_D = E softplus(-D(real)) + E softplus(D(fake))        L_G = E softplus(-D(fake))

    Reference: Goodfellow et al., *Generative adversarial networks*, https://arxiv.org/abs/1406.2661; Hann, section 8.
    """

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """E softplus(-D(real)) + E softplus(D(fake)), a scalar of logits (B,)."""
        return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()

    def generator_loss(self, fake_logits: Tensor) -> Tensor:
        """E softplus(-D(fake)), a scalar of logits (B,)."""
        return F.softplus(-fake_logits).mean()
