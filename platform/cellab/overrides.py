"""Reads Hydra overrides as people type them, and says what is wrong with those that do not fit."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from cellab.errors import ConfigError
from cellab.names import did_you_mean

PLAIN = re.compile(r"[A-Za-z_./][\w./-]*")  # a word that Hydra's grammar does not take for a number
WORDS = {"null", "true", "false", "nan", "inf"}  # nor for a value of another type


@dataclass(frozen=True)
class Override:
    """One parsed override: `key=value`, `+key=value` or `++key=value` (adds), or `~key` (removes)."""

    text: str
    key: str
    value: Any
    adds: bool
    removes: bool


def parse(texts: Iterable[str]) -> list[Override]:
    """Parses overrides.

    Raises:
        ConfigError: those that are not of the form, all of them.
    """
    parser = OverridesParser.create()
    found, mistakes = [], []
    for text in texts:
        try:
            parsed = parser.parse_override(text)
        except HydraException:
            mistakes.append(f"{text!r} is not an override: write key=value, e.g. data.path=cells.h5 or seeds=[0,1].")
            continue
        if parsed.is_sweep_override():
            mistakes.append(f"{text!r} sweeps over several values: write a list, [..], or make it a factor.")
            continue
        adds = parsed.is_add() or parsed.is_force_add()
        found.append(Override(text, parsed.key_or_group, parsed.value(), adds, parsed.is_delete()))
    if mistakes:
        raise ConfigError(mistakes)
    return found


def last_of_each_key(overrides: Iterable[Override]) -> list[Override]:
    """Drops every override that a later one of the same key replaces; keeps the order of the survivors."""
    return list({override.key: override for override in overrides}.values())


def render(key: str, value: Any) -> str:
    """An override that sets a key to a value, in Hydra's grammar."""
    return f"{key}={render_value(value)}"


def render_value(value: Any) -> str:
    """A value in Hydra's grammar; plain words stay plain."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{','.join(render_value(item) for item in value)}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{render_value(item)}" for key, item in value.items()) + "}"
    if not isinstance(value, str):
        return str(value)
    return value if PLAIN.fullmatch(value) and value.lower() not in WORDS else json.dumps(value)


def unknown_key(key: str, config: dict[str, Any]) -> str | None:
    """A sentence that rejects a dotted key which a configuration does not have, or None where it has it."""
    here: Any = config
    parts = key.split(".")
    for depth, part in enumerate(parts):
        options = list(here) if isinstance(here, dict) else []
        if part not in options:
            known = [".".join([*parts[:depth], str(option)]) for option in options]
            return f"{key}: there is no such key{did_you_mean('.'.join(parts[: depth + 1]), known)}"
        here = here[part]
    return None
