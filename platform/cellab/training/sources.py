"""Where a member's batches come from: labelled crops, pseudo-labelled ones, and generated ones with pseudo-labels."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from cellab.building import instantiate
from cellab.contracts import Acceptance, Entropy, Recombination, Teacher, Voting
from cellab.evaluation.calibration import cut_of
from cellab.outcomes import METRICS, Outcome
from cellab.requests import Compute, GeneratedLabelled, Labels, Prominence, PseudoLabelling, SourceReport
from cellab.stage import Workplace
from cellab.training.crops import Crops, CropSource, views
from cellab.training.generated import GeneratedImages
from cellab.training.labels import FrameLabelSource, PoolSource, read_frames
from cellab.training.names import GENERATED, LABELLED, PSEUDO
from cellab.training.networks import InPrecision
from cellab.training.planes import Planes
from cellab.training.pseudo_labels import Labelling, PseudoLabelSource, Recombine
from cellab.training.replay import Batch, concatenate
from cellab.training.streams import Streams

NONE = Prominence(least=0.0, share=1.0)  # is asked of pseudo-labels of real crops

Shares = Callable[[float], Mapping[str, float]]


class Source(Protocol):
    """Where pairs of images and pseudo-labels come from."""

    @property
    def is_dry(self) -> bool:
        """Whether it has nothing to give."""

    def fill(self, progress: Callable[[int, int], None] = ...) -> None:
        """Prepares what it can before the first step."""

    def draw(self, count: int) -> Batch | None:
        """`count` pairs; fewer, or None, where it has no more."""

    def report(self) -> SourceReport:
        """What it went through."""

    def state_dict(self) -> Mapping[str, object]:
        """How far it is."""

    def load_state_dict(self, state: Any) -> None:
        """Goes on from there."""


def pseudo_label_sources(
    labelling: PseudoLabelling,
    shares: Mapping[str, float],
    teacher: Teacher,
    crops: CropSource,
    workplace: Workplace,
    streams: Streams,
    compute: Compute,
) -> dict[str, Source]:
    """A source for each kind of crop that is wanted and that a teacher labels, by its name.

    Args:
        labelling: how crops get labels.
        shares: of each source; those without one are left out.
        teacher: who labels, once it has been given to a member.
        crops: real ones.
        workplace: where the generator's weights are, or what was labelled before.
        streams: random streams of the member.
        compute: of the member.
    """
    makes: type[_Sources] = _SharedLabels if labelling.labels else _OwnLabels
    sources = makes(labelling, teacher, crops, workplace, streams, compute)
    found: dict[str, Source] = {}
    if shares[PSEUDO] > 0:
        found[PSEUDO] = sources.pseudo()
    if shares[GENERATED] > 0:
        found[GENERATED] = sources.generated()
    return found


class _Sources(ABC):
    """Makes the sources of a member."""

    def __init__(
        self,
        labelling: PseudoLabelling,
        teacher: Teacher,
        crops: CropSource,
        workplace: Workplace,
        streams: Streams,
        compute: Compute,
    ) -> None:
        self.labelling = labelling
        self.teacher = teacher
        self.crops = crops
        self.workplace = workplace
        self.streams = streams
        self.compute = compute
        self.voting = instantiate(labelling.voting, "voting", Voting)
        self.entropy = instantiate(labelling.entropy, "entropy", Entropy)
        self.cut = cut_of(labelling.calibrated, workplace)

    def acceptance(self) -> Acceptance:
        """A gate of a source's own."""
        return instantiate(self.labelling.acceptance, "acceptance", Acceptance)

    def recombination(self) -> Recombination:
        """What becomes of given masks."""
        return instantiate(self.labelling.recombination, "recombination", Recombination)

    @abstractmethod
    def pseudo(self) -> Source:
        """Of real crops."""

    @abstractmethod
    def generated(self) -> Source:
        """Of generated ones."""


class _OwnLabels(_Sources):
    """The teacher labels crops, for this member alone."""

    def pseudo(self) -> Source:
        places, prominence = self.streams[f"{PSEUDO} crops"], self.labelling.prominence
        return self._source(
            PSEUDO, lambda count: self.crops.draw(count, prominence, places), self.recombination(), NONE
        )

    def generated(self) -> Source:
        assert self.labelling.generated is not None  # a share of it is wanted
        size = self.crops.crop_size
        images = GeneratedImages(self.labelling.generated, size, self.workplace, self.streams)
        places = self.streams[f"{GENERATED} crops"]

        def propose(count: int) -> Crops:
            each = torch.stack([torch.arange(count), torch.zeros(count), torch.zeros(count)], dim=1).long()
            seen, _ = views(Planes.of_images(images(count)), each, size, self.crops.augmentation, places)
            return Crops(seen, torch.zeros_like(seen), tried=count)

        prominence = self.labelling.prominence.of_generated(self.labelling.settings)
        return self._source(GENERATED, propose, _no_given_mask, prominence)

    def _source(
        self, name: str, propose: Callable[[int], Crops], recombination: Recombine, prominence: Prominence
    ) -> Source:
        labellers = [InPrecision(network, self.compute) for network in self.teacher.labellers()]
        parts = Labelling(labellers, self.voting, self.entropy, recombination, self.cut)
        return PseudoLabelSource(
            propose,
            parts,
            self.acceptance(),
            self.labelling.settings,
            prominence,
            self.streams[f"{name} draws"],
            self.streams.device,
            pairs_age=self.teacher.pairs_age,
        )


class _SharedLabels(_Sources):
    """The parents have labelled training frames and generated images, for all members."""

    @property
    def labels(self) -> Labels:
        """What they have labelled."""
        assert self.labelling.labels is not None
        return self.labelling.labels

    def pseudo(self) -> Source:
        folders = [self.workplace.inputs[key] for key in self.labels.frames]
        return FrameLabelSource(
            self.crops,
            read_frames(folders, len(self.crops.frames)),
            self.labelling.prominence,
            self.cut,
            self.voting,
            self.entropy,
            self.acceptance(),
            self.recombination(),
            self.labelling.settings.max_tries,
            self.labelling.settings.least_yield,
            self.streams[f"{PSEUDO} crops"],
        )

    def generated(self) -> Source:
        assert self.labels.generated is not None  # a share of it is wanted
        folder = self.workplace.inputs[self.labels.generated]
        told = Outcome.from_json(self.labels.generated, (folder / METRICS).read_bytes(), GeneratedLabelled)
        return PoolSource(
            folder,
            told.of(GeneratedLabelled).report,
            self.crops.augmentation,
            self.cut,
            self.voting,
            self.streams[f"{GENERATED} crops"],
            self.streams.device,
        )


def _no_given_mask(_given: Tensor, pseudo: Tensor) -> tuple[Tensor, Tensor]:
    """A generated crop has no given mask to recombine with."""
    return pseudo, torch.ones_like(pseudo)


class Mixture:
    """Batches whose pairs come from each source with its share; a dry source's share goes to the others.

    Without any that gives pairs all come from the given masks.

    Args:
        crops: real ones; those of the labelled source come with their masks.
        prominence: of labelled crops.
        sources: of pseudo-labelled ones, by name.
        shares: of all sources, by name, after a share of the training.
        streams: random streams of the member.
    """

    def __init__(
        self,
        crops: CropSource,
        prominence: Prominence,
        sources: Mapping[str, Source],
        shares: Shares,
        streams: Streams,
    ) -> None:
        self.crops = crops
        self.prominence = prominence
        self.sources = sources
        self.shares = shares
        self.choices = streams["mixture"]
        self.places = streams[f"{LABELLED} crops"]

    def draw(self, count: int, progress: float) -> Batch:
        """`count` pairs after a share `progress` of the training; labelled ones make up for those refused."""
        chosen = torch.multinomial(self._shares(progress), count, replacement=True, generator=self.choices)
        _, *numbers = torch.bincount(chosen, minlength=1 + len(self.sources)).tolist()
        drawn = [source.draw(number) for source, number in zip(self.sources.values(), numbers, strict=True) if number]
        batches = [batch for batch in drawn if batch is not None]
        labelled = count - sum(map(len, batches))
        if labelled:
            crops = self.crops.draw(labelled, self.prominence, self.places, only_annotated=True)
            batches = [Batch(crops.images, crops.masks, torch.ones_like(crops.masks)), *batches]
        return concatenate(batches)

    def _shares(self, progress: float) -> Tensor:
        """Of labelled crops and of each source, not normalised."""
        wanted = self.shares(progress)
        taught = [0.0 if source.is_dry else wanted[name] for name, source in self.sources.items()]
        labelled = wanted[LABELLED] if sum(taught) + wanted[LABELLED] > 0 else 1.0
        return torch.tensor([labelled, *taught], dtype=torch.float32)
