"""What an executor is, what it is watched by, and what it leaves."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cellab.executors.driver import Ending
from cellab.executors.monitor import Snapshot
from cellab.lineage import Lineage
from cellab.store import Store

Key = tuple[str, int]  # of a lineage: its arm and its seed
Endings = dict[Key, Ending]


@dataclass(frozen=True)
class Executed:
    """What came of lineages.

    Args:
        endings: how each ended, as far as that is known.
        snapshot: of their stages, at the end.
    """

    endings: Endings
    snapshot: Snapshot


class Stopped(KeyboardInterrupt):
    """An executor was stopped before the end.

    Args:
        executed: what had come of the lineages by then.
    """

    def __init__(self, executed: Executed) -> None:
        self.executed = executed
        super().__init__()


class Lost(Exception):  # noqa: N818 - as `Stopped`
    """What an executor runs on has gone before the end.

    Args:
        why: what has gone, in words.
        executed: what had come of the lineages by then.
    """

    def __init__(self, why: str, executed: Executed) -> None:
        self.executed = executed
        super().__init__(why)


class Observer(Protocol):
    """Who watches an executor, and may stop it."""

    def tell(self, text: str) -> None:
        """Told what is done, in a sentence."""

    def warn(self, text: str) -> None:
        """Told what people should know."""

    def watch(self, look: Callable[[], Snapshot]) -> None:
        """Told how to learn the state of all stages from now on."""

    def ended(self, key: Key, ending: Ending) -> None:
        """Told that a lineage has ended, before the next one is asked for."""

    def check(self) -> None:
        """Asked now and then where it is safe to stop; raises KeyboardInterrupt, if that is wanted."""

    def stopping(self) -> None:
        """Told that a KeyboardInterrupt has arrived and is seen to: no other may come."""

    def uninterrupted(self) -> AbstractContextManager[None]:
        """While the block lasts nothing is to be interrupted, unless somebody insists."""


class Executor(Protocol):
    """Runs lineages: every stage of each, unless its result is stored, each once whoever asks for it."""

    def connected(self, observer: Observer) -> AbstractContextManager[None]:
        """While the block lasts, what it needs is up.

        Raises:
            CellabError: it does not answer, or cannot be started.
        """

    def run(self, lineages: Iterable[Lineage | None], store: Store, data_path: Path, observer: Observer) -> Executed:
        """Runs lineages as they come; one that fails does not stop the others.

        Args:
            lineages: asked for the next whenever there is room for it; None: not before another has ended.
            store: where results are read and written.
            data_path: the data set's file.
            observer: who watches.

        Raises:
            Stopped: somebody wants it stopped.
            Lost: what it runs on has gone.
            CellabError: a stage needs more than there is.
        """


class Nobody(Observer):
    """An observer who lets everything happen, and is told in vain."""

    def uninterrupted(self) -> AbstractContextManager[None]:
        """Never interrupts."""
        return nullcontext()
