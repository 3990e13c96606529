"""Reads the seeds of an ablation: a list of them, or how many."""

from typing import Annotated, Any

from pydantic import Field

from cellab.errors import ConfigError
from cellab.overrides import parse
from cellab.settings import LARGEST_SEED
from cellab.values import convert, shown

MOST = 1000  # seeds; a larger number is meant as a seed itself
_Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
_FORMS = "seeds=[0,1,2] names them, and seeds=3, or seeds=range(0,3), means the same three"


def read_seeds(value: Any) -> list[int]:
    """The seeds that a value means: of a number as many, from 0 on; of a list, each of it.

    Args:
        value: as an ablation file or an override says it; texts are read as overrides are.

    Raises:
        ValueError: it means none; the message says what would.
    """
    if isinstance(value, str):
        try:
            value = parse([f"seeds={value}"])[0].value
        except ConfigError as error:
            raise ValueError(f"{shown(value)} is not allowed: {_FORMS}.") from error
    if not isinstance(value, list):
        return list(range(_number_of_seeds(value)))
    if not value:
        raise ValueError(f"[] is not a list of at least one seed: {_FORMS}.")
    seeds = [convert(item, _Seed) for item in value]
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"{seeds} names a seed twice.")
    return seeds


def _number_of_seeds(value: Any) -> int:
    try:
        number = int(convert(value, int))
    except ValueError as error:
        raise ValueError(f"{shown(value)} is neither a list of seeds nor a number of them: {_FORMS}.") from error
    if number < 1:
        raise ValueError(f"{number} is no number of seeds, which must be at least 1: {_FORMS}.")
    if number > MOST:
        raise ValueError(f"{number} are more than {MOST} seeds; seeds=[{number}] is the one seed of that number.")
    return number
