"""Sets configurations side by side: which keys have other values."""

import json
from collections.abc import Iterator, Mapping
from typing import NamedTuple

ABSENT = "–"


class Difference(NamedTuple):
    """A dotted key and its two values in JSON; `ABSENT` where one side has no such key."""

    key: str
    one: str
    other: str


def differences(one: Mapping[str, object], other: Mapping[str, object]) -> list[Difference]:
    """The keys at which two nested mappings differ, in the order of the first."""
    first, second = dict(_flat(one)), dict(_flat(other))
    return [
        Difference(key, first.get(key, ABSENT), second.get(key, ABSENT))
        for key in dict.fromkeys([*first, *second])
        if first.get(key) != second.get(key)
    ]


def _flat(content: Mapping[str, object], where: str = "") -> Iterator[tuple[str, str]]:
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{where}{key}.")
        else:
            yield f"{where}{key}", value if isinstance(value, str) else json.dumps(value)
