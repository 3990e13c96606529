"""Checks of constructor arguments: each failure names the argument, its value and what is allowed."""

from collections.abc import Sequence

LARGEST = 10**9  # whole number: larger ones overflow somewhere


def at_least(name: str, value: int, minimum: int, maximum: int = LARGEST) -> int:
    """The value, if it is a whole number of at least `minimum` and at most `maximum`; ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
        raise ValueError(
            f"{name}: {value!r} is not allowed; it must be a whole number of at least {minimum}"
            f"{f' and at most {maximum}' if isinstance(value, int) and value > maximum else ''}."
        )
    return value


def between(name: str, value: float, low: float, high: float, *, open_high: bool = False) -> float:
    """The value, if it lies in [low, high] ([low, high) where `open_high`); ValueError otherwise."""
    inside = _is_number(value) and low <= value <= high and not (open_high and value == high)
    if not inside:
        raise ValueError(
            f"{name}: {value!r} is not allowed; it must lie in "
            f"[{low:g}, {high:g}{')' if open_high or high == float('inf') else ']'}."
        )
    return value


def positive(name: str, value: float) -> float:
    """The value, if it is a finite number above 0; ValueError otherwise."""
    if not (_is_number(value) and 0 < value < float("inf")):
        raise ValueError(f"{name}: {value!r} is not allowed; it must be a finite number above 0.")
    return value


def numbers(name: str, values: Sequence[float]) -> list[float]:
    """The values, if they are a list of at least one number; ValueError otherwise."""
    if isinstance(values, str) or not isinstance(values, Sequence) or not values or not all(map(_is_number, values)):
        raise ValueError(f"{name}: {values!r} is not allowed; it must be a list of at least one number, such as [0.5].")
    return list(values)


def interval(name: str, values: Sequence[float], low: float, high: float) -> tuple[float, float]:
    """The pair of values, if `low <= first <= second <= high`; ValueError otherwise."""
    pair = numbers(name, values)
    if len(pair) != 2 or not low <= pair[0] <= pair[1] <= high:
        raise ValueError(
            f"{name}: {pair!r} is not allowed; it must be [low, high] with {low:g} <= low <= high <= {high:g}."
        )
    return pair[0], pair[1]


def boolean(name: str, value: bool) -> bool:
    """The value, if it is true or false; ValueError otherwise."""
    if not isinstance(value, bool):
        raise ValueError(f"{name}: {value!r} is not allowed; it must be true or false.")
    return value


def power_of_two(name: str, value: int, minimum: int) -> int:
    """The value, if it is a power of two of at least `minimum`; ValueError otherwise."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or value < minimum or value & (value - 1):
        raise ValueError(f"{name}: {value!r} is not allowed; it must be a power of two of at least {minimum}.")
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
