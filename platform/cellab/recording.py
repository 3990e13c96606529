"""Writes down how a study gets on (`status.json`), whenever its observer looks, for who has no part in it."""

import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

from cellab.executors.driver import Ending
from cellab.executors.monitor import NOTHING, Running, Snapshot
from cellab.executors.protocol import Key, Observer
from cellab.study_files.folder import StudyFolder
from cellab.study_files.status import RunningStage, RunStatus, State

INTERVAL = 1.0  # seconds between two writings, at least
Watcher = TypeVar("Watcher", bound=Observer)


@contextmanager
def recorded(observer: Watcher, study: str, trials: int, folder: StudyFolder) -> Iterator[Watcher]:
    """An observer like the given one, of whom `status.json` tells what it sees while the block runs, and how that ends.

    Args:
        observer: is told all that this one is.
        study: its name.
        trials: how many it has.
        folder: of the study, claimed.
    """
    record = _Record(observer, study, trials, folder)
    record.write("running")
    try:
        yield cast(Watcher, record)
    except KeyboardInterrupt:
        record.look_once_more()
        record.write("interrupted")
        raise
    except BaseException as error:
        record.write("failed", str(error).partition("\n")[0])
        raise
    record.look_once_more()
    record.write("ended")


@dataclass
class _Record(Generic[Watcher]):
    """What an observer hears and sees; all that it does not write down it only hands on."""

    observer: Watcher
    study: str
    trials: int
    folder: StudyFolder
    began: float = field(default_factory=time.time)
    written: float = float("-inf")  # on the clock that nobody sets
    look: Callable[[], Snapshot] = lambda: NOTHING
    snapshot: Snapshot = NOTHING
    endings: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.observer, name)

    def watch(self, look: Callable[[], Snapshot]) -> None:
        """Whoever looks, it is written down."""

        self.look = look

        def seen() -> Snapshot:
            self.snapshot = look()
            if time.monotonic() - self.written >= INTERVAL:
                self.write("running")
            return self.snapshot

        self.observer.watch(seen)

    def look_once_more(self) -> None:
        """At the end nobody else may."""
        with suppress(Exception):  # what ran the stages may be gone, and then what was seen last is all there is
            self.snapshot = self.look()

    def ended(self, key: Key, ending: Ending) -> None:
        """Counts."""
        self.endings[ending.status] += 1
        self.observer.ended(key, ending)

    def write(self, state: State, message: str | None = None) -> None:
        """Replaces `status.json`; where there is no room, that is told by what matters more."""
        with self.lock, suppress(OSError):
            self.written = time.monotonic()
            text = self._status(state, message).to_json()
            self.folder.write_status(text)

    def _status(self, state: State, message: str | None) -> RunStatus:
        seen = self.snapshot
        hows = Counter[str](ended.how for ended in seen.ended)
        return RunStatus(
            study=self.study,
            state=state,
            host=socket.gethostname(),
            pid=os.getpid(),
            began=self.began,
            written=time.time(),
            trials=self.trials,
            trials_ended=dict(self.endings),
            slots=seen.slots,
            stages=seen.total,
            stages_ended=dict(hows),
            retried=seen.retried,
            running=tuple(map(_told, seen.running)) if state == "running" else (),
            seconds_left=seen.seconds_left if state == "running" else None,
            notices=seen.notices,
            message=message,
        )


def _told(running: Running) -> RunningStage:
    now = time.monotonic()
    return RunningStage(running.label, now - running.started, now - running.moved, running.step, running.steps)
