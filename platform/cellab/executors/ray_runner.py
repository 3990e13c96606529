"""Waits on Ray for the stages of a lineage."""

from typing import Any

import ray

from cellab.errors import CellabError
from cellab.executors.driver import in_words
from cellab.lineage import Lineage
from cellab.outcomes import Outcome


class RayRunner:
    """Asks a broker for stages.

    Args:
        broker: the actor.
    """

    def __init__(self, broker: Any) -> None:
        self.broker = broker
        self.references: dict[str, ray.ObjectRef[Outcome]] = {}

    def start(self, lineage: Lineage) -> None:
        """Asks for all stages of the lineage at once."""
        self.references |= ray.get(self.broker.ask.remote(list(lineage.stages)))

    def wait(self, key: str) -> Outcome:
        """Waits for one."""
        try:
            return ray.get(self.references[key])
        except ray.exceptions.RayTaskError as error:
            raise CellabError(_reason(error)) from error
        except ray.exceptions.RayError as error:
            raise CellabError(f"{type(error).__name__}: {error}".partition("\n")[0]) from error


def _reason(error: ray.exceptions.RayTaskError) -> str:
    """What went wrong in the task; the traceback is in Ray's logs."""
    cause: BaseException = error
    while isinstance(cause, ray.exceptions.RayTaskError) and isinstance(cause.cause, BaseException):
        cause = cause.cause
    return in_words(cause)
