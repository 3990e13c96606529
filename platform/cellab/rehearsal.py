"""Rehearses what stages do with a trial's components, in small, so that what they reject is told before any compute."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cellab import components
from cellab.building import BUILD_ERRORS
from cellab.contracts import CONTRACTS
from cellab.errors import ConfigError
from cellab.plain import PlainMapping, mapping
from cellab.settings import Training, TrialConfig

GREY = 1  # channels of a frame


def build_all(config: TrialConfig) -> tuple[dict[str, object], list[str]]:
    """Builds every component once, networks without memory, so that each rejects impossible arguments itself.

    Each must keep its kind's contract too.

    Returns:
        The components by kind, those that cannot be built left out; and one sentence per mistake.
    """
    import torch

    built: dict[str, object] = {}
    mistakes: list[str] = []
    wanted = [(kind, kind, described) for kind, described in config.components.items()]
    wanted += [  # those inside sections
        ("gan.crop_augmentation", "augmentation", config.gan.crop_augmentation),
        ("evaluation.voting", "voting", config.evaluation.voting),
    ]
    with torch.device("meta"):
        for where, kind, described in wanted:
            try:
                built[where] = components.instantiate(described, where, CONTRACTS.get(kind))
            except ConfigError as error:
                mistakes += error.mistakes
    for kind in ("unet", "discriminator"):
        channels = getattr(built.get(kind), "in_channels", GREY)
        if channels != GREY:
            mistakes.append(f"{kind}.in_channels: {channels} is not allowed; it must be 1: frames are grey.")
    return built, mistakes


def member_mistakes(training: Training) -> list[str]:
    """What a member's optimiser and schedule reject, or do that no training should: one sentence per mistake.

    Args:
        training: the section of a configuration.
    """
    mistakes: list[str] = []
    described, where = training.optimiser, "training.optimiser"
    with _telling(mistakes, described, where):
        optimiser = components.instantiate(described, where)(_weights())
        optimiser.step()
        mistakes += _rate_mistakes(optimiser, where)
    scheduled, where = training.learning_rate_schedule, "training.learning_rate_schedule"
    if mistakes or scheduled is None:
        return mistakes
    with _telling(mistakes, scheduled, where):
        schedule = components.instantiate(scheduled, where)(optimiser)
        planned, steps = getattr(schedule, "total_steps", None), training.steps
        if isinstance(planned, int) and planned < steps:
            mistakes.append(f"{where}: it ends after {planned} steps, and training.steps is {steps}.")
        mistakes += _rate_mistakes(optimiser, where)
        optimiser.step()
        schedule.step()
    return mistakes


def gan_mistakes(config: PlainMapping, adversarial: Any) -> list[str]:
    """The same of the optimisers that an adversarial loss makes.

    Args:
        config: of the loss, resolved.
        adversarial: the loss.
    """
    mistakes: list[str] = []
    where = "gan_loss.optimiser" if "optimiser" in config else "gan_loss"
    for make in (adversarial.generator_optimiser, adversarial.discriminator_optimiser):
        with _telling(mistakes, mapping(config.get("optimiser", config)), where):
            optimiser = make(_weights())
            optimiser.step()
            mistakes += _rate_mistakes(optimiser, where)
    return list(dict.fromkeys(mistakes))  # one for both, where they are made alike


@contextmanager
def _telling(mistakes: list[str], described: PlainMapping, where: str) -> Iterator[None]:
    """Adds what goes wrong in the block to the mistakes."""
    try:
        yield
    except ConfigError as error:
        mistakes += error.mistakes
    except BUILD_ERRORS as error:
        mistakes.append(components.rejection(described, where, error))


def _weights() -> list[Any]:
    import torch

    weight = torch.nn.Parameter(torch.zeros(1, 1))
    weight.grad = torch.zeros(1, 1)
    return [weight]


def _rate_mistakes(optimiser: Any, where: str) -> Iterator[str]:
    """A learning rate below 0 unlearns, and PyTorch's schedules let it pass."""
    for group in optimiser.param_groups:
        for name in ("lr", "initial_lr", "max_lr", "min_lr"):
            rate = float(group.get(name, 0.0))
            if not 0 <= rate < math.inf:
                yield f"{where}: it makes {name} {rate:g}; a learning rate must be a finite number of at least 0."
                return
