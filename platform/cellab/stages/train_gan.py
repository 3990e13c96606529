"""Trains a lineage's generator against an ensemble of discriminators, on frames alone (paper 6, 7, 8)."""

from pathlib import Path

import torch
from torch import Tensor

from cellab import hdf5
from cellab.requests import GanTrained, TrainGan
from cellab.stage import Workplace
from cellab.training.checkpoint import Checkpoint
from cellab.training.frames import Frames
from cellab.training.gan import Gan
from cellab.training.networks import GENERATOR, save_weights

SAMPLES = "samples.h5"


def train_gan(request: TrainGan, workplace: Workplace) -> GanTrained:
    """Trains one generator against D discriminators.

    Returns:
        The losses over time. The generator's weights and samples beside real crops are files.

    Raises:
        DivergedError: a loss became NaN or infinite.
    """
    frames = Frames.of_training(workplace.data, request.data, torch.device(request.compute.device))
    checkpoint = Checkpoint(workplace.checkpoint, lambda: Gan(request, frames))
    checkpoint.restore()
    gan = checkpoint.training
    while gan.step < request.settings.steps:
        gan.learn()
        workplace.progress(gan.step, request.settings.steps)
        checkpoint.save_if_due()
    count = request.settings.samples
    _save_samples(workplace.output / SAMPLES, gan.samples(count), gan.real(count))
    save_weights(gan.generator, workplace.output / GENERATOR)
    return gan.result()


def _save_samples(path: Path, fake: Tensor, real: Tensor) -> None:
    """Writes generated and real images, (n, S, S) uint8, for people to compare."""
    with hdf5.new_file(path) as file:
        for name, images in (("generated", fake), ("real", real)):
            grey = ((images[:, 0] + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
            file.create_dataset(name, data=grey.cpu().numpy())
