"""Waits on Ray for the stages of a lineage."""

from typing import Any

import ray

from cellab.executors.broker import Failure
from cellab.executors.driver import StageError
from cellab.lineage import Lineage
from cellab.outcomes import Outcome


class RayRunner:
    """Asks a broker for stages.

    Args:
        broker: the actor.
    """

    def __init__(self, broker: Any) -> None:
        self.broker = broker

    def start(self, lineage: Lineage) -> None:
        """Asks for all stages of the lineage at once."""
        ray.get(self.broker.ask.remote(list(lineage.stages)))

    def wait(self, key: str) -> Outcome:
        """Waits for one.

        Raises:
            StageError: it failed, or one that it reads.
        """
        got: Outcome | Failure = ray.get(self.broker.outcome.remote(key))
        if isinstance(got, Failure):
            raise StageError(got.message, got.part)
        return got
