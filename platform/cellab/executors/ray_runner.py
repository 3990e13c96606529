"""Waits on Ray for the stages of a lineage."""

import time
from collections.abc import Callable
from typing import Any

import ray

from cellab.executors.broker import Failure
from cellab.executors.driver import StageError
from cellab.lineage import Lineage
from cellab.outcomes import Outcome

PATIENCE = 30  # tries, a second apart, to reach an actor that is being started again


def answer(call: Callable[[], Any]) -> Any:
    """What an actor answers to a call, if need be once it has been started again."""
    for _ in range(PATIENCE):
        try:
            return ray.get(call())
        except ray.exceptions.RayActorError:
            time.sleep(1.0)
    return ray.get(call())


class RayRunner:
    """Asks a broker for stages.

    Args:
        broker: the actor.
    """

    def __init__(self, broker: Any) -> None:
        self.broker = broker

    def start(self, lineage: Lineage) -> None:
        """Asks for all stages of the lineage at once."""
        self.lineage = lineage
        self._ask()

    def _ask(self) -> None:
        answer(lambda: self.broker.add.remote([self.lineage]))
        answer(lambda: self.broker.ask.remote(list(self.lineage.stages)))

    def wait(self, key: str) -> Outcome:
        """Waits for one.

        Raises:
            StageError: it failed, or one that it reads.
        """
        got: Outcome | Failure | None = answer(lambda: self.broker.outcome.remote(key))
        while got is None:
            self._ask()  # the broker was started again, and knows nothing: what is finished is in the store
            got = answer(lambda: self.broker.outcome.remote(key))
        if isinstance(got, Failure):
            raise StageError(got.message, got.part)
        return got
