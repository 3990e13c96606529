"""Trains one member of a generation, from scratch (paper 3, 4)."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from cellab.building import instantiate
from cellab.contracts import SegmentationLoss, Teacher
from cellab.errors import DivergedError
from cellab.requests import PseudoLabelling, TrainMember
from cellab.settings import Training
from cellab.stage import Workplace
from cellab.training.checkpoint import Checkpoint, RandomState
from cellab.training.determinism import generator
from cellab.training.history import History
from cellab.training.networks import UNET, build_network, load_network, save_weights, to_channels_last
from cellab.training.sources import Mixture, Sources, labelled_crops, pseudo_label_sources


def train_member(request: TrainMember, workplace: Workplace) -> dict[str, Any]:
    """Trains a U-Net on the request's mix of labelled, pseudo-labelled and generated crops.

    Returns:
        Metrics: the loss over time, and each pseudo-label source's counters.

    Raises:
        DivergedError: the loss became NaN or infinite.
    """
    settings = request.settings
    device = torch.device(request.compute.device)
    stream = generator(request.seed)
    crops = labelled_crops(request, workplace.data_path, device)

    # the network and what changes it
    unet = build_network(request.unet, "unet", device).train()
    optimiser = instantiate(settings.optimiser, "training.optimiser")(unet.parameters())
    scheduler = _scheduler(settings, optimiser)
    criterion = instantiate(request.segmentation_loss, "segmentation_loss", SegmentationLoss)

    # who labels, and where pairs come from
    labelling = request.pseudo_labelling
    teacher: Teacher | None = instantiate(labelling.teacher, "teacher", Teacher) if labelling else None
    average: nn.Module | None = None  # of this member's own weights, which labels in the parents' place
    sources: Sources = {}
    if labelling and teacher:
        average = None if teacher.inherits else teacher.start(unet)
        parents = _parents(request, labelling, workplace, device) if average is None else [average]
        sources = pseudo_label_sources(request, labelling, workplace, crops, teacher, parents, stream, device)

    # what a checkpoint holds
    history = History(settings.steps)
    parts = {"unet": unet, "optimiser": optimiser, "scheduler": scheduler, "history": history, **sources}
    if average is not None:
        parts["average"] = average
    checkpoint = Checkpoint(workplace.checkpoint, {**parts, "random": RandomState(stream)})
    done = checkpoint.restore()
    for source in sources.values() if done == 0 and average is None else ():
        source.fill(lambda _done, _wanted: workplace.progress(0, settings.steps))

    # the loop
    mixture = Mixture(request, crops, sources, teacher, stream)
    for step in range(done + 1, settings.steps + 1):
        batch = mixture.draw(settings.batch_size, (step - 1) / settings.steps)
        optimiser.zero_grad(set_to_none=True)
        outputs = _every_head(unet(to_channels_last(batch.images)))
        loss: Tensor = torch.stack([criterion(logits, batch.targets, batch.weights) for logits in outputs]).mean()
        if not math.isfinite(value := loss.item()):
            raise DivergedError("member", step, value)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        scheduler.step()
        if teacher and average is not None:
            teacher.update(average, unet, step)
        history.add(loss=value)
        workplace.progress(step, settings.steps)
        checkpoint.save_if_due(step)

    result = unet if average is None else average
    _check_weights(result, settings.steps)
    save_weights(result, workplace.output / UNET)
    return {
        "history": history.report(),
        "pseudo_labels": {name: source.report() for name, source in sources.items()},
    }


def _parents(
    request: TrainMember, labelling: PseudoLabelling, workplace: Workplace, device: torch.device
) -> list[nn.Module]:
    """All members of the previous generation."""
    return [load_network(request.unet, "unet", workplace.inputs[key] / UNET, device) for key in labelling.parents]


def _every_head(output: Tensor | list[Tensor]) -> list[Tensor]:
    """The logits to learn by: one map, or in training several of a network with deep supervision."""
    return output if isinstance(output, list) else [output]


def _check_weights(unet: torch.nn.Module, step: int) -> None:
    """The last step's update may have broken the weights without a loss that shows it."""
    for name, value in unet.state_dict().items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise DivergedError(f"member ({name})", step, float("nan"))


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
