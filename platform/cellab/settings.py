"""The typed sections of a trial's configuration that are not components: names, types and allowed ranges."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException

EXECUTORS = ("ray", "inline")
DEVICES = ("auto", "cpu", "cuda")
LABELS = ("given", "truth")


def _at_least(section: Any, minimum: float, *names: str) -> Iterator[str]:
    for name in names:
        value = getattr(section, name)
        if value is not None and value < minimum:
            yield f"{name}: {value} is too small; it must be at least {minimum}."


def _one_of(section: Any, name: str, options: tuple[str, ...]) -> Iterator[str]:
    value = getattr(section, name)
    if value not in options:
        yield f"{name}: {value!r} is not one of {', '.join(options)}."


def _share(section: Any, name: str, *, below_one: bool = False) -> Iterator[str]:
    value = getattr(section, name)
    if not 0 <= value <= 1 or (below_one and value == 1):
        yield f"{name}: {value} is not a share; it must lie in [0, 1{')' if below_one else ']'}."


def _raise(*checks: Iterable[str]) -> None:
    """Raises one error with a line for each mistake."""
    if mistakes := [mistake for check in checks for mistake in check]:
        raise ValueError("\n".join(mistakes))


@dataclass
class Data:
    """Where the data set is, and the scales of it that are used."""

    path: str = MISSING
    scale: float = 1.0
    gan_scale: float = 0.5
    labels: str = "given"

    def __post_init__(self) -> None:
        _raise(_one_of(self, "labels", LABELS))


@dataclass
class Training:
    """How one member is trained."""

    steps: int = MISSING
    batch_size: int = MISSING
    crop_size: int = MISSING
    max_tries: int = MISSING
    optimiser: dict[str, Any] = field(default_factory=dict)
    learning_rate_schedule: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        _raise(
            _at_least(self, 1, "steps", "crop_size", "max_tries"),
            _at_least(self, 2, "batch_size"),  # batch norm needs two values a channel where the bottleneck is 1 x 1
        )


@dataclass
class PseudoLabels:
    """How pseudo-labels are made and kept (paper 4.2)."""

    capacity: int = MISSING
    minimum: int = MISSING
    refresh_probability: float = MISSING
    batch_size: int = MISSING
    max_tries: int = MISSING
    refresh_tries: int = MISSING
    minimum_prominence: float | None = None

    def __post_init__(self) -> None:
        _raise(
            _at_least(self, 1, "capacity", "minimum", "batch_size", "max_tries", "refresh_tries"),
            _share(self, "refresh_probability"),
            [f"minimum: {self.minimum} pairs do not fit a capacity of {self.capacity}."]
            * (self.minimum > self.capacity),
        )


@dataclass
class Gan:
    """How the lineage's generator is trained (paper 4.3, 8)."""

    steps: int = MISSING
    batch_size: int = MISSING
    samples: int = MISSING
    crop_augmentation: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _raise(_at_least(self, 1, "steps", "batch_size", "samples"))


@dataclass
class Evaluation:
    """How full frames are predicted and what is kept of them (paper 9)."""

    tile: int = MISSING
    overlap: float = MISSING
    batch_size: int = MISSING
    train_frames: int | None = None
    overlays: int = MISSING
    voting: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _raise(
            _at_least(self, 1, "tile", "batch_size", "train_frames"),
            _at_least(self, 0, "overlays"),
            _share(self, "overlap", below_one=True),
        )


@dataclass
class Resources:
    """What one stage may use."""

    device: str = "auto"
    threads: int = 1
    gpu_share: float = 0.25

    def __post_init__(self) -> None:
        off = [f"gpu_share: {self.gpu_share} is not a share of one GPU; it must lie in (0, 1]."]
        _raise(
            _one_of(self, "device", DEVICES),
            _at_least(self, 1, "threads"),
            off * (not 0 < self.gpu_share <= 1),
        )


@dataclass
class Lineage:
    """The numbers of a lineage (paper 3)."""

    seed: int = 0
    generations: int = MISSING
    members: int = MISSING
    equal_compute: bool = False
    executor: str = "ray"

    def __post_init__(self) -> None:
        _raise(
            _at_least(self, 0, "seed"),
            _at_least(self, 1, "generations", "members"),
            _one_of(self, "executor", EXECUTORS),
        )


SECTIONS: dict[str, type] = {
    "data": Data,
    "training": Training,
    "pseudo_labels": PseudoLabels,
    "gan": Gan,
    "evaluation": Evaluation,
    "resources": Resources,
}


def check_sections(config: dict[str, Any]) -> list[str]:
    """Types and ranges of every section of a resolved trial configuration.

    Returns:
        One sentence per mistake, with its dotted key.
    """
    own = {key: config[key] for key in Lineage.__dataclass_fields__ if key in config}
    mistakes = _check("", Lineage, own)
    for name, section in SECTIONS.items():
        mistakes += _check(f"{name}.", section, config[name])
    return mistakes


def _check(prefix: str, section: type, values: dict[str, Any]) -> list[str]:
    try:
        OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(section), values))
    except OmegaConfBaseException as error:
        key = f"{prefix}{error.full_key or error.key}"
        return [f"{key}: {str(error.msg or error).partition(chr(10))[0]}"]
    except ValueError as error:
        return [f"{prefix}{line}" for line in str(error).splitlines()]
    return []
