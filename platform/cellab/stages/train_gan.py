"""Trains a lineage's generator against an ensemble of discriminators, on frames alone (paper 6, 7, 8)."""

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cellab import hdf5
from cellab.building import instantiate
from cellab.contracts import Augmentation, DiscriminatorEnsemble, GanAugmentation, GanLoss
from cellab.data.dataset import Dataset
from cellab.errors import DivergedError
from cellab.requests import TrainGan
from cellab.stage import Workplace
from cellab.training.checkpoint import Checkpoint, RandomState
from cellab.training.crops import CropSource
from cellab.training.determinism import generator as random_stream
from cellab.training.history import History
from cellab.training.networks import GENERATOR, build_network, save_weights, to_channels_last

SAMPLES = "samples.h5"


def train_gan(request: TrainGan, workplace: Workplace) -> dict[str, Any]:
    """Trains one generator against D discriminators, each with its own loss and optimiser.

    Returns:
        Metrics: the losses over time. The generator's weights and samples beside real crops are files.

    Raises:
        DivergedError: a loss became NaN or infinite.
    """
    settings = request.settings
    device = torch.device(request.compute.device)
    stream = random_stream(request.seed)

    # the networks and what changes them
    generator = build_network(request.generator, "generator", device)
    ensemble = instantiate(request.discriminator_ensemble, "discriminator_ensemble", DiscriminatorEnsemble)
    critics = [build_network(request.discriminator, "discriminator", device) for _ in range(ensemble.size)]
    adversarial = instantiate(request.gan_loss, "gan_loss", GanLoss)
    augment = instantiate(request.gan_augmentation, "gan_augmentation", GanAugmentation)
    generator_optimiser = adversarial.generator_optimiser(generator.parameters())
    optimisers = [adversarial.discriminator_optimiser(critic.parameters()) for critic in critics]

    # real crops and noise
    crops = _crop_source(request, workplace.data_path, generator.size, device)

    def real() -> Tensor:
        return to_channels_last(2 * crops.draw(settings.batch_size, 0.0, stream).images - 1)

    def fake(count: int = settings.batch_size) -> Tensor:
        images: Tensor = generator(torch.randn(count, generator.latent, generator=stream).to(device))
        return images

    history = History(settings.steps)
    checkpoint = Checkpoint(
        workplace.checkpoint,
        {
            "generator": generator,
            "generator_optimiser": generator_optimiser,
            "critics": nn.ModuleList(critics),
            **{f"optimiser_{i}": optimiser for i, optimiser in enumerate(optimisers)},
            "history": history,
            "random": RandomState(stream),
        },
    )

    # the loop
    for step in range(checkpoint.restore() + 1, settings.steps + 1):
        for number in range(adversarial.critic_steps):
            shown = augment(real(), stream), augment(fake().detach(), stream)
            turn = (step - 1) * adversarial.critic_steps + number
            losses = _train_critics(adversarial, critics, optimisers, *shown, stream, step, turn)
        generator_optimiser.zero_grad(set_to_none=True)
        images = augment(fake(), stream)
        loss = ensemble(torch.stack([adversarial.generator_loss(critic(images)) for critic in critics]))
        losses["generator"] = _finite("generator", loss, step)
        loss.backward()  # type: ignore[no-untyped-call]
        generator_optimiser.step()
        history.add(**losses)
        workplace.progress(step, settings.steps)
        checkpoint.save_if_due(step)

    generator.eval()  # as members will use it
    with torch.no_grad():
        samples = fake(settings.samples)
    if not bool(samples.isfinite().all()):
        raise DivergedError("generator", settings.steps, float("nan"))
    save_weights(generator, workplace.output / GENERATOR)
    _save_samples(workplace.output / SAMPLES, samples, 2 * crops.draw(settings.samples, 0.0, stream).images - 1)
    return {"history": history.report()}


def _train_critics(
    adversarial: GanLoss,
    critics: list[nn.Module],
    optimisers: list[torch.optim.Optimizer],
    real: Tensor,
    fake: Tensor,
    stream: torch.Generator,
    step: int,
    turn: int,
) -> dict[str, float]:
    """One step of each critic, the `turn`-th (from 0); a lazy regulariser weighs more the more seldom it comes."""
    losses = {}
    interval = adversarial.regularisation_interval
    for number, (critic, optimiser) in enumerate(zip(critics, optimisers, strict=True)):
        optimiser.zero_grad(set_to_none=True)
        loss = adversarial.discriminator_loss(critic(real), critic(fake))
        if turn % interval == 0:
            loss = loss + interval * adversarial.regularisation(critic, real, fake, generator=stream)
        losses[f"discriminator {number}"] = _finite(f"discriminator {number}", loss, step)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        adversarial.constrain(critic)
    return losses


def _finite(series: str, loss: Tensor, step: int) -> float:
    value = loss.item()
    if not math.isfinite(value):
        raise DivergedError(series, step, value)
    return value


def _crop_source(request: TrainGan, path: Path, size: int, device: torch.device) -> CropSource:
    with Dataset.open(path) as data:
        frames = data.frames(request.data.scale, data.indices("train"))
    augmentation = instantiate(request.settings.crop_augmentation, "gan.crop_augmentation", Augmentation)
    return CropSource(frames, None, size, augmentation, device)


def _save_samples(path: Path, fake: Tensor, real: Tensor) -> None:
    """Writes generated and real images, (n, S, S) uint8, for people to compare."""
    with hdf5.new_file(path) as file:
        for name, images in (("generated", fake), ("real", real)):
            grey = ((images[:, 0] + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
            file.create_dataset(name, data=grey.cpu().numpy())
