"""Converts values to what annotations ask for, and says what would fit where that cannot be done.

An annotation counts as far as it names plain values: booleans, numbers, texts, literals, lists and mappings of them.
Whatever else it names (tensors, modules, callables, protocols) is left alone, but for numbers that are not finite.
"""

import functools
import math
import types
from collections.abc import Collection, Iterable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from cellab.names import did_you_mean

_LISTS = (list, Sequence, MutableSequence, Iterable, Collection)
_MAPPINGS = (dict, Mapping, MutableMapping)
_UNIONS = (Union, types.UnionType)


class Mistake(NamedTuple):
    """What is wrong with a key's value: a sentence that the key goes before."""

    key: str
    says: str

    def __str__(self) -> str:
        return f"{self.key}: {self.says}"


def convert(value: Any, annotation: Any) -> Any:
    """The value as the annotation wants it, tuples as lists.

    Numbers and booleans in quotation marks are read, as are yes, no, on, off, 1 and 0 for booleans; a float without
    fraction is taken for an int.

    Raises:
        ValueError: it does not fit; the message says what does.
    """
    try:
        return _with_lists(_adapter(annotation).validate_python(value))
    except ValidationError as error:
        raise ValueError(f"{shown(value)} is not allowed; it must be {_what_fits(value, annotation)}") from error


def shown(value: Any) -> str:
    """A value in a message: null and booleans as YAML writes them."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value)


def is_text(annotation: Any) -> bool:
    """Whether an annotation takes texts, and nothing else but null."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return is_text(arguments[0])
    if origin in _UNIONS:
        wanted = [argument for argument in arguments if argument is not types.NoneType]
        return all(map(is_text, wanted))
    return annotation is str or (origin is Literal and all(isinstance(option, str) for option in arguments))


def _whole(value: Any) -> Any:
    """What pydantic alone would get wrong: true is no number, and "1e3" is one."""
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            return float(value)
    return _number(value)


def _number(value: Any) -> Any:
    # here and below ValueError, not TypeError: pydantic takes the latter for a bug of ours
    if isinstance(value, bool):
        raise ValueError
    return value


def _text(value: Any) -> str:
    """Any text, names of files that are not UTF-8 included, which pydantic refuses."""
    if not isinstance(value, str):
        raise ValueError
    return value


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _finite(item)
    return value


ANYTHING: Any = Annotated[Any, AfterValidator(_finite)]
_SCALARS: dict[object, object] = {
    bool: bool,
    int: Annotated[int, BeforeValidator(_whole)],
    float: Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)],
    str: Annotated[Any, AfterValidator(_text)],
    None: None,
    types.NoneType: None,
}
_WORDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a finite number",
    str: "a text",
    None: "null",
    types.NoneType: "null",
}


@functools.cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(_plain(annotation))


def _plain(annotation: Any) -> Any:
    """The annotation for pydantic, without what names no plain value."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal or (origin is None and annotation in _SCALARS):
        return _SCALARS.get(annotation, annotation)
    if origin is Annotated:
        return Annotated[(_plain(arguments[0]), *arguments[1:])]
    if origin in _UNIONS:
        plain = tuple(_plain(each) for each in _plain_ones(arguments))
        return Union[plain] if plain else ANYTHING  # noqa: UP007 - of a tuple that is known only here
    return _plain_container(origin or annotation, arguments)


def _plain_container(container: Any, arguments: tuple[Any, ...]) -> Any:
    if container in _LISTS:
        return list[_plain(arguments[0]) if arguments else ANYTHING]  # type: ignore[misc]
    if container is tuple and arguments:
        return tuple[tuple(each if each is Ellipsis else _plain(each) for each in arguments)]  # type: ignore[misc]
    if container in _MAPPINGS:
        return dict[str, _plain(arguments[1]) if arguments else ANYTHING]  # type: ignore[misc]
    return ANYTHING


def _plain_ones(options: tuple[Any, ...]) -> list[Any]:
    """Those of a union's options that name plain values; none where that is nothing but null."""
    plain = [option for option in options if _plain(option) is not ANYTHING]
    return [] if all(option is types.NoneType for option in plain) else plain


def _with_lists(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_with_lists(item) for item in value]
    if isinstance(value, dict):
        return {key: _with_lists(item) for key, item in value.items()}
    return value


def _what_fits(value: Any, annotation: Any) -> str:
    """The end of a sentence, with the nearest option where there are options."""
    options = _options(annotation)
    words = _words(annotation)
    return f"{words}{did_you_mean(value, options, listed=False)}" if isinstance(value, str) and options else f"{words}."


def _options(annotation: Any) -> list[str]:
    if get_origin(annotation) is Literal:
        return [option for option in get_args(annotation) if isinstance(option, str)]
    nested = get_args(annotation) if get_origin(annotation) in (Annotated, *_UNIONS) else ()
    return [option for each in nested for option in _options(each)]


def _words(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is None and annotation in _WORDS:
        return _WORDS[annotation]
    if origin is Annotated:
        return _words_within(arguments[0], arguments[1:])
    if origin is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if origin in _UNIONS:
        return " or ".join(map(_words, _plain_ones(arguments) or [float]))
    return _words_of_container(origin or annotation, arguments)


def _words_of_container(container: Any, arguments: tuple[Any, ...]) -> str:
    if container in _LISTS:
        return f"a list, each item {_words(arguments[0])}" if arguments else "a list"
    if container is tuple and arguments:
        each = list(dict.fromkeys(_words(argument) for argument in arguments if argument is not Ellipsis))
        count = "" if Ellipsis in arguments else f"of {len(arguments)}"
        return f"a list {count}".rstrip() + f", each item {' or '.join(each)}"
    return "a mapping" if container in _MAPPINGS else "finite"


def _words_within(annotation: Any, metadata: tuple[Any, ...]) -> str:
    """An annotation with bounds; a text among its metadata says it all."""
    if told := next((each for each in metadata if isinstance(each, str)), None):
        return told
    limits: dict[str, object] = {}
    for constraint in [each for field in metadata if isinstance(field, FieldInfo) for each in field.metadata]:
        limits |= {name: getattr(constraint, name) for name in ("ge", "gt", "le", "lt") if hasattr(constraint, name)}
    low, high = limits.get("ge", limits.get("gt")), limits.get("le", limits.get("lt"))
    if low is None and high is None:
        return _words(annotation)
    if annotation is int and "gt" not in limits and "lt" not in limits:
        span = f"of at least {low}" + (f" and at most {high}" if high is not None else "")
    elif high is None:
        span = f"{'above' if 'gt' in limits else 'of at least'} {low:g}"
    else:
        span = f"in {'(' if 'gt' in limits else '['}{low:g}, {high:g}{')' if 'lt' in limits else ']'}"
    return f"{_words(annotation)} {span}"
