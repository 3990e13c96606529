"""Images of a lineage's generator, as large as members' crops (paper 4.3)."""

import torch
from torch import Tensor

from cellab.requests import Generated
from cellab.stage import Workplace
from cellab.training.networks import GENERATOR, load_network
from cellab.training.streams import Streams


class GeneratedImages:
    """Draws them.

    Args:
        generated: the generator.
        size: side S of the images, in pixels, to which the generator's are upsampled.
        workplace: where its weights are.
        streams: whose `noise` it draws from.
    """

    def __init__(self, generated: Generated, size: int, workplace: Workplace, streams: Streams) -> None:
        self.size = size
        self.streams = streams
        weights = workplace.inputs[generated.key] / GENERATOR
        self.network = load_network(generated.generator, "generator", weights, streams.device)

    def __call__(self, count: int) -> Tensor:
        """(count, 1, S, S) float in [0, 255], on the device."""
        latent = torch.randn(count, self.network.latent, generator=self.streams["noise"]).to(self.streams.device)
        with self.streams.torchs("generator"):  # which may have noise of its own
            grey = (self.network(latent) + 1) / 2 * 255
        sides = (self.size, self.size)
        return torch.nn.functional.interpolate(grey.contiguous(), sides, mode="bilinear", align_corners=False)
