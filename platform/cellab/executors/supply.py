"""Gives Ray Tune one lineage after the other, and hears how each ended."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypedDict

import ray
from ray.tune.search import Searcher

from cellab.executors.driver import Ending
from cellab.executors.protocol import Endings, Key, Observer
from cellab.executors.stopping import key_of, known
from cellab.lineage import Lineage
from cellab.study_files.records import Status

DRIVER_DIED = "the trial's driver died, again and again"


class Config(TypedDict):
    """A Tune trial's configuration, which people see: the lineage itself is the broker's."""

    arm: str
    seed: int


class TrialReport(TypedDict):
    """What a trial's driver says at the end."""

    generation: int
    status: Status
    message: str | None
    stage: str | None


class Supply(Searcher):
    """Lineages as they come, as Tune asks for them: a "searcher", in its words.

    Args:
        lineages: asked for the next when there is room; None: not before another has ended.
        observer: told how each ended.
        check: refuses lineages of which a stage needs more than there is.
    """

    def __init__(
        self, lineages: Iterable[Lineage | None], observer: Observer, check: Callable[[Iterable[Lineage]], object]
    ) -> None:
        super().__init__()
        self._check = check
        self.come = known(lineages)
        self.endings: Endings = {}
        self._next = iter(lineages)
        self._observer = observer
        self._running: dict[str, Key] = {}  # by Tune's names
        self._is_waiting = False

    def begin(self, broker: Any, most: int) -> None:
        """Before Tune asks: whom to tell of lineages, and how many trials may be under way."""
        self._broker = broker
        self._most = most

    def suggest(self, trial_id: str) -> Any:
        """The next lineage's `Config`; None: not now; what Tune takes for the end, where there is none."""
        if self._is_waiting or len(self._running) >= self._most:
            return None
        try:
            lineage = next(self._next)
        except StopIteration:
            return self.FINISHED
        if lineage is None:
            self._is_waiting = True
            return None
        key = key_of(lineage)
        if key not in self.come:
            self._check([lineage])
            self.come[key] = lineage
            ray.get(self._broker.add.remote([lineage]))
        self._running[trial_id] = key
        return Config(arm=lineage.arm, seed=lineage.seed)

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False) -> None:
        """A trial has ended, or its driver has died."""
        key = self._running.pop(trial_id)
        if result and "status" in result and not error:
            self.endings[key] = Ending(result["status"], result["message"], result["stage"])
        else:
            self.endings[key] = Ending("failed", DRIVER_DIED)
        self._is_waiting = False
        self._observer.ended(key, self.endings[key])

    def known_endings(self) -> Endings:
        """Of those that ended by themselves, not because the cluster had gone."""
        return {key: ending for key, ending in self.endings.items() if ending.message != DRIVER_DIED}

    def all_endings(self) -> Endings:
        """Of every lineage that came."""
        return {key: self.endings.get(key, Ending("stopped", "the trial did not begin")) for key in self.come}

    def set_search_properties(self, *_: object, **__: object) -> bool:
        """It searches nothing: there is no metric to tell it."""
        return True

    def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Tune shows it; nothing is chosen by it."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing is kept: what is finished is in the store."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing is kept."""

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Nothing is kept."""

    def __getstate__(self) -> dict[str, object]:
        """Tune keeps its searchers in a file, for who would go on from there."""
        return {}
