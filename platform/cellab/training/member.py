"""A member of a generation while it is trained: one step after the other, by whoever calls (paper 3, 4)."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from cellab.building import instantiate
from cellab.contracts import Augmentation, SegmentationLoss, Teacher
from cellab.errors import DivergedError
from cellab.requests import MemberTrained, TrainMember
from cellab.settings import Training
from cellab.stage import Progress, Workplace
from cellab.training.checkpoint import Stateful, TrainingRun
from cellab.training.crops import CropSource
from cellab.training.frames import Frames
from cellab.training.history import History
from cellab.training.networks import UNET, InPrecision, build_network, load_network
from cellab.training.sources import Mixture, pseudo_label_sources
from cellab.training.streams import Streams


class Member(TrainingRun):
    """A U-Net and all that changes while it learns. Several can be stepped in turn in one process: none has a part
    in another's chance.

    Args:
        request: what is trained, on what.
        frames: the training frames with masks, which it does not change.
        workplace: where networks of other stages are.
    """

    def __init__(self, request: TrainMember, frames: Frames, workplace: Workplace) -> None:
        settings = request.settings
        self.settings = settings
        self.streams = Streams(request.seed, torch.device(request.compute.device))

        # the network and what changes it
        with self.streams.torchs("initialisation"):
            self.unet = build_network(request.unet, "unet", self.streams.device).train()
        self.learner = InPrecision(self.unet, request.compute)
        self.optimiser = instantiate(settings.optimiser, "training.optimiser")(self.unet.parameters())
        self.scheduler = _scheduler(settings, self.optimiser)
        self.criterion = instantiate(request.segmentation_loss, "segmentation_loss", SegmentationLoss)

        # who labels, and where pairs come from
        augmentation = instantiate(request.augmentation, "augmentation", Augmentation)
        crops = CropSource(frames, settings.crop_size, augmentation, max_tries=settings.max_tries)
        self.teacher = _teacher(request, self.unet, workplace, self.streams.device)
        labelling = request.pseudo_labelling
        self.sources = (
            pseudo_label_sources(
                labelling, request.shares, self.teacher, crops, workplace, self.streams, request.compute
            )
            if labelling
            else {}
        )
        self.mixture = Mixture(
            crops,
            request.prominence,
            self.sources,
            lambda progress: self.teacher.shares(request.shares, progress),
            self.streams,
        )
        self.history = History(settings.steps)

    def prepare(self, progress: Progress) -> None:
        """Before the first step: fills the buffers of pairs."""
        for source in self.sources.values():
            source.fill(lambda _done, _wanted: progress(0, self.settings.steps))

    def learn(self) -> None:
        """One step of the optimiser.

        Raises:
            DivergedError: the loss became NaN or infinite.
        """
        batch = self.mixture.draw(self.settings.batch_size, self.step / self.settings.steps)
        self.step += 1
        self.optimiser.zero_grad(set_to_none=True)
        with self.streams.torchs("networks"):
            outputs = _every_head(self.learner(batch.images))
            loss: Tensor = torch.stack([self.criterion(each, batch.targets, batch.weights) for each in outputs]).mean()
        if not math.isfinite(value := loss.item()):
            raise DivergedError("member", self.step, value)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.scheduler.step()
        self.teacher.update(self.step, torch.stack(outputs).detach().mean(dim=0), batch.targets)
        self.history.add(loss=value)

    def network(self) -> nn.Module:
        """What is kept of it.

        Raises:
            DivergedError: the last step broke its weights, without a loss that shows it.
        """
        kept = self.teacher.kept()
        for name, value in kept.state_dict().items():
            if value.is_floating_point() and not bool(value.isfinite().all()):
                raise DivergedError(f"member ({name})", self.step, float("nan"))
        return kept

    def result(self) -> MemberTrained:
        """What is told of it."""
        return MemberTrained(self.history.report(), {name: source.report() for name, source in self.sources.items()})

    def parts(self) -> Mapping[str, Stateful]:
        """The networks, what changes them, and how far everything is."""
        return {
            "unet": self.unet,
            "optimiser": self.optimiser,
            "scheduler": self.scheduler,
            "teacher": self.teacher,
            "history": self.history,
            "streams": self.streams,
            **({"loss": self.criterion} if hasattr(self.criterion, "state_dict") else {}),
            **{f"source {name}": source for name, source in self.sources.items()},
        }


class _Untaught:
    """In the teacher's place where all crops are labelled ones."""

    pairs_age = False
    lone_generation = 0

    def __init__(self, member: nn.Module) -> None:
        self.start(member, ())

    def parents(self, members: Sequence[str]) -> Sequence[str]:  # noqa: ARG002
        return ()

    def start(self, member: nn.Module, parents: Sequence[nn.Module]) -> None:  # noqa: ARG002
        self._member = member

    def labellers(self) -> Sequence[nn.Module]:
        return ()

    def shares(self, shares: Mapping[str, float], progress: float) -> Mapping[str, float]:  # noqa: ARG002
        return shares

    def update(self, step: int, logits: Tensor, targets: Tensor) -> None: ...

    def kept(self) -> nn.Module:
        return self._member

    def state_dict(self) -> Mapping[str, object]:
        return {}

    def load_state_dict(self, state: object) -> None: ...


def _teacher(request: TrainMember, unet: nn.Module, workplace: Workplace, device: torch.device) -> Teacher:
    """Who labels for a member that has not learned yet."""
    labelling = request.pseudo_labelling
    if labelling is None:
        return _Untaught(unet)
    teacher = instantiate(labelling.teacher, "teacher", Teacher)
    parents = [load_network(request.unet, "unet", workplace.inputs[key] / UNET, device) for key in labelling.parents]
    teacher.start(unet, parents)
    return teacher


def _every_head(output: Tensor | list[Tensor]) -> list[Tensor]:
    """The logits to learn by: one map, or in training several of a network with deep supervision."""
    return output if isinstance(output, list) else [output]


class _NoSchedule:
    """A learning rate that stays."""

    def step(self) -> None: ...

    def state_dict(self) -> Mapping[str, object]:
        return {}

    def load_state_dict(self, state: object) -> None: ...


def _scheduler(settings: Training, optimiser: torch.optim.Optimizer) -> Any:
    if settings.learning_rate_schedule is None:
        return _NoSchedule()
    return instantiate(settings.learning_rate_schedule, "training.learning_rate_schedule")(optimiser)
