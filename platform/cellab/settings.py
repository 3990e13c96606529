"""The typed sections of a trial's configuration that are not components: names, types and allowed ranges."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from cellab.data.hiding_plan import Hiding
from cellab.plain import PlainMapping

LARGEST = 10**9  # of what is counted: more is a slip of the keyboard, and overflows somewhere
LARGEST_SEED = 2**63 - 1  # that the table of results can hold
MOST_STAGES = 1000  # members a generation, and generations


def _names_a_target(value: PlainMapping) -> PlainMapping:
    if "_target_" not in value:
        raise ValueError
    return value


def target_of(component: PlainMapping) -> str:
    """The name of the class or function that a component's configuration names."""
    return str(component["_target_"])


Count = Annotated[int, Field(ge=1, le=LARGEST)]
Share = Annotated[float, Field(ge=0, le=1)]
Scale = Annotated[float, Field(gt=0)]
Component = Annotated[PlainMapping, AfterValidator(_names_a_target), "a mapping with a `_target_`"]


@dataclass(frozen=True)
class Data:
    """Where the data set is, and the scales of it that are used."""

    path: str
    scale: Scale
    labels: Literal["given", "truth"]
    hidden_share: Share | None
    hidden_seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)]
    gan_scale: Scale

    @property
    def hiding(self) -> Hiding | None:
        """What is hidden of the training masks, if anything is."""
        return None if self.hidden_share is None else Hiding((self.hidden_share,), self.hidden_seed)


@dataclass(frozen=True)
class Training:
    """How one member is trained."""

    steps: Count
    batch_size: Annotated[int, Field(ge=2, le=LARGEST)]  # batch norm needs two values a channel at a 1 x 1 bottleneck
    crop_size: Count
    max_tries: Count
    optimiser: Component
    learning_rate_schedule: Component | None


@dataclass(frozen=True)
class PseudoLabels:
    """How pseudo-labels are made and kept (paper 4.2)."""

    capacity: Count
    minimum: Count
    refresh_probability: Share
    batch_size: Count
    max_tries: Count
    refresh_tries: Count
    least_yield: Share
    minimum_prominence: Share | None

    def __post_init__(self) -> None:
        if self.minimum > self.capacity:
            raise ValueError(f"minimum: {self.minimum} pairs do not fit a capacity of {self.capacity}.")


@dataclass(frozen=True)
class Gan:
    """How the lineage's generator is trained (paper 4.3, 8)."""

    steps: Count
    batch_size: Count
    samples: Count
    crop_augmentation: Component


@dataclass(frozen=True)
class Evaluation:
    """How full frames are predicted and what is kept of them (paper 9)."""

    tile: Count
    overlap: Annotated[float, Field(ge=0, lt=1)]
    batch_size: Count
    train_frames: Count | None
    voting: Component
    overlays: Annotated[int, Field(ge=0, le=LARGEST)]


@dataclass(frozen=True)
class Resources:
    """What one stage may use."""

    device: Literal["auto", "cpu", "cuda"]
    threads: Annotated[int, Field(ge=1, le=1024)]
    gpu_share: Annotated[float, Field(gt=0, le=1)]
    stage_seconds: Annotated[float, Field(gt=0, le=LARGEST)] | None
    stall_seconds: Annotated[float, Field(gt=0, le=LARGEST)] | None


@dataclass(frozen=True)
class Lineage:
    """The numbers of a lineage (paper 3)."""

    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)]
    generations: Annotated[int, Field(ge=1, le=MOST_STAGES)]
    members: Annotated[int, Field(ge=1, le=MOST_STAGES)]
    equal_compute: bool
    precision: Literal["float32", "bfloat16"]
    sharing: bool
    executor: Literal["ray", "inline"]


@dataclass(frozen=True)
class TrialConfig:
    """The configuration of a trial: its sections, checked, and the components of each kind.

    Args:
        lineage: what stands at the top of it.
        data: and so on: the sections by their names.
        components: by kind, their arguments checked.
    """

    lineage: Lineage
    data: Data
    training: Training
    pseudo_labels: PseudoLabels
    gan: Gan
    evaluation: Evaluation
    resources: Resources
    components: dict[str, Component]

    @property
    def plain(self) -> PlainMapping:
        """All of it as plain dicts and lists, under the keys of `trial.yaml`."""
        sections = {name: asdict(getattr(self, name)) for name in SECTIONS if name != LINEAGE}
        return asdict(self.lineage) | sections | self.components


Section = Data | Training | PseudoLabels | Gan | Evaluation | Resources | Lineage

LINEAGE = ""  # the section whose keys stand at the top of a configuration
SECTIONS: dict[str, Callable[..., Section]] = {
    LINEAGE: Lineage,
    "data": Data,
    "training": Training,
    "pseudo_labels": PseudoLabels,
    "gan": Gan,
    "evaluation": Evaluation,
    "resources": Resources,
}
