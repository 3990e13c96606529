"""Sees that a configuration names no code but components and what torch makes networks and optimisers of.

A configuration may be somebody else's: what it names by `_target_` is imported and called.
"""

import functools
from collections.abc import Iterator
from typing import Any

from cellab import components
from cellab.values import Mistake

OF_TORCH = ("torch.nn", "torch.optim")  # other parts of it load files, compile and start processes


def untrusted(config: Any, where: str = "") -> Iterator[Mistake]:
    """What a resolved configuration names that it may not; imports none of it.

    Args:
        config: of a trial, or a part of it.
        where: its dotted key.
    """
    if isinstance(config, dict) and "_target_" in config and not _is_trusted(str(config["_target_"])):
        packages = ", ".join((*_packages(), *OF_TORCH))
        says = (
            f"`_target_: {config['_target_']}` is refused, since whatever is named is run: a configuration may name "
            f"what is in {packages}. If you know who wrote it, and trust them, add --trust."
        )
        yield Mistake(where, says)
    items = config.items() if isinstance(config, dict) else enumerate(config) if isinstance(config, list) else ()
    for key, value in items:
        yield from untrusted(value, f"{where}.{key}" if where else str(key))


def _is_trusted(target: str) -> bool:
    within = (*_packages(), *OF_TORCH)
    return target.startswith(tuple(f"{package}." for package in within)) or target in _of_components()


def _packages() -> tuple[str, ...]:
    """Those that offer components."""
    return tuple(sorted({package.module for package in components.packages()}))


@functools.cache
def _of_components() -> frozenset[str]:
    """What installed components' own YAMLs name, of whatever package."""
    return frozenset(_named([component.config for component in components.catalogue().values()]))


def _named(value: Any) -> Iterator[str]:
    if isinstance(value, dict) and "_target_" in value:
        yield str(value["_target_"])
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in items:
        yield from _named(item)
