"""A lineage's generator and its discriminators while they are trained, one step after the other (paper 6, 7, 8)."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from cellab.building import instantiate
from cellab.contracts import Augmentation, DiscriminatorEnsemble, GanAugmentation, GanLoss
from cellab.errors import DivergedError
from cellab.requests import GanTrained, Prominence, TrainGan
from cellab.training.checkpoint import Stateful, TrainingRun
from cellab.training.crops import CropSource
from cellab.training.frames import Frames
from cellab.training.history import History
from cellab.training.networks import build_network, to_channels_last
from cellab.training.streams import Streams

ANY = Prominence(least=0.0, share=0.0)  # frames alone have no masks to be prominent


class Gan(TrainingRun):
    """A generator against D discriminators, each with its own loss and optimiser.

    Args:
        request: what is trained.
        frames: the training frames, which it does not change.
    """

    def __init__(self, request: TrainGan, frames: Frames) -> None:
        self.settings = request.settings
        self.streams = Streams(request.seed, torch.device(request.compute.device))

        # the networks and what changes them
        self.ensemble = instantiate(request.discriminator_ensemble, "discriminator_ensemble", DiscriminatorEnsemble)
        with self.streams.torchs("initialisation"):
            self.generator = build_network(request.generator, "generator", self.streams.device)
            self.critics = [
                build_network(request.discriminator, "discriminator", self.streams.device)
                for _ in range(self.ensemble.size)
            ]
        self.adversarial = instantiate(request.gan_loss, "gan_loss", GanLoss)
        self.augment = instantiate(request.gan_augmentation, "gan_augmentation", GanAugmentation)
        self.generator_optimiser = self.adversarial.generator_optimiser(self.generator.parameters())
        self.optimisers = [self.adversarial.discriminator_optimiser(critic.parameters()) for critic in self.critics]

        # real crops
        looks = instantiate(request.settings.crop_augmentation, "gan.crop_augmentation", Augmentation)
        self.crops = CropSource(frames, self.generator.size, looks)
        self.history = History(self.settings.steps)

    def real(self, count: int) -> Tensor:
        """Real crops (count, 1, S, S) in [-1, 1]."""
        return to_channels_last(2 * self.crops.draw(count, ANY, self.streams["crops"]).images - 1)

    def fake(self, count: int) -> Tensor:
        """Generated ones."""
        latent = torch.randn(count, self.generator.latent, generator=self.streams["noise"])
        images: Tensor = self.generator(latent.to(self.streams.device))
        return images

    def learn(self) -> None:
        """Some steps of each discriminator, and one of the generator.

        Raises:
            DivergedError: a loss became NaN or infinite.
        """
        with self.streams.torchs("networks"):
            first = self.step * self.adversarial.critic_steps
            self.step += 1
            losses = {}
            for turn in range(first, first + self.adversarial.critic_steps):
                losses = self._train_critics(turn)
            self.generator_optimiser.zero_grad(set_to_none=True)
            images = self._shown(self.fake(self.settings.batch_size))
            against = [self.adversarial.generator_loss(critic(images)) for critic in self.critics]
            loss = self.ensemble(torch.stack(against))
            losses["generator"] = self._finite("generator", loss)
            loss.backward()  # type: ignore[no-untyped-call]
            self.generator_optimiser.step()
        self.history.add(**losses)

    def _shown(self, images: Tensor) -> Tensor:
        return self.augment(images, self.streams["augmentation"])

    def _train_critics(self, turn: int) -> dict[str, float]:
        """One step of each critic, the `turn`-th (from 0); a lazy regulariser weighs more the more seldom it comes."""
        adversarial, losses = self.adversarial, {}
        real = self._shown(self.real(self.settings.batch_size))
        fake = self._shown(self.fake(self.settings.batch_size).detach())
        interval = adversarial.regularisation_interval
        for number, (critic, optimiser) in enumerate(zip(self.critics, self.optimisers, strict=True)):
            optimiser.zero_grad(set_to_none=True)
            loss = adversarial.discriminator_loss(critic(real), critic(fake))
            if turn % interval == 0:
                chance = self.streams["regularisation"]
                loss = loss + interval * adversarial.regularisation(critic, real, fake, generator=chance)
            losses[f"discriminator {number}"] = self._finite(f"discriminator {number}", loss)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            adversarial.constrain(critic)
        return losses

    def _finite(self, series: str, loss: Tensor) -> float:
        value = loss.item()
        if not math.isfinite(value):
            raise DivergedError(series, self.step, value)
        return value

    @torch.no_grad()
    def samples(self, count: int) -> Tensor:
        """Images of the generator as members will use it, which it is from now on.

        Raises:
            DivergedError: the last step broke its weights, without a loss that shows it.
        """
        self.generator.eval()
        with self.streams.torchs("networks"):
            images = self.fake(count)
        if not bool(images.isfinite().all()):
            raise DivergedError("generator", self.step, float("nan"))
        return images

    def result(self) -> GanTrained:
        """What is told of it."""
        return GanTrained(self.history.report())

    def parts(self) -> Mapping[str, Stateful]:
        """The networks, what changes them, and how far everything is."""
        return {
            "generator": self.generator,
            "generator_optimiser": self.generator_optimiser,
            "critics": nn.ModuleList(self.critics),
            **{f"optimiser {number}": optimiser for number, optimiser in enumerate(self.optimisers)},
            "history": self.history,
            "streams": self.streams,
        }
