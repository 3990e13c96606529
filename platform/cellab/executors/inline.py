"""Runs lineages in this process, one stage after the other, without Ray: for debugging and tests."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cellab import stages
from cellab.errors import CellabError
from cellab.executors.driver import Ending, StageError, drive, in_words, timed_out
from cellab.executors.monitor import Monitor
from cellab.executors.protocol import Endings, Executed, Observer, Stopped
from cellab.executors.stopping import endings_when_stopped, key_of, known
from cellab.lineage import Lineage
from cellab.outcomes import Outcome
from cellab.stage import How, Stage
from cellab.store import Store

logger = logging.getLogger(__name__)


class InlineRunner:
    """Runs each stage when it is waited for, those that it reads first.

    Args:
        store: where results are read and written.
        data_path: the data set's file.
        monitor: told what happens.
        observer: asked whether to stop.
    """

    def __init__(self, store: Store, data_path: Path, monitor: Monitor, observer: Observer) -> None:
        self.store = store
        self.data_path = data_path
        self.monitor = monitor
        self.observer = observer
        self.asked: dict[str, Stage] = {}
        self.outcomes: dict[str, Outcome] = {}
        self.failed: Stage | None = None
        self.begin, self.warn = monitor.begin, monitor.warn

    def start(self, lineage: Lineage) -> None:
        """Notes the lineage's stages."""
        self.failed = None
        self.asked |= {stage.key: stage for stage in lineage.stages}

    def wait(self, key: str) -> Outcome:
        """Runs a stage unless its result is stored and sound."""
        if key not in self.outcomes:
            stage = self.asked[key]
            needs = [self.wait(each) for each in stage.needs]
            self.outcomes[key] = stages.obtain(stage, self.store, self.data_path, needs, self)
        return self.outcomes[key]

    def progress(self, key: str, step: int, steps: int) -> None:
        """A stage is at a step; here it can be stopped, by whoever watches, or since it takes longer than it may."""
        self.observer.check()
        self.monitor.progress(key, step, steps)
        if key in self.monitor.overdue():
            raise StageError(timed_out(self.asked[key]), self.asked[key].part)

    def end(self, stage: Stage, how: How) -> None:
        """A stage has ended."""
        if how == "failed":
            self.failed = stage
            how = "timed out" if stage.key in self.monitor.overdue() else how
        self.monitor.end(stage, how)


class Inline:
    """Runs in this process.

    Args:
        address: None; there is no cluster.
        logs: it keeps none.

    Raises:
        CellabError: there is an address.
    """

    def __init__(self, address: str | None = None, logs: Path | None = None) -> None:  # noqa: ARG002
        if address is not None:
            raise CellabError(f"--address {address}: executor=inline runs in this process; leave one of them out.")

    @contextmanager
    def connected(self, observer: Observer) -> Iterator[None]:  # noqa: ARG002
        """It needs nothing."""
        yield

    def run(self, lineages: Iterable[Lineage | None], store: Store, data_path: Path, observer: Observer) -> Executed:
        """Runs one lineage after the other; see `Executor`."""
        come = known(lineages)
        monitor = Monitor.of(come.values(), slots=1)
        runner = InlineRunner(store, data_path, monitor, observer)
        observer.watch(monitor.snapshot)
        endings: Endings = {}
        try:
            for lineage in lineages:
                if lineage is None:  # all that came before have ended
                    continue
                come[key := key_of(lineage)] = lineage
                monitor.add(lineage)
                endings[key] = _run(lineage, runner)
                observer.ended(key, endings[key])
        except KeyboardInterrupt as error:
            observer.stopping()
            endings = endings_when_stopped(come, endings, monitor.stop(), monitor.waiting)
            raise Stopped(Executed(endings, monitor.snapshot())) from error
        return Executed(endings, monitor.snapshot())


def _run(lineage: Lineage, runner: InlineRunner) -> Ending:
    try:
        return drive(lineage, runner, lambda _metrics: None)
    except Exception as error:
        if not isinstance(error, CellabError):
            logger.exception("%s seed=%s", lineage.arm, lineage.seed)  # where it is, for who debugs
        return Ending("failed", in_words(error), runner.failed.part if runner.failed else None)
