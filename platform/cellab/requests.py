"""What each kind of stage is asked: typed, without torch, and the one function that makes JSON of it.

A request holds all that a stage's result depends on but the code, and nothing else: what is not in it must not change
a byte, so that trials share every stage that does not differ between them.
"""

from dataclasses import asdict, dataclass

from cellab.settings import Component, Evaluation, Gan, PseudoLabels, Training


@dataclass(frozen=True)
class StoredFrames:
    """The frames that a stage reads.

    Args:
        digest: of the data set's content.
        scale: of it.
    """

    digest: str
    scale: float


@dataclass(frozen=True)
class Compute:
    """What a stage computes with; sums differ with either.

    Args:
        device: ``"cpu"`` or ``"cuda"``.
        threads: of the CPU.
    """

    device: str
    threads: int


@dataclass(frozen=True)
class TrainGan:
    """Trains a lineage's generator (paper 4.3, 6-8).

    Args:
        data: its training frames.
        compute: what it computes with.
        seed: of initialisation, crops and noise.
        generator: what is trained.
        discriminator: against how many of what.
        discriminator_ensemble: likewise.
        gan_loss: by which loss, regulariser and optimisers.
        gan_augmentation: of what discriminators see.
        settings: steps and sizes.
    """

    data: StoredFrames
    compute: Compute
    seed: int
    generator: Component
    discriminator: Component
    discriminator_ensemble: Component
    gan_loss: Component
    gan_augmentation: Component
    settings: Gan


@dataclass(frozen=True)
class Generated:
    """Images of a lineage's generator.

    Args:
        key: of the stage that trained it.
        generator: what that trained.
    """

    key: str
    generator: Component


@dataclass(frozen=True)
class PseudoLabelling:
    """How crops get labels that no mask gives (paper 4.2).

    Args:
        teacher: who labels.
        parents: keys of the stages that trained the previous generation; none where the teacher needs none.
        voting: of the parents, or the teacher.
        entropy: what the gate looks at.
        acceptance: the gate.
        recombination: of pseudo-labels with given masks.
        prominence: least of the given masks of real crops, and of the pseudo-labels of generated ones by default.
        generated: where generated crops come from, if any are wanted.
        settings: sizes, tries and probabilities.
    """

    teacher: Component
    parents: tuple[str, ...]
    voting: Component
    entropy: Component
    acceptance: Component
    recombination: Component
    prominence: float
    generated: Generated | None
    settings: PseudoLabels


@dataclass(frozen=True)
class TrainMember:
    """Trains one member of a generation from scratch (paper 3, 4).

    Args:
        data: its training frames.
        compute: what it computes with.
        seed: of initialisation, crops, dropout and draws.
        unet: what is trained; the parents are of the same.
        segmentation_loss: by which loss.
        augmentation: of crops.
        labels: ``"given"`` masks, or the ``"truth"``.
        shares: of a batch's sources; they add up to 1.
        prominence: least of labelled crops.
        pseudo_labelling: how the sources but the labelled one are labelled; None where there is none.
        settings: steps, sizes and optimiser.
    """

    data: StoredFrames
    compute: Compute
    seed: int
    unet: Component
    segmentation_loss: Component
    augmentation: Component
    labels: str
    shares: dict[str, float]
    prominence: float
    pseudo_labelling: PseudoLabelling | None
    settings: Training


@dataclass(frozen=True)
class Evaluate:
    """Scores the members of a generation on full frames (paper 9).

    Args:
        data: the frames.
        compute: what it computes with.
        unet: what the members are.
        members: keys of the stages that trained them.
        settings: tiles, vote, and what is kept.
    """

    data: StoredFrames
    compute: Compute
    unet: Component
    members: tuple[str, ...]
    settings: Evaluation


Request = TrainGan | TrainMember | Evaluate


def as_json(request: Request) -> dict[str, object]:
    """A request as plain values."""
    return asdict(request)
