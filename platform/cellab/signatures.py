"""Fits configurations to the signatures of what they name: names of arguments, and types of their values."""

import functools
import inspect
import types
import typing
from collections.abc import Callable
from typing import Any, Literal

from cellab.errors import CellabError
from cellab.names import did_you_mean
from cellab.plain import PlainMapping
from cellab.targets import resolve
from cellab.values import ANYTHING, Mistake, convert

_HYDRAS = {"_partial_": bool, "_recursive_": bool, "_convert_": Literal["none", "partial", "object", "all"]}


def fit(config: PlainMapping, where: str, given: tuple[str, ...] = ()) -> tuple[PlainMapping, list[Mistake]]:
    """Binds a configuration's arguments, and its nested configurations', to the signatures of their `_target_`s.

    Args:
        config: with `_target_`; keys that begin and end with an underscore are Hydra's.
        where: the dotted key of the configuration, for the messages.
        given: names of arguments that code will add.

    Returns:
        The configuration with its values converted by the signatures' annotations; and the mistakes.
    """
    try:
        target = resolve(str(config["_target_"]), where)
    except CellabError as error:
        return config, [*_nested_mistakes(config, where), Mistake(where, str(error).removeprefix(f"{where}: "))]
    return fit_arguments(target, config, where, given)


def fit_nested(value: Any, where: str) -> tuple[Any, list[Mistake]]:
    """The same for every configuration with a `_target_` inside a value; others have no signature."""
    if isinstance(value, dict) and "_target_" in value:
        return fit(value, where)
    if not isinstance(value, dict | list):
        return value, []
    items = value.items() if isinstance(value, dict) else enumerate(value)
    fitted = {key: fit_nested(item, _join(where, key)) for key, item in items}
    mistakes = [mistake for _, wrong in fitted.values() for mistake in wrong]
    if isinstance(value, list):
        return [item for item, _ in fitted.values()], mistakes
    return {key: item for key, (item, _) in fitted.items()}, mistakes


def fit_arguments(
    target: Callable[..., Any], arguments: PlainMapping, where: str, given: tuple[str, ...] = ()
) -> tuple[PlainMapping, list[Mistake]]:
    """The arguments as a class's or function's signature wants them, and what does not fit.

    Args:
        target: of the arguments.
        arguments: by name, resolved, Hydra's own among them.
        where: the dotted key that they are under, or the empty text.
        given: names of arguments that code will add.
    """
    wanted = annotations(target)
    fitted: PlainMapping = {}
    mistakes: list[Mistake] = []
    for name, value in arguments.items():
        key = _join(where, name)
        fitted[name], wrong = fit_nested(value, key)
        if not (_holds_target(value) or (isinstance(value, str) and "${" in value)):  # a reference, not resolved yet
            try:
                fitted[name] = convert(value, {**wanted, **_HYDRAS}.get(name, ANYTHING))
            except ValueError as error:
                wrong = [Mistake(key, str(error))]
        mistakes += wrong
    return fitted, [*mistakes, *_misnamed(target, arguments, where, given)]


def _misnamed(target: Callable[..., Any], arguments: PlainMapping, where: str, given: tuple[str, ...]) -> list[Mistake]:
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):  # written in C: it has none
        return []
    named = arguments.get("_target_", target.__qualname__)
    found = {key for key in arguments if not (key.startswith("_") and key.endswith("_"))} | set(given)
    allowed = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    unknown = sorted(found - set(allowed)) if not takes_any else []
    says = [
        Mistake(_join(where, name), f"{named} takes no such argument{did_you_mean(name, allowed)}") for name in unknown
    ]
    if not arguments.get("_partial_"):
        required = {p.name for p in parameters if p.default is p.empty and p.name in allowed}
        says += [Mistake(_join(where, name), f"{named} needs it.") for name in sorted(required - found)]
    return says


@functools.cache
def annotations(target: Callable[..., Any]) -> PlainMapping:
    """The annotation of each argument of a class or function; anything goes where none is known."""
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):
        return {}
    function = inspect.unwrap(getattr(target, "__init__") if isinstance(target, type) else target)  # noqa: B009 - for mypy
    names = getattr(function, "__globals__", {})
    return {p.name: ANYTHING if p.annotation is p.empty else _evaluated(p.annotation, names) for p in parameters}


def _evaluated(annotation: Any, names: PlainMapping) -> Any:
    """An annotation that may be written in quotation marks, of names that may be imported for type checkers only."""
    holder = types.SimpleNamespace(__annotations__={"it": annotation})
    try:
        hint = typing.get_type_hints(holder, names, include_extras=True)["it"]
        hash(hint)  # what cannot be a key of a cache raises a TypeError
    except (NameError, AttributeError, TypeError, SyntaxError):
        return ANYTHING
    return hint


def keyed(text: str, where: str, names: typing.Iterable[str]) -> Mistake:
    """What a constructor says against its arguments: `width: 0 is not allowed` under `unet` is about `unet.width`."""
    name, _, says = text.partition(": ")
    return Mistake(_join(where, name), says) if name in names else Mistake(where, text)


def _nested_mistakes(config: PlainMapping, where: str) -> list[Mistake]:
    return fit_nested({key: value for key, value in config.items() if key != "_target_"}, where)[1]


def _holds_target(value: Any) -> bool:
    if isinstance(value, dict):
        return "_target_" in value or any(map(_holds_target, value.values()))
    return isinstance(value, list) and any(map(_holds_target, value))


def _join(where: str, name: object) -> str:
    return f"{where}.{name}" if where else str(name)
