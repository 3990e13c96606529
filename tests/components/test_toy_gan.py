"""A tiny problem with a known answer: every loss, and every regulariser, brings a generator closer to two modes."""

from pathlib import Path

import pytest
import torch
from torch import nn

import cellab_components
from cellab_components.gan_loss.non_saturating import NonSaturating

CONFIG = Path(cellab_components.__file__).parent / "config"
LOSSES = sorted(path.stem for path in (CONFIG / "gan_loss").glob("*.yaml"))
REGULARISERS = sorted(path.stem for path in (CONFIG / "gan_regulariser").glob("*.yaml"))
STEPS, BATCH = 300, 64
RATES = (1e-3, 1e-2)  # of the generator and of its critic: the papers' are for days on images
SCALE = 10.0  # points lie about as far apart as images, of which each pixel adds to the distance


class Generator(nn.Module):
    """Points (B, 2), at the start one broad cloud about 0."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2))

    def forward(self, z):
        return SCALE * (z[:, :2] + self.layers(z))


class Critic(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        slope = nn.LeakyReLU(0.2)
        self.layers = nn.Sequential(nn.Linear(2, 32), slope, nn.Linear(32, 32), slope, nn.Linear(32, 1))

    def forward(self, points):
        return self.layers(points).squeeze(1)


def two_modes(count, stream):
    """Points (count, 2): half of them about (-1, 0), half about (1, 0), times `SCALE`."""
    left = torch.rand(count, generator=stream) < 0.5
    points = 0.2 * torch.randn(count, 2, generator=stream)
    points[:, 0] += 1 - 2.0 * left
    return SCALE * points


@torch.no_grad()
def error(generator):
    """Sliced Wasserstein-1 between points of the generator and of the data, in units of `SCALE`."""
    stream = torch.Generator().manual_seed(99)
    made, data = generator(torch.randn(2000, 4, generator=stream)), two_modes(2000, stream)
    angles = torch.arange(16) * torch.pi / 16
    directions = torch.stack([angles.cos(), angles.sin()])
    apart = (made @ directions).sort(dim=0).values - (data @ directions).sort(dim=0).values
    return apart.abs().mean().item() / SCALE


def shrinkage(loss):
    """The error after training a generator against one critic, as a share of the error before."""
    stream = torch.Generator().manual_seed(0)
    generator, critic = Generator(), Critic()
    optimisers = loss.generator_optimiser(generator.parameters()), loss.discriminator_optimiser(critic.parameters())
    for optimiser, rate in zip(optimisers, RATES, strict=True):
        for group in optimiser.param_groups:
            group["lr"] = rate

    before, interval = error(generator), loss.regularisation_interval
    for turn in range(STEPS * loss.critic_steps):
        real, fake = two_modes(BATCH, stream), generator(torch.randn(BATCH, 4, generator=stream))
        value = loss.discriminator_loss(critic(real), critic(fake.detach()))
        if turn % interval == 0:
            value = value + interval * loss.regularisation(critic, real, fake, generator=stream)
        optimisers[1].zero_grad()
        value.backward()
        optimisers[1].step()
        loss.constrain(critic)
        if (turn + 1) % loss.critic_steps == 0:
            optimisers[0].zero_grad()
            loss.generator_loss(critic(fake)).backward()
            optimisers[0].step()
    return error(generator) / before


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_brings_the_generator_closer(build, loss):
    assert shrinkage(build("gan_loss", loss)) < 0.8


@pytest.mark.parametrize("regulariser", REGULARISERS)
def test_every_regulariser_lets_the_generator_come_closer(build, regulariser):
    loss = build("gan_loss", "hinge")
    loss.regulariser = build("gan_regulariser", regulariser)
    assert shrinkage(loss) < 0.8


def test_a_wrong_loss_does_not(build):
    class Reversed(NonSaturating):
        def generator_loss(self, fake_logits):
            return super().generator_loss(-fake_logits)

    loss = build("gan_loss", "ns")
    loss.loss = Reversed()
    assert shrinkage(loss) > 1
