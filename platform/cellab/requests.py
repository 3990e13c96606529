"""What each kind of stage is asked and what it gives: typed, without torch; and how a request becomes JSON.

A request holds all that a stage's result depends on but the code, and nothing else: what is not in it must not change
a byte, so that trials share every stage that does not differ between them.
"""

from dataclasses import dataclass, fields, is_dataclass

from cellab.data.hiding_plan import Hiding
from cellab.settings import Component, Evaluation, Gan, PseudoLabels, Training
from cellab.training.names import Counters

Series = dict[str, list[float]]  # of a training's losses: the last step of each stretch under `step`, and means


@dataclass(frozen=True)
class StoredFrames:
    """The frames that a stage reads.

    Args:
        digest: of the data set's content.
        scale: of it.
        hiding: what is hidden of its training masks, if anything is.
    """

    digest: str
    scale: float
    hiding: Hiding | None = None


@dataclass(frozen=True)
class Compute:
    """What a stage computes with; sums differ with either.

    Args:
        device: ``"cpu"`` or ``"cuda"``.
        threads: of the CPU.
        precision: of U-Nets' layers: ``"float32"`` or ``"bfloat16"``.
    """

    device: str
    threads: int
    precision: str


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
class GanTrained:
    """A generator was trained; its weights and samples are files.

    Args:
        history: of the losses.
    """

    history: Series


@dataclass(frozen=True)
class Prominence:
    """How much of a mask crops must show.

    Args:
        least: mean of the mask, in [0, 1].
        share: of the crops that must, in [0, 1]; the others are taken as they come.
    """

    least: float
    share: float

    def of_generated(self, settings: PseudoLabels) -> "Prominence":
        """Of the pseudo-labels of generated crops, which have no given mask: the same, unless there is a minimum."""
        minimum = settings.minimum_prominence
        return self if minimum is None else Prominence(minimum, 1.0)


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
class Tiles:
    """How full frames are predicted.

    Args:
        tile: side, in pixels.
        overlap: share of a tile that it has in common with its neighbour.
        batch_size: tiles at once.
    """

    tile: int
    overlap: float
    batch_size: int


@dataclass(frozen=True)
class Calibrate:
    """Finds from which probability on the members of a generation see a cell.

    Args:
        data: the frames.
        compute: what it computes with.
        unet: what the members are.
        members: keys of the stages that trained them.
        voting: of the members.
        calibration: how the cut is found, and on which frames.
        tiles: how these are predicted.
    """

    data: StoredFrames
    compute: Compute
    unet: Component
    members: tuple[str, ...]
    voting: Component
    calibration: Component
    tiles: Tiles


@dataclass(frozen=True)
class Estimate:
    """What given masks tell of one network, or of several that vote.

    Args:
        label_frequency: mean probability on given positives, weighted as the calibration weights objects.
        cut: the probability from which on a pixel is a cell.
        scores: recall on given positives, weighted likewise, squared over the share of pixels called positive, for each
            of the probabilities at which 0 to 1 is cut into as many parts.
    """

    label_frequency: float
    cut: float
    scores: list[float]


@dataclass(frozen=True)
class Calibrated:
    """The members of a generation were calibrated.

    Args:
        vote: of all of them.
        members: of each by itself.
    """

    vote: Estimate
    members: tuple[Estimate, ...]


@dataclass(frozen=True)
class SourceReport:
    """What a source of pseudo-labelled crops went through while a member was trained.

    Args:
        counters: of its crops.
        dice_accepted: of the accepted pseudo-labels against the truth; None where there is none of either.
        dice_rejected: of the rejected ones.
        threshold: of the gate, over time.
    """

    counters: Counters
    dice_accepted: float | None
    dice_rejected: float | None
    threshold: list[float]


@dataclass(frozen=True)
class LabelFrames:
    """Has the members of a generation label some of the training frames, for those of the next.

    Args:
        data: the frames.
        compute: what it computes with.
        unet: what the members are.
        members: keys of the stages that trained them.
        voting: of theirs.
        tiles: how frames are predicted.
        part: which frames: of every `parts` consecutive ones this one, counted from 0.
        parts: among how many stages they are divided.
    """

    data: StoredFrames
    compute: Compute
    unet: Component
    members: tuple[str, ...]
    voting: Component
    tiles: Tiles
    part: int
    parts: int


@dataclass(frozen=True)
class FramesLabelled:
    """Frames were labelled; the probabilities are a file.

    Args:
        frames: how many.
    """

    frames: int


@dataclass(frozen=True)
class LabelGenerated:
    """Has the members of a generation label images of a generator, for those of the next.

    Args:
        data: of the lineage.
        compute: what it computes with.
        seed: of the noise.
        unet: what the members are.
        members: keys of the stages that trained them.
        calibrated: key of the stage that calibrated them, or None.
        voting: of theirs.
        entropy: what the gate looks at.
        acceptance: the gate.
        generated: the generator.
        prominence: of pseudo-labels.
        size: side of the images, in pixels: that of members' crops.
        batch_size: images at once.
        labelling: how many, of how many.
    """

    data: StoredFrames
    compute: Compute
    seed: int
    unet: Component
    members: tuple[str, ...]
    calibrated: str | None
    voting: Component
    entropy: Component
    acceptance: Component
    generated: Generated
    prominence: Prominence
    size: int
    batch_size: int
    labelling: Component


@dataclass(frozen=True)
class GeneratedLabelled:
    """Generated images were labelled; those that were accepted are a file.

    Args:
        report: what became of them.
    """

    report: SourceReport


@dataclass(frozen=True)
class Labels:
    """What was labelled once for all members of a generation.

    Args:
        frames: keys of the stages that labelled the training frames, by parts.
        generated: key of the one that labelled generated images, if any are wanted.
    """

    frames: tuple[str, ...]
    generated: str | None

    @property
    def keys(self) -> list[str]:
        """Of all of them."""
        return [*self.frames, *([self.generated] if self.generated else [])]


@dataclass(frozen=True)
class PseudoLabelling:
    """How crops get labels that no mask gives (paper 4.2).

    Args:
        teacher: who labels.
        parents: keys of the stages that trained the previous generation; none where the teacher needs none, or they
            have labelled before.
        labels: what they have labelled, if they have.
        voting: of the parents, or the teacher.
        calibrated: key of the stage that calibrated the parents; None: a pixel is a cell from one half on.
        entropy: what the gate looks at.
        acceptance: the gate.
        recombination: of pseudo-labels with given masks.
        prominence: of the given masks of real crops, and of the pseudo-labels of generated ones by default.
        generated: where generated crops come from, if any are wanted.
        settings: sizes, tries and probabilities.
    """

    teacher: Component
    parents: tuple[str, ...]
    labels: Labels | None
    voting: Component
    calibrated: str | None
    entropy: Component
    acceptance: Component
    recombination: Component
    prominence: Prominence
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
        prominence: of labelled crops.
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
    prominence: Prominence
    pseudo_labelling: PseudoLabelling | None
    settings: Training


@dataclass(frozen=True)
class MemberTrained:
    """A member was trained; its weights are a file.

    Args:
        history: of the loss.
        pseudo_labels: of each source of them, by its name.
    """

    history: Series
    pseudo_labels: dict[str, SourceReport]


@dataclass(frozen=True)
class Evaluate:
    """Scores the members of a generation on full frames (paper 9).

    Args:
        data: the frames.
        compute: what it computes with.
        unet: what the members are.
        members: keys of the stages that trained them.
        calibrated: key of the stage that calibrated them; None: a pixel is a cell from one half on.
        settings: tiles, vote, and what is kept.
    """

    data: StoredFrames
    compute: Compute
    unet: Component
    members: tuple[str, ...]
    calibrated: str | None
    settings: Evaluation


@dataclass(frozen=True)
class Measurement:
    """One metric of a generation.

    Args:
        split: of the frames.
        reference: what predictions are compared with: ``"given"`` or ``"truth"``.
        average: how frames are put together: ``"micro"`` or ``"macro"``.
        metric: its name.
        value: in [0, 1]; the score of given masks alone, at least 0.
    """

    split: str
    reference: str
    average: str
    metric: str
    value: float


@dataclass(frozen=True)
class Evaluated:
    """A generation was evaluated; pictures of some frames are a file."""

    rows: tuple[Measurement, ...]


Request = TrainGan | TrainMember | Calibrate | LabelFrames | LabelGenerated | Evaluate
Result = GanTrained | MemberTrained | Calibrated | FramesLabelled | GeneratedLabelled | Evaluated


def as_json(request: Request) -> dict[str, object]:
    """A request as plain values; components' configurations are shared with it, not copied."""
    return {field.name: _plain(getattr(request, field.name)) for field in fields(request)}


def _plain(value: object) -> object:
    """What `dataclasses.asdict` gives, which copies every value of every component, and takes ten times as long."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if not is_dataclass(value):
        return value
    return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
