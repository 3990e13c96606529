"""Adversarial losses: what the discriminator and the generator minimise, composed with a regulariser and an optimiser.

The presets of `config/gan_loss` differ in nothing but the parts that they name. Any loss goes with any regulariser.
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
    """What a regulariser of the discriminator offers; one that is not due at every step says so by `interval`."""

    def penalty(self, discriminator: nn.Module, real: Tensor, fake: Tensor, generator: Generator | None) -> Tensor:
        """A scalar that is added to the discriminator's loss."""

    def constrain(self, discriminator: nn.Module) -> None:
        """Called after each step of the discriminator's optimiser."""


class AdversarialLoss:
    """An adversarial loss, the regulariser of its discriminator, and the optimiser that suits them.

    Args:
        loss: `Wasserstein`, `NonSaturating`, `Hinge` or `LeastSquares`, or any object with their methods.
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


class Hinge:
    """The hinge loss: the discriminator ignores images that it is sure of by a margin of 1.

    .. code-block:: text

        L_D = E max(0, 1 - D(real)) + E max(0, 1 + D(fake))        L_G = -E D(fake)

    Reference:
        Lim and Ye, *Geometric GAN*, https://arxiv.org/abs/1705.02894; Miyato et al., https://arxiv.org/abs/1802.05957,
        equations 16 and 17.
    """

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """E max(0, 1 - D(real)) + E max(0, 1 + D(fake)), a scalar of logits (B,)."""
        return F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()

    def generator_loss(self, fake_logits: Tensor) -> Tensor:
        """-E D(fake), a scalar of logits (B,)."""
        return -fake_logits.mean()


class LeastSquares:
    """The least-squares loss, of labels 1 for real and 0 for generated images.

    .. code-block:: text

        L_D = 1/2 E (D(real) - 1)^2 + 1/2 E D(fake)^2        L_G = 1/2 E (D(fake) - 1)^2

    Reference:
        Mao et al., *Least squares generative adversarial networks*, https://arxiv.org/abs/1611.04076, equation 9.
    """

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """1/2 E (D(real) - 1)^2 + 1/2 E D(fake)^2, a scalar of logits (B,)."""
        return ((real_logits - 1).square().mean() + fake_logits.square().mean()) / 2

    def generator_loss(self, fake_logits: Tensor) -> Tensor:
        """1/2 E (D(fake) - 1)^2, a scalar of logits (B,)."""
        return (fake_logits - 1).square().mean() / 2


def _offers(name: str, part: object, *methods: str) -> None:
    lacking = [method for method in methods if not callable(getattr(part, method, None))]
    if lacking:
        raise ValueError(f"{name}: {part!r} is not allowed; it must offer {' and '.join(methods)}.")
