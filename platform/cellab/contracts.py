"""The contract of each kind of component: the members that the engine asks for, their shapes, dtypes and ranges.

A component is any class with these members; there is no base class. `cellab components show` prints the contract of its
kind, `cellab components new` writes a class against it, and what a component lacks of it is told before any compute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:  # planning a lineage knows contracts, and needs no PyTorch for it
    import torch
    from torch import Tensor, nn

MAY_LACK = "_may_lack"
_Member = TypeVar("_Member", bound=Callable[..., Any])


def may_lack(member: _Member) -> _Member:
    """Marks a member that a component need not have."""
    setattr(member, MAY_LACK, True)
    return member


class Network(Protocol):
    """A `torch.nn.Module`: what the engine uses of one, whatever its kind."""

    def __call__(self, *inputs: Any) -> Any:
        """What `forward` gives."""

    def parameters(self) -> Iterable[nn.Parameter]:
        """What an optimiser changes."""

    def state_dict(self) -> Mapping[str, Any]:
        """Parameters and buffers, as they are saved."""

    def load_state_dict(self, state: Any, /) -> object:
        """Takes them on."""

    def eval(self) -> Any:
        """Changes to evaluation mode."""


class Unet(Network, Protocol):
    """A member of a generation: a `torch.nn.Module` from grey images to logits of cells."""

    @property
    @may_lack
    def in_channels(self) -> int:
        """Channels of the image: 1, which is also what counts where it is not told."""

    @property
    @may_lack
    def stride(self) -> int:
        """The sides of an image must be multiples of it (pixels); 1 where it is not told."""

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """Logits (B, 1, H, W) of images (B, 1, H, W) float32 in [0, 1]; in training also several."""


class SegmentationLoss(Protocol):
    """How far a member's logits are from the target."""

    def __call__(self, logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """A finite scalar, of logits, targets in [0, 1] and weights of at least 0, all (B, 1, H, W) float32."""

    @property
    @may_lack
    def is_proper(self) -> bool:
        """Whether it is a proper score, least where outputs are probabilities; it is where nothing is told."""

    @may_lack
    def state_dict(self) -> Mapping[str, object]:
        """What it remembers of batches: tensors, numbers, texts, and lists and dicts of them."""

    @may_lack
    def load_state_dict(self, state: Any) -> None:
        """Goes on from what was remembered."""


class Augmentation(Protocol):
    """Random maps that crops are drawn through, and random changes of how they look."""

    def linear(self, count: int, generator: torch.Generator) -> Tensor:
        """Random linear maps (count, 2, 2) float32 of output to input coordinates (x, y), on the CPU."""

    def displacement(self, count: int, size: int, generator: torch.Generator) -> Tensor | None:
        """Random offsets (count, size, size, 2) in pixels (x, y) that are added to those, on the CPU; None: none."""

    def appearance(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Changes how images (B, 1, H, W) float32 in [0, 1] look, not where things are."""


class ProminenceSchedule(Protocol):
    """How prominent, by the mean of its mask, a crop must be."""

    @property
    def share(self) -> float:
        """The share of crops that must be so prominent, in [0, 1]; the others are taken as they come."""

    def labelled(self, generation: int) -> float:
        """The least prominence, in [0, 1], of labelled crops in a generation (from 0)."""

    def pseudo(self, generation: int) -> float:
        """The least prominence, in [0, 1], of pseudo-labelled crops in a generation (from 1)."""


class DataMix(Protocol):
    """Which part of a batch comes from which source."""

    def shares(self, generation: int) -> dict[str, float]:
        """The shares of `labelled`, `pseudo` and `generated` in a generation (from 0), in [0, 1]; they add up to 1."""


class Teacher(Protocol):
    """Who labels crops for a member of a generation after the first; each member has one of its own."""

    @property
    def lone_generation(self) -> int:
        """The generation that gets all the steps of a lineage in which but one is to have any (`equal_compute`)."""

    @property
    def pairs_age(self) -> bool:
        """Whether it labels otherwise as the member learns, so that crops that it has labelled are not kept."""

    def parents(self, members: Sequence[str]) -> Sequence[str]:
        """Those of the members of the generation before, by their keys, that it needs."""

    def start(self, member: nn.Module, parents: Sequence[nn.Module]) -> None:
        """Begins with a member that has not learned yet, and with those parents, in evaluation mode."""

    def labellers(self) -> Sequence[nn.Module]:
        """The networks that label, in evaluation mode, without gradients."""

    def shares(self, shares: Mapping[str, float], progress: float) -> Mapping[str, float]:
        """The data mix's shares as they are after a share `progress` of the training, in [0, 1]; they add up to 1."""

    def update(self, step: int, logits: Tensor, targets: Tensor) -> None:
        """Learns from the member, after its step (from 1) on a batch with these targets, all (B, 1, H, W).

        The logits are those that the step was taken by, detached; the mean of them where there are several.
        """

    def kept(self) -> nn.Module:
        """The network that is kept of the member."""

    def state_dict(self) -> Mapping[str, object]:
        """What it has of its own while the member learns: tensors, numbers, texts, and lists and dicts of them."""

    def load_state_dict(self, state: Any) -> None:
        """Goes on from there."""


class Labelling(Protocol):
    """Whether members label crops, each for itself, or learn what was labelled once for all of them."""

    @property
    def parts(self) -> int:
        """The stages among which the labelling of the training frames is divided; 0: members label crops."""

    @property
    def generated(self) -> int:
        """How many accepted generated images are labelled, once, where frames are."""

    @property
    def tries(self) -> int:
        """Of how many at most."""

    @property
    def least_yield(self) -> float:
        """Of which share at least, in [0, 1], once as many have been tried as are wanted; else the rest is given up."""


class Voting(Protocol):
    """How the parents of a generation agree on a pseudo-label."""

    def votes(self, members: Sequence[Callable[[Tensor], Tensor]], images: Tensor) -> Tensor:
        """Each member's probability (K, B, 1, H, W) in [0, 1]; members give logits of images (B, 1, H, W) in [0, 1]."""

    def target(self, votes: Tensor) -> Tensor:
        """The pseudo-label (B, 1, H, W) in [0, 1] that votes (K, B, 1, H, W) stand for."""


class Calibration(Protocol):
    """From which probability on a pixel is a cell, told by given masks alone."""

    @property
    def split(self) -> str | None:
        """Frames whose given masks tell it: ``"validation"`` or ``"train"``; None: nothing need be looked at."""

    @property
    def frames(self) -> int | None:
        """At most so many of them, evenly spaced; None: all."""

    def cut(self, positives: Tensor, pixels: Tensor) -> float:
        """The probability, of how many pixels (L,) have each of L evenly spaced probabilities from 0 to 1.

        `positives`, float64, are those that given masks mark, at least one, weighted; `pixels`, int64, are all.
        """

    @may_lack
    def weights(self, probabilities: Tensor) -> Tensor:
        """How often the pixels of given objects count (O,), by the mean probability (O,) of each; without it, once."""


class Entropy(Protocol):
    """How unsure a pseudo-label is."""

    def __call__(self, probability: Tensor) -> Tensor:
        """One number for each mask, (B,), of at least 0, of probabilities (B, 1, H, W) in [0, 1]."""

    @may_lack
    def pixels(self, probability: Tensor) -> Tensor:
        """Each pixel's part in it (H, W), of probabilities (H, W): so that masks are measured by summed areas."""

    @may_lack
    def of_total(self, total: Tensor, count: int) -> Tensor:
        """It, (B,), of the sums (B,) of the parts of `count` pixels each."""


class Acceptance(Protocol):
    """A gate that pseudo-labels pass one after the other, and that remembers what it saw."""

    @property
    def threshold(self) -> float:
        """The entropy that the next mask is held against, for reports; infinite where there is none."""

    def __call__(self, entropies: Sequence[float], votes: Tensor) -> list[bool]:
        """Whether each of the next B masks passes, by its entropy or by its votes (K, B, 1, H, W).

        K may be 0, of crops of frames that were labelled before, unless it `needs_votes`.
        """

    @property
    @may_lack
    def needs_votes(self) -> bool:
        """Whether it looks at the votes; not where it is not told."""

    def state_dict(self) -> Mapping[str, object]:
        """What it remembers: tensors, numbers, texts, and lists and dicts of them."""

    def load_state_dict(self, state: Any) -> None:
        """Goes on from what was remembered."""


class Recombination(Protocol):
    """What becomes of the given mask once there is a pseudo-label."""

    def __call__(self, given: Tensor, pseudo: Tensor) -> tuple[Tensor, Tensor]:
        """Target in [0, 1] and weight of at least 0, of given mask and pseudo-label in [0, 1]; all (B, 1, H, W)."""


class Generator(Network, Protocol):
    """A `torch.nn.Module` from vectors of noise to grey images."""

    @property
    def latent(self) -> int:
        """Length of the vector of noise."""

    @property
    def size(self) -> int:
        """Side of the images, in pixels."""

    def forward(self, z: Tensor) -> Tensor:
        """Images (B, 1, size, size) in [-1, 1] of vectors (B, latent) from N(0, 1), all float32."""


class Discriminator(Network, Protocol):
    """A `torch.nn.Module` that judges images one by one; the larger its logit, the more real they look."""

    @property
    @may_lack
    def in_channels(self) -> int:
        """Channels of the image: 1, which is also what counts where it is not told."""

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B,) of images (B, 1, S, S) float32, about [-1, 1], where S is the generator's size."""


class DiscriminatorEnsemble(Protocol):
    """How many discriminators there are, and what the generator minimises against them."""

    @property
    def size(self) -> int:
        """How many discriminators there are, D, at least 1."""

    def __call__(self, losses: Tensor) -> Tensor:
        """A scalar, of the generator's losses (D,) against each discriminator."""


class GanLoss(Protocol):
    """What discriminators and generator minimise, and the optimisers that suit them."""

    @property
    def critic_steps(self) -> int:
        """Steps of each discriminator for one of the generator, at least 1."""

    @property
    def regularisation_interval(self) -> int:
        """Every so many steps of a discriminator `regularisation` is due, and then weighs as many times as much."""

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """What a discriminator minimises, without `regularisation`: a scalar, of two batches of logits (B,)."""

    def generator_loss(self, fake_logits: Tensor) -> Tensor:
        """What the generator minimises against one discriminator: a scalar, of logits (B,)."""

    def regularisation(
        self, discriminator: nn.Module, real: Tensor, fake: Tensor, *, generator: torch.Generator | None
    ) -> Tensor:
        """A scalar that is added to the discriminator's loss, of images (B, 1, S, S); chance is `generator`'s."""

    def constrain(self, discriminator: nn.Module) -> None:
        """Restricts the discriminator's weights, in place, after its optimiser's step."""

    def discriminator_optimiser(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """An optimiser of a discriminator's parameters."""

    def generator_optimiser(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """An optimiser of the generator's parameters."""


class GanRegulariser(Protocol):
    """What keeps a discriminator smooth; a part of the adversarial loss."""

    @property
    @may_lack
    def interval(self) -> int:
        """Steps of the discriminator from one penalty to the next; 1 where it is not told."""

    def penalty(
        self, discriminator: nn.Module, real: Tensor, fake: Tensor, generator: torch.Generator | None
    ) -> Tensor:
        """A scalar that is added to the discriminator's loss, of images (B, 1, S, S); chance is `generator`'s."""

    def constrain(self, discriminator: nn.Module) -> None:
        """Restricts the discriminator's weights, in place, after its optimiser's step."""


class GanAugmentation(Protocol):
    """What discriminators see in an image's place, real and generated alike."""

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Changed images (B, 1, S, S), of ones in [-1, 1]; gradients flow through to these."""


CONTRACTS: dict[str, type] = {
    "acceptance": Acceptance,
    "augmentation": Augmentation,
    "calibration": Calibration,
    "data_mix": DataMix,
    "discriminator": Discriminator,
    "discriminator_ensemble": DiscriminatorEnsemble,
    "entropy": Entropy,
    "gan_augmentation": GanAugmentation,
    "gan_loss": GanLoss,
    "gan_regulariser": GanRegulariser,
    "generator": Generator,
    "labelling": Labelling,
    "prominence_schedule": ProminenceSchedule,
    "recombination": Recombination,
    "segmentation_loss": SegmentationLoss,
    "teacher": Teacher,
    "unet": Unet,
    "voting": Voting,
}
