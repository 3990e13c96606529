"""Sees that a configuration names no code but components and what torch makes networks and optimisers of.

A configuration may be somebody else's: what it names by `_target_` is imported and called.
"""

import functools
from collections.abc import Iterator
from typing import Any

from cellab import components
from cellab.values import Mistake

OF_TORCH = ("torch.nn", "torch.optim")  # other parts of it load files, compile and start processes


def untrusted(config: Any) -> Iterator[Mistake]:
    """What a resolved configuration names that it may not; imports none of it.

    Args:
        config: of a trial, or a part of it.
    """
    for where, target in _named(config):
        if not _is_trusted(target):
            packages = ", ".join((*_packages(), *OF_TORCH))
            says = (
                f"`_target_: {target}` is refused, since whatever is named is run: a configuration may name "
                f"what is in {packages}. If you know who wrote it, and trust them, add --trust."
            )
            yield Mistake(where, says)


def _is_trusted(target: str) -> bool:
    within = (*_packages(), *OF_TORCH)
    return target.startswith(tuple(f"{package}." for package in within)) or target in _of_components()


def _packages() -> tuple[str, ...]:
    """Those that offer components."""
    return tuple(sorted({package.module for package in components.packages()}))


@functools.cache
def _of_components() -> frozenset[str]:
    """What installed components' own YAMLs name, of whatever package."""
    return frozenset(target for component in components.catalogue().values() for _, target in _named(component.config))


def _named(value: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """What a value and all within it name, with their dotted keys."""
    if isinstance(value, dict) and "_target_" in value:
        yield where, str(value["_target_"])
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _named(item, f"{where}.{key}" if where else str(key))
