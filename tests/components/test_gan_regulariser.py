"""Regularisers of discriminators: penalties against linear critics and finite differences, and what clipping clips."""

import copy

import pytest
import torch
from torch import nn

from cellab_components.gan_regulariser.clip import WeightClipping
from cellab_components.gan_regulariser.dragan import Dragan
from cellab_components.gan_regulariser.gradient_penalty import GradientPenalty
from cellab_components.gan_regulariser.r1 import R1

PENALTIES = ["gradient_penalty", "dragan", "r1"]


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


@pytest.mark.usefixtures("_deterministic")
def test_contract(name, build):
    regulariser = build("gan_regulariser", name)
    assert isinstance(regulariser.interval, int)
    assert regulariser.interval >= 1
    critic = Critic()
    before = copy.deepcopy(critic.state_dict())
    real, fake = images()
    with torch.no_grad():
        values = [regulariser.penalty(critic, real, fake, torch.Generator().manual_seed(1)) for _ in range(2)]
    assert values[0].shape == ()
    assert torch.isfinite(values[0])
    assert values[0] >= 0
    assert values[0] == values[1]  # the same random numbers, and no memory
    loss = critic(real).mean() + regulariser.penalty(critic, real, fake, None)
    loss.backward()
    assert torch.isfinite(critic.layers[1].weight.grad).all()
    assert all(torch.equal(before[key], value) for key, value in critic.state_dict().items())
    regulariser.constrain(critic)
    assert all(torch.isfinite(p).all() for p in critic.parameters())


def test_only_r1_is_lazy(name, build):
    assert build("gan_regulariser", name).interval == (16 if name == "r1" else 1)


def test_only_clip_constrains_weights(name, build):
    critic = Critic()
    before = copy.deepcopy(critic.state_dict())
    build("gan_regulariser", name).constrain(critic)
    same = all(torch.equal(before[key], value) for key, value in critic.state_dict().items())
    assert same == (name != "clip")


@pytest.mark.parametrize("norm", [0.25, 1.0, 3.0])
@pytest.mark.parametrize("regulariser", [GradientPenalty(weight=10), Dragan(weight=10, spread=0.5)])
def test_norm_penalty_of_a_linear_critic(regulariser, norm):
    weight = torch.randn(9, dtype=torch.float64)
    weight = weight / weight.norm() * norm
    critic = Linear(weight)
    penalty = regulariser.penalty(critic, *images(dtype=torch.float64), None)
    assert penalty.dtype == torch.float64
    assert penalty.item() == pytest.approx(10 * (norm - 1) ** 2, abs=1e-12)
    penalty.backward()
    expected = 2 * 10 * (norm - 1) * weight / norm
    torch.testing.assert_close(critic.weight.grad, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("norm", [0.0, 0.25, 3.0])
def test_r1_of_a_linear_critic(norm):
    weight = torch.randn(9, dtype=torch.float64)
    weight = weight / weight.norm() * norm
    critic = Linear(weight)
    penalty = R1(gamma=10, interval=16).penalty(critic, *images(dtype=torch.float64), None)
    assert penalty.dtype == torch.float64
    assert penalty.item() == pytest.approx(10 / 2 * norm**2, abs=1e-12)
    penalty.backward()
    torch.testing.assert_close(critic.weight.grad, 10 * weight, rtol=1e-9, atol=1e-12)


def reference(preset, critic, real, fake, seed, step=1e-5):
    """The penalty by central differences, at the images where it is due."""
    stream = torch.Generator().manual_seed(seed)
    if preset == "gradient_penalty":
        a = torch.rand(len(real), 1, 1, 1, generator=stream, dtype=torch.float64)
        places = a * real + (1 - a) * fake
    elif preset == "dragan":
        noise = torch.randn(real.shape, generator=stream, dtype=torch.float64)
        places = real + 0.5 * (real - real.mean()).square().mean().sqrt() * noise
    else:
        places = real
    moves = torch.eye(9, dtype=torch.float64).view(9, 1, 1, 3, 3) * step
    with torch.no_grad():
        slopes = torch.stack([(critic(places + m) - critic(places - m)) / (2 * step) for m in moves], dim=1)
    if preset == "r1":
        return 5 * slopes.square().sum(dim=1).mean()
    return 10 * (slopes.norm(dim=1) - 1).square().mean()


@pytest.mark.parametrize("preset", PENALTIES)
def test_penalty_by_finite_differences(build, preset):
    critic = Critic().double()
    real, fake = images(dtype=torch.float64)
    made = build("gan_regulariser", preset).penalty(critic, real, fake, torch.Generator().manual_seed(5))
    assert made.item() == pytest.approx(reference(preset, critic, real, fake, seed=5).item(), rel=1e-7)


@pytest.mark.parametrize("preset", PENALTIES)
def test_penalty_s_own_gradient_by_finite_differences(build, preset):
    critic = Critic().double()
    real, fake = images(dtype=torch.float64)
    build("gan_regulariser", preset).penalty(critic, real, fake, torch.Generator().manual_seed(5)).backward()
    weights = critic.layers[1].weight
    step = 1e-4
    for place in ((0, 0), (3, 7)):
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                weights[place] += sign * step
                values.append(reference(preset, critic, real, fake, seed=5))
                weights[place] -= sign * step
        slope = (values[0] - values[1]) / (2 * step)
        assert weights.grad[place].item() == pytest.approx(slope.item(), rel=1e-4, abs=1e-6)


def test_every_penalty_is_covered_here(name, build):
    """A component of this kind either adds nothing or is among those that finite differences check above."""
    penalty = build("gan_regulariser", name).penalty(Linear(torch.full((9,), 2.0)), *images(), None)
    assert (penalty != 0) == (name in PENALTIES)


@pytest.mark.parametrize("preset", PENALTIES)
def test_penalty_reaches_the_discriminator_and_nothing_else(build, preset):
    discriminator = build("discriminator", "parallel_resampler", width=4, size=16)
    real, fake = torch.rand(2, 3, 1, 16, 16).requires_grad_().unbind(0)
    real.retain_grad()
    fake.retain_grad()
    build("gan_regulariser", preset).penalty(discriminator, real, fake, None).backward()
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


@pytest.mark.parametrize("preset", ["gradient_penalty", "dragan"])
def test_penalty_takes_its_random_numbers_from_where_it_is_told(build, preset):
    critic = Critic()
    real, fake = images()
    penalty = build("gan_regulariser", preset).penalty
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


@pytest.mark.parametrize("preset", PENALTIES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_penalty_lifts_half_precision_and_leaves_autocast(build, preset, dtype):
    critic = Critic()
    real, fake = (half.to(dtype) for half in images())
    made_of = []
    critic.layers[1].register_forward_hook(lambda _, given, made: made_of.append((given[0].dtype, made.dtype)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        penalty = build("gan_regulariser", preset).penalty(critic, real, fake, None)
    assert penalty.dtype == torch.float32
    assert made_of == [(torch.float32, torch.float32)]


@pytest.mark.parametrize(("preset", "flat"), [("gradient_penalty", 10), ("dragan", 10), ("r1", 0)])
def test_penalty_is_finite_where_the_critic_is_flat(build, preset, flat):
    critic = Linear(torch.zeros(9))
    penalty = build("gan_regulariser", preset).penalty(critic, *images(), None)
    assert penalty.item() == flat
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


def test_dragan_moves_each_pixel_by_a_share_of_the_deviation():
    critic = Linear(torch.ones(9))
    real = torch.randn(2000, 1, 3, 3) * 3 + 7
    Dragan(weight=1, spread=0.5).penalty(critic, real, torch.zeros_like(real), None)
    moved = critic.seen.detach() - real
    assert moved.std().item() == pytest.approx(1.5, rel=0.05)
    assert abs(moved.mean().item()) < 0.05
    Dragan(weight=1, spread=0).penalty(critic, real, torch.zeros_like(real), None)
    assert torch.equal(critic.seen.detach(), real)


def test_r1_is_due_at_real_images_and_not_scaled_by_its_interval():
    critic = Linear(torch.ones(9))
    real, fake = images()
    values = [R1(gamma=2, interval=n).penalty(critic, real, fake, None).item() for n in (1, 16)]
    assert torch.equal(critic.seen.detach(), real)
    assert values == [9, 9]


def test_half_precision_and_float32_agree(name, build):
    regulariser = build("gan_regulariser", name)
    real, fake = (half.bfloat16() for half in images())
    critic = Critic()
    low, high = (
        regulariser.penalty(critic, r, f, torch.Generator().manual_seed(1))
        for r, f in ((real, fake), (real.float(), fake.float()))
    )
    torch.testing.assert_close(low.float(), high)
