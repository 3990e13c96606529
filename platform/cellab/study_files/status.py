"""How a study that runs gets on (`status.json`): for who looks from another terminal."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from pydantic import TypeAdapter

State = Literal["running", "ended", "interrupted", "failed"]


@dataclass(frozen=True)
class RunningStage:
    """A stage that runs.

    Args:
        label: its trial's and its own.
        seconds: since it began.
        idle: seconds since it last made progress.
        step: that it has done, of `steps`; 0 of 0 before the first.
        steps: how many it has.
    """

    label: str
    seconds: float
    idle: float
    step: int
    steps: int


@dataclass(frozen=True)
class RunStatus:
    """The state of the last command that ran a study.

    Args:
        study: its name.
        state: of the command; `ended` when all is written.
        host: on which it runs.
        pid: its process there.
        began: when, in seconds since 1970.
        written: when this was written; a second or so apart while it runs.
        trials: how many there are.
        trials_ended: how many became what, as far as they have ended.
        slots: stages that can run at once.
        stages: distinct ones.
        stages_ended: how many ended how; one that failed for several trials counts for each.
        retried: how often a stage was begun again.
        running: stages that run.
        seconds_left: a rough estimate; None while nothing is known.
        notices: what people should know of stages.
        message: why it failed, if it did.
    """

    study: str
    state: State
    host: str
    pid: int
    began: float
    written: float
    trials: int
    trials_ended: Mapping[str, int]
    slots: int
    stages: int
    stages_ended: Mapping[str, int]
    retried: int
    running: tuple[RunningStage, ...]
    seconds_left: float | None
    notices: tuple[str, ...] = ()
    message: str | None = None

    @property
    def waiting(self) -> int:
        """Stages that have not begun."""
        return max(0, self.stages - sum(self.stages_ended.values()) - len(self.running))

    def to_json(self) -> str:
        """The content of `status.json`."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> "RunStatus":
        """What `to_json` gave.

        Raises:
            ValueError: it is something else.
        """
        return _STATUS.validate_python(json.loads(text))


_STATUS = TypeAdapter(RunStatus)
