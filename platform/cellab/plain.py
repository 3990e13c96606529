"""The types of what stands in JSON and YAML: plain values, lists and mappings of them."""

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    Plain: TypeAlias = bool | int | float | str | list["Plain"] | dict[str, "Plain"] | None
else:  # who checks values as the program runs need not look inside
    Plain: TypeAlias = Any
PlainMapping: TypeAlias = dict[str, Plain]


def mapping(content: object) -> PlainMapping:
    """What was read, if it is a mapping whose keys are texts.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(content, dict):
        raise ValueError(f"a mapping is expected, found {type(content).__name__}")
    return {str(key): value for key, value in content.items()}


def listed(content: Plain) -> list[Plain]:
    """What was read, if it is a list; of anything else an empty one."""
    return content if isinstance(content, list) else []
