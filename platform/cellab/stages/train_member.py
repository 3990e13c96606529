"""Trains one member of a generation, from scratch (paper 3, 4)."""

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cellab.components import instantiate
from cellab.data.dataset import Dataset
from cellab.errors import DivergedError
from cellab.settings import PseudoLabels, Training
from cellab.stage import Workplace
from cellab.training.checkpoint import Checkpoint, RandomState
from cellab.training.crops import Crops, CropSource, warp
from cellab.training.determinism import generator
from cellab.training.history import History
from cellab.training.networks import GENERATOR, UNET, build_network, load_network, save_weights, to_channels_last
from cellab.training.pseudo_labels import Batch, Labelling, PseudoLabelSource, concatenate

Sources = dict[str, PseudoLabelSource]


def train_member(request: dict[str, Any], workplace: Workplace) -> dict[str, Any]:
    """Trains a U-Net on the request's mix of labelled, pseudo-labelled and generated crops.

    Returns:
        Metrics: the loss over time, and each pseudo-label source's counters.

    Raises:
        DivergedError: the loss became NaN or infinite.
    """
    settings = Training(**request["training"])
    device = torch.device(request["resources"]["device"])
    stream = generator(request["seed"])
    crops = _crop_source(request, workplace.data_path, settings, device)

    # the network and what changes it
    unet = build_network(request["unet"], "unet", device).train()
    optimiser = instantiate(settings.optimiser, "training.optimiser")(unet.parameters())
    scheduler = _scheduler(settings, optimiser)
    criterion = instantiate(request["segmentation_loss"], "segmentation_loss")

    # where pseudo-labels come from
    sources = _pseudo_label_sources(request, workplace, crops, stream, device)
    history = History(settings.steps)
    parts = {"unet": unet, "optimiser": optimiser, "scheduler": scheduler, "history": history}
    checkpoint = Checkpoint(workplace.checkpoint, {**parts, "random": RandomState(stream), **sources})
    done = checkpoint.restore()
    for source in sources.values() if done == 0 else ():
        source.fill(lambda _done, _wanted: workplace.progress(0, settings.steps))

    # the loop
    mixture = _Mixture(request, crops, sources, stream)
    for step in range(done + 1, settings.steps + 1):
        batch = mixture.draw(settings.batch_size)
        optimiser.zero_grad(set_to_none=True)
        loss = criterion(unet(to_channels_last(batch.images)), batch.targets, batch.weights)
        if not math.isfinite(value := loss.item()):
            raise DivergedError("the member", step, value)
        loss.backward()
        optimiser.step()
        scheduler.step()
        history.add(loss=value)
        workplace.progress(step, settings.steps)
        checkpoint.save_if_due(step)

    _check_weights(unet, settings.steps)
    save_weights(unet, workplace.output / UNET)
    return {
        "history": history.report(),
        "pseudo_labels": {name: source.report() for name, source in sources.items()},
    }


def _check_weights(unet: torch.nn.Module, step: int) -> None:
    """The last step's update may have broken the weights without a loss that shows it."""
    for name, value in unet.state_dict().items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise DivergedError(f"the member ({name})", step, float("nan"))


class _NoSchedule:
    """A learning rate that stays."""

    def step(self) -> None: ...

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


def _scheduler(settings: Training, optimiser: torch.optim.Optimizer) -> Any:
    if settings.learning_rate_schedule is None:
        return _NoSchedule()
    return instantiate(settings.learning_rate_schedule, "training.learning_rate_schedule")(optimiser)


def _crop_source(request: dict[str, Any], path: Path, settings: Training, device: torch.device) -> CropSource:
    """The training frames, given masks (zeros where a frame has none) and, for reports, truth."""
    scale = request["data"]["scale"]
    only_labelled = request["shares"]["labelled"] == 1.0
    with Dataset.open(path) as data:
        indices = data.indices("train")
        annotated = data.annotated[indices]
        truth = data.truth(scale, indices) if data.has_truth and not only_labelled else None
        frames, masks = data.frames(scale, indices), data.masks(scale, indices)
    augmentation = instantiate(request["augmentation"], "augmentation")
    return CropSource(
        frames,
        masks,
        settings.crop_size,
        augmentation,
        device,
        annotated=annotated,
        truths=truth,
        max_tries=settings.max_tries,
    )


def _pseudo_label_sources(
    request: dict[str, Any], workplace: Workplace, crops: CropSource, stream: torch.Generator, device: torch.device
) -> Sources:
    shares = request["shares"]
    if shares["pseudo"] == 0 and shares["generated"] == 0:
        return {}
    labelling = Labelling(
        parents=[
            load_network(workplace.request_of[key]["unet"], "unet", workplace.inputs[key] / UNET, device)
            for key in request["parents"]
        ],
        voting=instantiate(request["voting"], "voting"),
        entropy=instantiate(request["entropy"], "entropy"),
        recombination=instantiate(request["recombination"], "recombination"),
    )
    settings = PseudoLabels(**request["pseudo_labels"])
    threshold = request["pseudo_prominence"]

    def source(propose: Any, recombination: Any, minimum_prominence: float) -> PseudoLabelSource:
        parts = Labelling(labelling.parents, labelling.voting, labelling.entropy, recombination)
        gate = instantiate(request["acceptance"], "acceptance")
        return PseudoLabelSource(propose, parts, gate, settings, minimum_prominence, stream, device)

    sources = {}
    if shares["pseudo"] > 0:
        propose = lambda count: crops.draw(count, threshold, stream)  # noqa: E731
        sources["real"] = source(propose, labelling.recombination, 0.0)
    if shares["generated"] > 0:
        minimum = threshold if settings.minimum_prominence is None else settings.minimum_prominence
        sources["generated"] = source(_generated(request, workplace, crops, stream, device), _no_given_mask, minimum)
    return sources


def _no_given_mask(_given: Tensor, pseudo: Tensor) -> tuple[Tensor, Tensor]:
    """A generated crop has no given mask to recombine with."""
    return pseudo, torch.ones_like(pseudo)


def _generated(
    request: dict[str, Any], workplace: Workplace, crops: CropSource, stream: torch.Generator, device: torch.device
) -> Any:
    """Proposals from the lineage's generator, upsampled to the crops' size and augmented like them (paper 4.3)."""
    key = request["gan"]
    config = workplace.request_of[key]["generator"]
    network: Any = load_network(config, "generator", workplace.inputs[key] / GENERATOR, device)

    def propose(count: int) -> Crops:
        latent = torch.randn(count, network.latent, generator=stream).to(device)
        images = ((network(latent) + 1) / 2).contiguous()
        size = crops.crop_size
        images = torch.nn.functional.interpolate(images, (size, size), mode="bilinear", align_corners=False)
        linear = crops.augmentation.linear(count, stream)
        places = torch.stack([torch.arange(count), torch.zeros(count), torch.zeros(count)], dim=1).long()
        images = crops.augmentation.appearance(warp(images, places, linear, size), stream)
        return Crops(images, torch.zeros_like(images), tried=count)

    return propose


class _Mixture:
    """Batches whose pairs come from each source with its share; a dry source's share goes to the others.

    Without any that gives pairs all come from the given masks.
    """

    def __init__(self, request: dict[str, Any], crops: CropSource, sources: Sources, stream: torch.Generator) -> None:
        self.crops = crops
        self.sources = sources
        self.stream = stream
        self.threshold = request["labelled_prominence"]
        shares = {"labelled": "labelled", "real": "pseudo", "generated": "generated"}
        wet = [request["shares"][share] * self._gives(name) for name, share in shares.items()]
        self.shares = torch.tensor(wet if sum(wet) > 0 else [1.0, 0.0, 0.0])

    def _gives(self, name: str) -> bool:
        return name == "labelled" or (name in self.sources and not self.sources[name].is_dry)

    def draw(self, count: int) -> Batch:
        chosen = torch.multinomial(self.shares, count, replacement=True, generator=self.stream)
        labelled, real, generated = torch.bincount(chosen, minlength=3).tolist()
        batches: list[Batch] = []
        if labelled:
            crops = self.crops.draw(labelled, self.threshold, self.stream, only_annotated=True)
            batches.append(Batch(crops.images, crops.masks, torch.ones_like(crops.masks)))
        for name, wanted in (("real", real), ("generated", generated)):
            if wanted:
                batches += self.sources[name].draw(wanted)
        return concatenate(batches)
