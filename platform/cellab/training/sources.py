"""Where a member's batches come from: labelled crops, pseudo-labelled ones, and generated ones with pseudo-labels."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from cellab.building import instantiate
from cellab.contracts import Acceptance, Entropy, Generator, Recombination, Teacher, Voting
from cellab.requests import PseudoLabelling
from cellab.stage import Workplace
from cellab.training.crops import Crops, CropSource, views
from cellab.training.names import GENERATED, LABELLED, PSEUDO
from cellab.training.networks import GENERATOR, load_network
from cellab.training.planes import Planes
from cellab.training.pseudo_labels import Labelling, PseudoLabelSource, Recombine
from cellab.training.replay import Batch, concatenate
from cellab.training.streams import Streams

Shares = Callable[[float], Mapping[str, float]]


def pseudo_label_sources(
    labelling: PseudoLabelling,
    shares: Mapping[str, float],
    teacher: Teacher,
    crops: CropSource,
    workplace: Workplace,
    streams: Streams,
) -> dict[str, PseudoLabelSource]:
    """A source for each kind of crop that is wanted and that a teacher labels, by its name.

    Args:
        labelling: how crops get labels.
        shares: of each source; those without one are left out.
        teacher: who labels, once it has been given to a member.
        crops: real ones.
        workplace: where the generator's weights are.
        streams: random streams of the member.
    """
    threshold = labelling.prominence
    settings = labelling.settings

    def source(
        name: str, propose: Callable[[int], Crops], recombination: Recombine, minimum_prominence: float
    ) -> PseudoLabelSource:
        components = Labelling(
            parents=teacher.labellers(),
            voting=instantiate(labelling.voting, "voting", Voting),
            entropy=instantiate(labelling.entropy, "entropy", Entropy),
            recombination=recombination,
        )
        gate = instantiate(labelling.acceptance, "acceptance", Acceptance)
        return PseudoLabelSource(
            propose,
            components,
            gate,
            settings,
            minimum_prominence,
            streams[f"{name} draws"],
            streams.device,
            pairs_age=teacher.pairs_age,
        )

    sources = {}
    if shares[PSEUDO] > 0:
        places = streams[f"{PSEUDO} crops"]
        recombination = instantiate(labelling.recombination, "recombination", Recombination)
        sources[PSEUDO] = source(PSEUDO, lambda count: crops.draw(count, threshold, places), recombination, 0.0)
    if labelling.generated:
        minimum = threshold if settings.minimum_prominence is None else settings.minimum_prominence
        weights = workplace.inputs[labelling.generated.key] / GENERATOR
        network = load_network(labelling.generated.generator, "generator", weights, streams.device)
        sources[GENERATED] = source(GENERATED, _Generated(network, crops, streams), _no_given_mask, minimum)
    return sources


def _no_given_mask(_given: Tensor, pseudo: Tensor) -> tuple[Tensor, Tensor]:
    """A generated crop has no given mask to recombine with."""
    return pseudo, torch.ones_like(pseudo)


class _Generated:
    """Proposals from the lineage's generator, upsampled to the crops' size and augmented like them (paper 4.3)."""

    def __init__(self, network: Generator, crops: CropSource, streams: Streams) -> None:
        self.network = network
        self.crops = crops
        self.noise = streams["noise"]
        self.places = streams[f"{GENERATED} crops"]
        self.streams = streams

    def __call__(self, count: int) -> Crops:
        size = self.crops.crop_size
        latent = torch.randn(count, self.network.latent, generator=self.noise).to(self.streams.device)
        with self.streams.torchs("generator"):  # which may have noise of its own
            grey = (self.network(latent) + 1) / 2 * 255
        whole = torch.nn.functional.interpolate(grey.contiguous(), (size, size), mode="bilinear", align_corners=False)
        each = torch.stack([torch.arange(count), torch.zeros(count), torch.zeros(count)], dim=1).long()
        images, _ = views(Planes.of_images(whole), each, size, self.crops.augmentation, self.places)
        return Crops(images, torch.zeros_like(images), tried=count)


class Mixture:
    """Batches whose pairs come from each source with its share; a dry source's share goes to the others.

    Without any that gives pairs all come from the given masks.

    Args:
        crops: real ones; those of the labelled source come with their masks.
        prominence: least of labelled crops.
        sources: of pseudo-labelled ones, by name.
        shares: of all sources, by name, after a share of the training.
        streams: random streams of the member.
    """

    def __init__(
        self,
        crops: CropSource,
        prominence: float,
        sources: Mapping[str, PseudoLabelSource],
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
