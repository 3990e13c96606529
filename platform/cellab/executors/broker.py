"""Hands out stages on Ray: sees each through once, whoever asks, and tries it again where its worker died."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from typing import TypeVar

from cellab.executors.driver import timed_out
from cellab.executors.monitor import Monitor, Snapshot
from cellab.executors.protocol import Key
from cellab.executors.stopping import key_of
from cellab.executors.tasks import Memory, Obtained, Tasks, Trouble, trouble
from cellab.lineage import Lineage
from cellab.outcomes import Outcome
from cellab.stage import How, Stage

TRIES = 2  # of a stage whose worker died: what runs out of memory twice does so again
WATCH_SECONDS = 1.0
T = TypeVar("T")


@dataclass(frozen=True)
class Failure:
    """What a stage has instead of an outcome.

    Args:
        message: why, in words.
        part: of the lineage that has failed: of the stage, or of one that it reads.
    """

    message: str
    part: str


@dataclass(frozen=True)
class State:
    """How far all had come when it was stopped.

    Args:
        snapshot: of the stages, those that ran stopped.
        running: keys of the stages that ran.
        waiting: keys of those that had not begun.
        failed: why those failed that had, by key.
    """

    snapshot: Snapshot
    running: tuple[str, ...]
    waiting: tuple[str, ...]
    failed: dict[str, str]


class Broker:
    """Hands out stages, so that each runs once, and knows how far they are. On Ray it is an actor.

    Args:
        slots: how many stages can run at once.
        tasks: what runs them.
        lineages: that will be asked for, as far as they are known.
    """

    def __init__(self, slots: int, tasks: Tasks, lineages: list[Lineage]) -> None:
        self.tasks = tasks
        self.monitor = Monitor.of(lineages, slots)
        self.lineages: dict[Key, Lineage] = {key_of(lineage): lineage for lineage in lineages}
        self.asked: dict[str, asyncio.Task[Outcome | Failure]] = {}
        self.stages: dict[str, Stage] = {}
        self.memory: dict[str, Memory] = defaultdict(Memory)
        self.failed: dict[str, str] = {}
        self.overdue: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.watch: asyncio.Task[None] | None = None

    async def add(self, lineages: list[Lineage]) -> None:
        """Lineages that will be asked for."""
        for lineage in lineages:
            self.lineages[key_of(lineage)] = lineage
            self.monitor.add(lineage)

    async def lineage(self, key: Key) -> Lineage:
        """The one of an arm and a seed."""
        return self.lineages[key]

    async def ask(self, wanted: list[Stage]) -> None:
        """Begins those stages that nobody asked for before, each as soon as those that it reads are there."""
        self.watch = self.watch or asyncio.create_task(self._watch())
        for stage in wanted:
            if stage.key not in self.asked:
                self.stages[stage.key] = stage
                self.asked[stage.key] = asyncio.create_task(self._see_through(stage))

    async def outcome(self, key: str) -> Outcome | Failure | None:
        """What came of a stage that was asked for; None: it was not, or of a broker that died since."""
        return await _result(self.asked[key]) if key in self.asked else None

    async def _see_through(self, stage: Stage) -> Outcome | Failure:
        needs = []
        for key in stage.needs:
            got = await _result(self.asked[key])
            if isinstance(got, Failure):
                return got
            needs.append(got)
        for number in range(1, TRIES + 1):
            given = await self._try(stage, needs)
            if isinstance(given, Obtained):
                self.monitor.end(stage, given.how)
                return given.outcome
            if given is None:
                return self._fail(stage, "timed out", timed_out(stage))
            if not given.may_pass or number == TRIES:
                return self._fail(stage, "failed", given.message)
            self.monitor.again(stage, f"{given.message}; tried again ({number + 1} of {TRIES})")
        raise AssertionError

    async def _try(self, stage: Stage, needs: list[Outcome]) -> Obtained | Trouble | None:
        """What a task of the stage gives; None: it has taken longer than it may."""
        task = asyncio.ensure_future(self.tasks.run(stage, needs))
        overdue = asyncio.create_task(self.overdue[stage.key].wait())
        await asyncio.wait([task, overdue], return_when=asyncio.FIRST_COMPLETED)
        overdue.cancel()
        if not task.done():
            self.tasks.kill(stage.key)
            task.add_done_callback(_heard)
            return None
        try:
            return task.result()
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends this stage alone
            return trouble(error, stage.label, self.memory[stage.key])

    async def _watch(self) -> None:
        """Sees which stages have taken longer than they may: a worker that hangs cannot be relied upon for that."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            for key in self.monitor.overdue():
                self.overdue[key].set()

    def _fail(self, stage: Stage, how: How, message: str) -> Failure:
        self.monitor.end(stage, how)
        self.failed[stage.key] = message
        return Failure(message, stage.part)

    async def begin(self, key: str, memory: int) -> None:
        """A stage begins, where there are so many bytes of memory."""
        self.memory[key].of = memory
        if key in self.stages:  # else a broker that died has asked for it
            self.monitor.begin(self.stages[key])

    async def progress(self, key: str, step: int, steps: int, peak: int) -> None:
        """A stage is at a step, and has taken so many bytes of memory."""
        self.memory[key].peak = peak
        self.monitor.progress(key, step, steps)

    async def warn(self, key: str, text: str) -> None:
        """Something of a stage is not as it should be."""
        if key in self.stages:
            self.monitor.warn(self.stages[key], text)

    async def stop(self) -> State:
        """All is stopped: how far it has come."""
        running = self.monitor.stop()
        return State(self.monitor.snapshot(), running, tuple(self.monitor.waiting), self.failed)

    async def snapshot(self) -> Snapshot:
        """The state now."""
        return self.monitor.snapshot()


def _heard(task: "asyncio.Future[T]") -> None:
    """What becomes of a task that was killed is of no interest, but must be looked at."""
    if not task.cancelled():
        task.exception()


async def _result(task: "asyncio.Task[T]") -> T:
    """Of a task on which others may wait too: it goes on though one of them is given up."""
    return await asyncio.shield(task)
