"""Adversarial losses against closed forms, gradient penalties against linear critics and finite differences."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cellab_components.gan_loss import NonSaturating, Wasserstein
from cellab_components.gan_regulariser import GradientPenalty, NoRegulariser, WeightClipping

logits = st.lists(st.floats(-50, 50), min_size=1, max_size=8)
PRESETS = {
    "wgan": (Wasserstein, WeightClipping, torch.optim.RMSprop, 5e-5, None, 5),
    "wgan_gp": (Wasserstein, GradientPenalty, torch.optim.Adam, 1e-4, (0.0, 0.9), 5),
    "ns": (NonSaturating, NoRegulariser, torch.optim.Adam, 2e-4, (0.5, 0.999), 1),
    "ns_gp": (NonSaturating, GradientPenalty, torch.optim.Adam, 1e-4, (0.5, 0.9), 1),
}


class Critic(nn.Module):
    """A small smooth critic of images (B, 1, 3, 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(9, 5), nn.Tanh(), nn.Linear(5, 1))

    def forward(self, image):
        return self.layers(image).squeeze(1)


class Linear(nn.Module):
    """D(x) = <w, x>, whose gradient is w everywhere; it keeps the images that it saw."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, image):
        self.seen = image
        return image.flatten(1) @ self.weight.to(image.dtype)


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


@pytest.mark.parametrize("norm", [0.25, 1.0, 3.0])
def test_penalty_of_a_linear_critic(norm):
    weight = torch.randn(9, dtype=torch.float64)
    weight = weight / weight.norm() * norm
    critic = Linear(weight)
    penalty = GradientPenalty(weight=10).penalty(critic, *images(dtype=torch.float64), None)
    assert penalty.dtype == torch.float64
    assert penalty.item() == pytest.approx(10 * (norm - 1) ** 2, abs=1e-12)
    penalty.backward()
    expected = 2 * 10 * (norm - 1) * weight / norm
    torch.testing.assert_close(critic.weight.grad, expected, rtol=1e-9, atol=1e-9)


def reference_penalty(critic, real, fake, seed, step=1e-5):
    """The penalty by central differences, at the mixtures that the seed gives."""
    a = torch.rand(len(real), 1, 1, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    mixtures = a * real + (1 - a) * fake
    moves = torch.eye(9, dtype=torch.float64).view(9, 1, 1, 3, 3) * step
    with torch.no_grad():
        slopes = torch.stack([(critic(mixtures + m) - critic(mixtures - m)) / (2 * step) for m in moves], dim=1)
    return 10 * (slopes.norm(dim=1) - 1).square().mean()


def test_penalty_by_finite_differences():
    critic = Critic().double()
    real, fake = images(dtype=torch.float64)
    made = GradientPenalty(weight=10).penalty(critic, real, fake, torch.Generator().manual_seed(5))
    assert made.item() == pytest.approx(reference_penalty(critic, real, fake, seed=5).item(), rel=1e-8)


def test_penalty_s_own_gradient_by_finite_differences():
    critic = Critic().double()
    real, fake = images(dtype=torch.float64)
    GradientPenalty(weight=10).penalty(critic, real, fake, torch.Generator().manual_seed(5)).backward()
    weights = critic.layers[1].weight
    step = 1e-4
    for place in ((0, 0), (3, 7)):
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                weights[place] += sign * step
                values.append(reference_penalty(critic, real, fake, seed=5))
                weights[place] -= sign * step
        slope = (values[0] - values[1]) / (2 * step)
        assert weights.grad[place].item() == pytest.approx(slope.item(), rel=1e-4, abs=1e-6)


def test_penalty_reaches_the_discriminator_and_nothing_else(build):
    discriminator = build("discriminator", "parallel_resampler", width=4, size=16)
    real, fake = torch.rand(2, 3, 1, 16, 16).requires_grad_().unbind(0)
    real.retain_grad()
    fake.retain_grad()
    build("gan_loss", "ns_gp").regularisation(discriminator, real, fake).backward()
    assert real.grad is None
    assert fake.grad is None
    weights = {key: p for key, p in discriminator.named_parameters() if key.endswith("weight")}
    assert weights
    assert not [key for key, p in weights.items() if p.grad is None or not p.grad.any()]


def test_penalty_mixes_each_sample_by_one_uniform_share():
    critic = Linear(torch.ones(9))
    real, fake = torch.ones(2000, 1, 3, 3), torch.zeros(2000, 1, 3, 3)
    GradientPenalty(weight=1).penalty(critic, real, fake, None)
    shares = critic.seen.detach().flatten(1)
    assert torch.equal(shares, shares[:, :1].expand_as(shares))
    assert 0 <= shares.min() < 0.01
    assert 0.99 < shares.max() <= 1
    counts = torch.histc(shares[:, 0], bins=4, min=0, max=1)
    assert counts.min() > 420  # 500 expected


def test_penalty_takes_its_random_numbers_from_where_it_is_told():
    critic = Critic()
    real, fake = images()
    penalty = GradientPenalty(weight=1).penalty
    state = torch.get_rng_state()
    first = penalty(critic, real, fake, torch.Generator().manual_seed(1))
    assert torch.equal(state, torch.get_rng_state())
    assert first == penalty(critic, real, fake, torch.Generator().manual_seed(1))
    assert first != penalty(critic, real, fake, torch.Generator().manual_seed(2))
    torch.manual_seed(7)
    second = penalty(critic, real, fake, None)
    torch.manual_seed(7)
    assert second == penalty(critic, real, fake, None)
    assert not torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_penalty_lifts_half_precision_and_leaves_autocast(dtype):
    critic = Critic()
    real, fake = (half.to(dtype) for half in images())
    made_of = []
    critic.layers[1].register_forward_hook(lambda _, given, made: made_of.append((given[0].dtype, made.dtype)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        penalty = GradientPenalty(weight=10).penalty(critic, real, fake, None)
    assert penalty.dtype == torch.float32
    assert made_of == [(torch.float32, torch.float32)]


def test_penalty_is_finite_where_the_critic_is_flat():
    critic = Linear(torch.zeros(9))
    penalty = GradientPenalty(weight=10).penalty(critic, *images(), None)
    assert penalty.item() == 10
    penalty.backward()
    assert torch.isfinite(critic.weight.grad).all()


def test_clipping_clips_weights_and_biases_and_no_more():
    critic = Critic()
    with torch.no_grad():
        critic.layers[1].weight.copy_(torch.linspace(-0.03, 0.03, 45).view(5, 9))
        critic.layers[1].bias.fill_(-5)
    before = critic.layers[1].weight.detach().clone()
    WeightClipping(limit=0.01).constrain(critic)
    assert all(p.abs().max() <= 0.01 for p in critic.parameters())
    assert all(p.requires_grad for p in critic.parameters())
    assert torch.equal(critic.layers[1].bias, torch.full((5,), -0.01))
    inside = before.abs() <= 0.01
    assert inside.any()
    assert torch.equal(critic.layers[1].weight[inside], before[inside])


@pytest.mark.parametrize("preset", ["wgan_gp", "ns", "ns_gp"])
def test_only_wgan_constrains_weights(build, preset):
    critic = Critic()
    before = [p.detach().clone() for p in critic.parameters()]
    build("gan_loss", preset).constrain(critic)
    assert all(torch.equal(p, b) for p, b in zip(critic.parameters(), before, strict=True))


@pytest.mark.parametrize("preset", ["wgan", "ns"])
def test_presets_without_penalty_add_zero(build, preset):
    assert build("gan_loss", preset).regularisation(Critic(), *images()) == 0
