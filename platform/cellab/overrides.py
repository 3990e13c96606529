"""Reads Hydra overrides as people type them, and says what is wrong with those that do not fit."""

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override as HydraOverride
from hydra.core.override_parser.types import RangeSweep, ValueType
from hydra.errors import HydraException

from cellab.errors import ConfigError
from cellab.names import did_you_mean
from cellab.plain import PlainMapping

PLAIN = re.compile(r"[A-Za-z_./][\w./-]*", re.ASCII)  # a word that Hydra's grammar does not take for a number
WORDS = {"null", "true", "false", "nan", "inf"}  # nor for a value of another type
LONGEST_RANGE = 10_000  # of a range that is written out
_ASSIGNMENT = re.compile(r"(\+{0,2})([A-Za-z_][\w.-]*)=(.*)", re.DOTALL)


@dataclass(frozen=True)
class Override:
    """One parsed override: `key=value`, `+key=value` or `++key=value` (adds), or `~key` (removes).

    Args:
        text: in Hydra's grammar.
        key: dotted.
        value: as Hydra reads it; of a sweep, the list of its values; the text itself where the grammar refuses it.
        adds: whether the key may be new.
        removes: whether it goes.
        raw: what was written after the equals sign.
        sweeps: whether Hydra takes it for several values, such as `a,b` or `range(0,5)`.
        refused: whether Hydra's grammar does not know what was written.
    """

    text: str
    key: str
    value: Any
    adds: bool
    removes: bool
    raw: str
    sweeps: bool = False
    refused: bool = False

    def as_text(self) -> "Override":
        """The same of a key that takes a text: what was written, unless Hydra reads a text or null in it anyhow."""
        if self.removes or (not self.sweeps and (self.value is None or isinstance(self.value, str))):
            return replace(self, refused=False)
        return replace(self, text=f"{self._before}={quoted(self.raw)}", value=self.raw, sweeps=False, refused=False)

    @property
    def mistake(self) -> str | None:
        """A sentence that rejects a sweep, or a list or mapping that Hydra cannot read; for keys that take no text."""
        if self.sweeps:
            return f"{self._before}={self.raw}: it sweeps over several values: write a list, [..], or make it a factor."
        if self.refused and self.raw[:1] in ("[", "{"):
            command = shlex.quote(f"{self._before}={_with_quotes(self.raw)}")
            return (
                f"{self._before}={self.raw}: Hydra cannot read it. Within a list, what holds = , : # ( ) or letters "
                f"beyond a to z needs quotation marks, and the whole override needs others: {command}"
            )
        return None

    @property
    def _before(self) -> str:
        return self.text.partition("=")[0]


def parse(texts: Iterable[str]) -> list[Override]:
    """Parses overrides.

    A value that Hydra's grammar refuses, such as `a=b.h5`, `c (1).h5` or `é.h5`, is taken as it is written.

    Raises:
        ConfigError: those that are not of the form, all of them.
    """
    parser = OverridesParser.create()
    found, mistakes = [], []
    for text in texts:
        try:
            found.append(_parsed(parser, text))
        except HydraException:
            if (written := _ASSIGNMENT.fullmatch(text)) is None:
                mistakes.append(
                    f"{text!r} is not an override: write key=value, e.g. data.path=cells.h5 or seeds=[0,1]."
                )
                continue
            sign, key, raw = written.groups()
            escaped = f"{sign}{key}={quoted(raw)}"
            found.append(Override(escaped, key, raw, adds=bool(sign), removes=False, raw=raw, refused=True))
    if mistakes:
        raise ConfigError(mistakes)
    return found


def _parsed(parser: OverridesParser, text: str) -> Override:
    parsed = parser.parse_override(text)
    return Override(
        text=text,
        key=parsed.key_or_group,
        value=_listed(parser, parsed) if parsed.is_sweep_override() else parsed.value(),
        adds=parsed.is_add() or parsed.is_force_add(),
        removes=parsed.is_delete(),
        raw=text.partition("=")[2],
        sweeps=parsed.is_sweep_override(),
    )


def _listed(parser: OverridesParser, parsed: HydraOverride) -> Any:
    """The values of a sweep; what was written where they cannot be told."""
    swept, written = parsed.value(), parsed.get_value_string()
    if parsed.value_type is ValueType.SIMPLE_CHOICE_SWEEP:
        return parser.parse_override(f"key=[{written}]").value()
    if isinstance(swept, RangeSweep):
        values = swept.range()
        if isinstance(values, range) and len(values) <= LONGEST_RANGE:
            return list(values)
    return written


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
    return value if PLAIN.fullmatch(value) and value.lower() not in WORDS else quoted(value)


def quoted(text: str) -> str:
    """A text in quotation marks as Hydra reads them: a backslash counts only before a quotation mark."""
    return '"' + re.sub(r'(\\*)("|\Z)', lambda found: 2 * found[1] + ('\\"' if found[2] else ""), text) + '"'


def _with_quotes(raw: str) -> str:
    """A list as it should have been written, where that can be told; else an example."""
    inside = raw[1:-1]
    if not (raw.startswith("[") and raw.endswith("]")) or any(mark in inside for mark in "[]{}\"'"):
        return '["a=b","c (1)"]'
    return render_value([item.strip() for item in inside.split(",")])


def unknown_key(key: str, config: PlainMapping) -> str | None:
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
