"""Adversarial losses against closed forms, and what their presets are made of."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cellab_components.gan_loss.adversarial import AdversarialLoss
from cellab_components.gan_loss.hinge import Hinge
from cellab_components.gan_loss.least_squares import LeastSquares
from cellab_components.gan_loss.non_saturating import NonSaturating
from cellab_components.gan_loss.wasserstein import Wasserstein
from cellab_components.gan_regulariser.clip import WeightClipping
from cellab_components.gan_regulariser.gradient_penalty import GradientPenalty
from cellab_components.gan_regulariser.none import NoRegulariser
from cellab_components.gan_regulariser.r1 import R1

logits = st.lists(st.floats(-50, 50), min_size=1, max_size=8)
PRESETS = {
    "wgan": (Wasserstein, WeightClipping, torch.optim.RMSprop, 5e-5, None, 5),
    "wgan_gp": (Wasserstein, GradientPenalty, torch.optim.Adam, 1e-4, (0.0, 0.9), 5),
    "ns": (NonSaturating, NoRegulariser, torch.optim.Adam, 2e-4, (0.5, 0.999), 1),
    "ns_gp": (NonSaturating, GradientPenalty, torch.optim.Adam, 1e-4, (0.5, 0.9), 1),
    "hinge": (Hinge, NoRegulariser, torch.optim.Adam, 2e-4, (0.5, 0.999), 1),
    "lsgan": (LeastSquares, NoRegulariser, torch.optim.Adam, 2e-4, (0.5, 0.999), 1),
}


class Critic(nn.Module):
    """A small smooth critic of images (B, 1, 3, 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(9, 5), nn.Tanh(), nn.Linear(5, 1))

    def forward(self, image):
        return self.layers(image).squeeze(1)


def images(count=4, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, count, 1, 3, 3, generator=generator, dtype=dtype).unbind(0)


def test_contract(name, build):
    loss = build("gan_loss", name)
    critic = Critic()
    real, fake = images()
    fake.requires_grad_()
    discriminator_optimiser = loss.discriminator_optimiser(critic.parameters())
    assert isinstance(loss.generator_optimiser([nn.Parameter(torch.zeros(1))]), torch.optim.Optimizer)
    assert loss.critic_steps >= 1
    assert loss.regularisation_interval >= 1
    for value in (
        loss.discriminator_loss(critic(real), critic(fake)),
        loss.generator_loss(critic(fake)),
        loss.regularisation(critic, real, fake),
        loss.regularisation(critic, real, fake, generator=torch.Generator().manual_seed(1)),
    ):
        assert value.shape == ()
        assert value.dtype == torch.float32
        assert torch.isfinite(value)
    before = loss.discriminator_loss(critic(real), critic(fake.detach()))
    for _ in range(3):
        discriminator_optimiser.zero_grad()
        loss.discriminator_loss(critic(real), critic(fake.detach())).backward()
        discriminator_optimiser.step()
    assert loss.discriminator_loss(critic(real), critic(fake.detach())) < before
    loss.constrain(critic)
    loss.generator_loss(critic(fake)).backward()
    assert fake.grad.any()


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_the_papers(build, preset):
    loss = build("gan_loss", preset)
    kind, regulariser, optimiser, rate, betas, steps = PRESETS[preset]
    assert isinstance(loss.loss, kind)
    assert isinstance(loss.regulariser, regulariser)
    assert loss.critic_steps == steps
    for made in (loss.discriminator_optimiser, loss.generator_optimiser):
        group = made([nn.Parameter(torch.zeros(1))])
        assert type(group) is optimiser
        assert group.defaults["lr"] == rate
        assert betas is None or tuple(group.defaults["betas"]) == betas
    if regulariser is WeightClipping:
        assert loss.regulariser.limit == 0.01
    if regulariser is GradientPenalty:
        assert loss.regulariser.weight == 10


@given(real=logits, fake=logits)
def test_wasserstein_closed_form(real, fake):
    tensors = torch.tensor(real, dtype=torch.float64), torch.tensor(fake, dtype=torch.float64)
    loss = Wasserstein()
    assert loss.discriminator_loss(*tensors).item() == pytest.approx(np.mean(fake) - np.mean(real), abs=1e-9)
    assert loss.generator_loss(tensors[1]).item() == pytest.approx(-np.mean(fake), abs=1e-9)


@given(real=logits, fake=logits)
def test_non_saturating_closed_form(real, fake):
    def softplus(x):
        return math.log1p(math.exp(x))

    tensors = torch.tensor(real, dtype=torch.float64), torch.tensor(fake, dtype=torch.float64)
    loss = NonSaturating()
    expected = np.mean([softplus(-x) for x in real]) + np.mean([softplus(x) for x in fake])
    assert loss.discriminator_loss(*tensors).item() == pytest.approx(expected, rel=1e-6, abs=1e-8)
    expected = np.mean([softplus(-x) for x in fake])
    assert loss.generator_loss(tensors[1]).item() == pytest.approx(expected, rel=1e-6, abs=1e-8)


def test_non_saturating_by_hand():
    zeros = torch.zeros(3)
    assert NonSaturating().discriminator_loss(zeros, zeros).item() == pytest.approx(2 * math.log(2))
    assert NonSaturating().generator_loss(zeros).item() == pytest.approx(math.log(2))
    # Where the discriminator is sure, the generator's gradient does not vanish: that is what the variant is for.
    sure = torch.tensor([-80.0], requires_grad=True)
    loss = NonSaturating().generator_loss(sure)
    loss.backward()
    assert loss.item() == pytest.approx(80)
    assert sure.grad.item() == pytest.approx(-1)


@given(real=logits, fake=logits)
def test_hinge_closed_form(real, fake):
    tensors = torch.tensor(real, dtype=torch.float64), torch.tensor(fake, dtype=torch.float64)
    expected = np.mean([max(0, 1 - x) for x in real]) + np.mean([max(0, 1 + x) for x in fake])
    assert Hinge().discriminator_loss(*tensors).item() == pytest.approx(expected, abs=1e-9)
    assert Hinge().generator_loss(tensors[1]).item() == pytest.approx(-np.mean(fake), abs=1e-9)


def test_hinge_ignores_what_it_is_sure_of():
    real, fake = torch.tensor([1.5, 0.5], requires_grad=True), torch.tensor([-1.5, -0.5], requires_grad=True)
    Hinge().discriminator_loss(real, fake).backward()
    assert real.grad.tolist() == [0, -0.5]
    assert fake.grad.tolist() == [0, 0.5]


@given(real=logits, fake=logits)
def test_least_squares_closed_form(real, fake):
    tensors = torch.tensor(real, dtype=torch.float64), torch.tensor(fake, dtype=torch.float64)
    expected = np.mean([(x - 1) ** 2 for x in real]) / 2 + np.mean([x**2 for x in fake]) / 2
    assert LeastSquares().discriminator_loss(*tensors).item() == pytest.approx(expected, rel=1e-9)
    assert LeastSquares().generator_loss(tensors[1]).item() == pytest.approx(np.mean([(x - 1) ** 2 for x in fake]) / 2)


class WithoutInterval:
    """A regulariser of somebody else's."""

    def penalty(self, discriminator, real, fake, generator):
        return real.new_zeros(())

    def constrain(self, discriminator):
        pass


def test_the_interval_is_the_regulariser_s_and_1_where_it_has_none():
    def interval(regulariser):
        return AdversarialLoss(NonSaturating(), regulariser, torch.optim.SGD, 1).regularisation_interval

    assert interval(R1(gamma=10, interval=16)) == 16
    assert interval(GradientPenalty(weight=10)) == 1
    assert interval(WithoutInterval()) == 1


@pytest.mark.parametrize("preset", sorted(PRESETS.keys() - {"wgan"}))
def test_only_wgan_constrains_weights(build, preset):
    critic = Critic()
    before = [p.detach().clone() for p in critic.parameters()]
    build("gan_loss", preset).constrain(critic)
    assert all(torch.equal(p, b) for p, b in zip(critic.parameters(), before, strict=True))


@pytest.mark.parametrize("preset", ["wgan", "ns", "hinge", "lsgan"])
def test_presets_without_penalty_add_zero(build, preset):
    assert build("gan_loss", preset).regularisation(Critic(), *images()) == 0
