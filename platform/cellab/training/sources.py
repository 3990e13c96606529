"""Where a member's batches come from: labelled crops, pseudo-labelled real crops, pseudo-labelled generated ones."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from cellab.building import instantiate
from cellab.contracts import Acceptance, Augmentation, Entropy, Recombination, Teacher, Voting
from cellab.data.dataset import Dataset
from cellab.requests import Generated, PseudoLabelling, TrainMember
from cellab.stage import Workplace
from cellab.training.crops import Crops, CropSource, warp
from cellab.training.networks import GENERATOR, load_network
from cellab.training.planes import Planes
from cellab.training.pseudo_labels import Batch, Labelling, PseudoLabelSource, Recombine, concatenate

Sources = dict[str, PseudoLabelSource]

SHARE_OF: dict[str, str] = {
    "labelled": "labelled",
    "real": "pseudo",
    "generated": "generated",
}  # a source's share in the data mix


def labelled_crops(request: TrainMember, path: Path, device: torch.device) -> CropSource:
    """The training frames with the masks to learn from (zeros where a frame has none) and, for reports, truth."""
    scale = request.data.scale
    only_labelled = request.shares["labelled"] == 1.0
    with Dataset.open(path) as data:
        indices = data.indices("train")
        frames = data.frames(scale, indices)
        truth = data.truth(scale, indices) if data.has_truth else None
        if request.labels == "truth":
            assert truth is not None
            masks, annotated = truth, None
        else:
            masks, annotated = data.masks(scale, indices), data.annotated[indices]
    augmentation = instantiate(request.augmentation, "augmentation", Augmentation)
    return CropSource(
        frames,
        masks,
        request.settings.crop_size,
        augmentation,
        device,
        annotated=annotated,
        truths=None if only_labelled else truth,
        max_tries=request.settings.max_tries,
    )


def pseudo_label_sources(
    request: TrainMember,
    labelling: PseudoLabelling,
    workplace: Workplace,
    crops: CropSource,
    teacher: Teacher,
    parents: Sequence[nn.Module],
    stream: torch.Generator,
    device: torch.device,
) -> Sources:
    """A source for each kind of crop that the request wants labelled by the parents."""
    shares = request.shares
    settings = labelling.settings
    if not teacher.inherits:  # what it labelled yesterday is out of date
        settings = replace(settings, refresh_probability=1.0)
    threshold = labelling.prominence

    def source(
        propose: Callable[[int], Crops], recombination: Recombine, minimum_prominence: float
    ) -> PseudoLabelSource:
        components = Labelling(
            parents=parents,
            voting=instantiate(labelling.voting, "voting", Voting),
            entropy=instantiate(labelling.entropy, "entropy", Entropy),
            recombination=recombination,
        )
        gate = instantiate(labelling.acceptance, "acceptance", Acceptance)
        return PseudoLabelSource(propose, components, gate, settings, minimum_prominence, stream, device)

    sources = {}
    if shares["pseudo"] > 0:
        recombination = instantiate(labelling.recombination, "recombination", Recombination)
        sources["real"] = source(lambda count: crops.draw(count, threshold, stream), recombination, 0.0)
    if labelling.generated:
        minimum = threshold if settings.minimum_prominence is None else settings.minimum_prominence
        sources["generated"] = source(
            _generated(labelling.generated, workplace, crops, stream, device), _no_given_mask, minimum
        )
    return sources


def _no_given_mask(_given: Tensor, pseudo: Tensor) -> tuple[Tensor, Tensor]:
    """A generated crop has no given mask to recombine with."""
    return pseudo, torch.ones_like(pseudo)


def _generated(
    generated: Generated, workplace: Workplace, crops: CropSource, stream: torch.Generator, device: torch.device
) -> Callable[[int], Crops]:
    """Proposals from the lineage's generator, upsampled to the crops' size and augmented like them (paper 4.3)."""
    weights = workplace.inputs[generated.key] / GENERATOR
    network = load_network(generated.generator, "generator", weights, device)

    def propose(count: int) -> Crops:
        latent = torch.randn(count, network.latent, generator=stream).to(device)
        images = ((network(latent) + 1) / 2).contiguous()
        size = crops.crop_size
        images = torch.nn.functional.interpolate(images, (size, size), mode="bilinear", align_corners=False)
        linear = crops.augmentation.linear(count, stream)
        displacement = crops.augmentation.displacement(count, size, stream)
        places = torch.stack([torch.arange(count), torch.zeros(count), torch.zeros(count)], dim=1).long()
        images = crops.augmentation.appearance(
            warp(Planes.of_images(images), places, linear, size, displacement), stream
        )
        return Crops(images, torch.zeros_like(images), tried=count)

    return propose


class Mixture:
    """Batches whose pairs come from each source with its share; a dry source's share goes to the others.

    Without any that gives pairs all come from the given masks.

    Args:
        request: of the member's stage.
        crops: labelled ones.
        sources: of pseudo-labelled ones, by name.
        teacher: changes the shares as the training goes on; None: only labelled crops are asked for.
        stream: random stream of the draws.
    """

    def __init__(
        self,
        request: TrainMember,
        crops: CropSource,
        sources: Sources,
        teacher: Teacher | None,
        stream: torch.Generator,
    ) -> None:
        self.crops = crops
        self.sources = sources
        self.teacher = teacher
        self.stream = stream
        self.threshold = request.prominence
        self.wanted = request.shares
        inherits = teacher is None or teacher.inherits
        self.dry = {name for name, source in sources.items() if inherits and source.is_dry}

    def _shares(self, progress: float) -> Tensor:
        wanted = self.teacher.shares(self.wanted, progress) if self.teacher else self.wanted
        wet = [0.0 if name in self.dry else wanted[share] for name, share in SHARE_OF.items()]
        return torch.tensor(wet if sum(wet) > 0 else [1.0, 0.0, 0.0], dtype=torch.float32)

    def draw(self, count: int, progress: float) -> Batch:
        """`count` pairs after a share `progress` of the training; labelled ones make up for those refused."""
        chosen = torch.multinomial(self._shares(progress), count, replacement=True, generator=self.stream)
        _, *numbers = torch.bincount(chosen, minlength=3).tolist()
        taught = [
            pair
            for name, wanted in zip(("real", "generated"), numbers, strict=True)
            if wanted
            for pair in self.sources[name].draw(wanted)
        ]
        labelled = count - len(taught)
        if labelled == 0:
            return concatenate(taught)
        crops = self.crops.draw(labelled, self.threshold, self.stream, only_annotated=True)
        return concatenate([Batch(crops.images, crops.masks, torch.ones_like(crops.masks)), *taught])
