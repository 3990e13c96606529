"""Tells what values the keys of a trial's configuration take."""

from typing import Any

from cellab import components
from cellab.plain import PlainMapping
from cellab.settings import LINEAGE, SECTIONS
from cellab.signatures import annotations
from cellab.targets import resolve
from cellab.values import ANYTHING, convert


def annotation_in(config: PlainMapping, key: str) -> Any:
    """The annotation of a dotted key in a composed configuration; anything goes where none is known.

    Args:
        config: with the chosen components under their kinds.
        key: of a section, or of an argument of whatever names a `_target_`.
    """
    *parents, last = key.split(".")
    here: Any = config
    for parent in parents:
        here = here.get(parent) if isinstance(here, dict) else None
    if parents and isinstance(here, dict) and isinstance(here.get("_target_"), str) and not last.startswith("_"):
        return annotations(resolve(here["_target_"], ".".join(parents))).get(last, ANYTHING)
    section = SECTIONS.get(".".join(parents) or LINEAGE)
    return annotations(section).get(last, ANYTHING) if section else ANYTHING


def as_wanted(key: str, value: Any, defaults: PlainMapping) -> Any:
    """A value as its key wants it, for comparing and naming: `"2"` is 2; itself where it does not fit, or is equal.

    Args:
        key: of a trial's configuration.
        value: as an ablation file says it.
        defaults: the configuration without overrides.
    """
    try:
        converted = convert(value, _annotation(key, defaults))
    except ValueError:
        return value
    is_same = converted == value and isinstance(value, int) and isinstance(value, bool) == isinstance(converted, bool)
    return value if is_same else converted


def _annotation(key: str, defaults: PlainMapping) -> Any:
    """Of a key that several components of a kind may have: theirs if they agree."""
    kind, _, rest = key.partition(".")
    if not rest or kind not in components.kinds():
        return annotation_in(defaults, key)
    configs = [each.config for each in components.catalogue().values() if each.kind == kind]
    found = {annotation_in({kind: config}, key) for config in configs if rest.partition(".")[0] in config}
    return found.pop() if len(found) == 1 else ANYTHING
