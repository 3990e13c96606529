"""How stages end: with a result or diverged, and how that is written as JSON and read back."""

import json
from dataclasses import asdict, dataclass
from typing import TypeVar

from pydantic import TypeAdapter

from cellab.requests import Result

METRICS = "metrics.json"  # in the entry of a stage
_Result = TypeVar("_Result", bound=Result)


@dataclass(frozen=True)
class Diverged:
    """A loss became NaN or infinite.

    Args:
        series: which: ``"member"``, ``"generator"``, ``"discriminator 0"`` ...
        step: the optimiser step, counted from 1.
        value: ``"nan"``, ``"inf"`` or ``"-inf"``.
    """

    series: str
    step: int
    value: str

    def __str__(self) -> str:
        return f"the loss of the {self.series} became {self.value} at step {self.step}"


@dataclass(frozen=True)
class Outcome:
    """How a stage ended: with a result, or diverged.

    Args:
        key: of the stage.
        result: what it gave.
    """

    key: str
    result: Result | Diverged

    @property
    def diverged(self) -> Diverged | None:
        """Where and why it diverged, if it did."""
        return self.result if isinstance(self.result, Diverged) else None

    def of(self, kind: type[_Result]) -> _Result:
        """The result of a stage of a kind that did not diverge."""
        assert isinstance(self.result, kind)
        return self.result

    def to_json(self) -> str:
        """The content of `metrics.json`."""
        content = asdict(self.result)
        return json.dumps({"diverged": content} if self.diverged else content, sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, key: str, text: str | bytes, kind: type[Result]) -> "Outcome":
        """What `to_json` gave, of a stage whose result is of a kind.

        Raises:
            ValueError: it is something else.
        """
        content = json.loads(text)
        if isinstance(content, dict) and "diverged" in content:
            return cls(key, TypeAdapter(Diverged).validate_python(content["diverged"]))
        return cls(key, TypeAdapter(kind).validate_python(content))
