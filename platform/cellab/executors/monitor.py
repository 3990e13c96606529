"""Knows which stages run, how far they are, what is done, and about how long the rest will take."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from cellab.lineage import Lineage
from cellab.stage import How, Limits, Stage


@dataclass
class Running:
    """A stage that runs now."""

    label: str
    kind: str
    started: float
    step: int = 0
    steps: int = 0
    limits: Limits = field(default_factory=Limits)
    moved: float = 0.0  # when it last made progress
    stalled: bool = False  # and people have been told

    def expected_seconds(self, now: float) -> float | None:
        """Its whole duration, from the share that is done; None while that says too little."""
        if self.step == 0 or self.step < self.steps / 20:
            return None
        return (now - self.started) * self.steps / self.step


@dataclass(frozen=True)
class Ended:
    """A stage that has ended."""

    label: str
    how: How
    seconds: float
    key: str = ""


@dataclass(frozen=True)
class Snapshot:
    """The state of a study at one moment.

    Args:
        total: distinct stages.
        ended: those that ended, in that order.
        running: those that run.
        seconds_left: a rough estimate; None while nothing is known.
        notices: what people should know of stages, each in a sentence, in the order in which it came about.
        slots: how many stages can run at once.
        retried: how often a stage was begun again.
    """

    total: int
    ended: tuple[Ended, ...]
    running: tuple[Running, ...]
    seconds_left: float | None
    notices: tuple[str, ...] = ()
    slots: int = 1
    retried: int = 0


NOTHING = Snapshot(0, (), (), None)  # is known of any stage


@dataclass
class Monitor:
    """Keeps count.

    Args:
        slots: how many stages can run at once.
        waiting: stages that have not begun, by key.
        known: keys of all.
        clock: tells seconds.
    """

    slots: int = 1
    waiting: dict[str, Stage] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    running: dict[str, Running] = field(default_factory=dict)
    ended: list[Ended] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    durations: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    stopped: bool = False
    begun: set[str] = field(default_factory=set)
    retried: int = 0
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def of(cls, lineages: Iterable[Lineage], slots: int) -> "Monitor":
        """A monitor of lineages that have not begun."""
        monitor = cls(slots)
        for lineage in lineages:
            monitor.add(lineage)
        return monitor

    def add(self, lineage: Lineage) -> None:
        """Those of its stages that nobody asked for before will run too."""
        new = {stage.key: stage for stage in lineage.stages if stage.key not in self.known}
        self.waiting |= new
        self.known |= new.keys()

    def begin(self, stage: Stage) -> None:
        """A stage begins."""
        if self.stopped:
            return
        self.waiting.pop(stage.key, None)
        now = self.clock()
        self.retried += stage.key in self.begun
        self.begun.add(stage.key)
        self.running[stage.key] = Running(stage.label, stage.kind, now, limits=stage.limits, moved=now)

    def progress(self, key: str, step: int, steps: int) -> None:
        """A stage is at a step."""
        if running := self.running.get(key):
            if step != running.step:
                running.moved, running.stalled = self.clock(), False
            running.step, running.steps = step, steps

    def warn(self, stage: Stage, text: str) -> None:
        """Something of a stage is not as it should be."""
        self.notices.append(f"{stage.label}: {text}")

    def end(self, stage: Stage, how: How) -> None:
        """A stage has ended."""
        if self.stopped:
            return
        self.waiting.pop(stage.key, None)
        running = self.running.pop(stage.key, None)
        seconds = self.clock() - running.started if running else 0.0
        if how == "finished":
            self.durations[stage.kind].append(seconds)
        self.ended.append(Ended(stage.label, how, seconds, stage.key))

    def again(self, stage: Stage, why: str) -> None:
        """A stage has not come to its end, and will begin again."""
        if self.stopped:
            return
        self.running.pop(stage.key, None)
        self.waiting[stage.key] = stage
        self.notices.append(f"{stage.label}: {why}")

    def overdue(self) -> list[str]:
        """Keys of the stages that have run longer than they may."""
        now = self.clock()
        limits = {key: running.limits.seconds for key, running in self.running.items()}
        return [key for key, most in limits.items() if most is not None and now - self.running[key].started > most]

    def _notice_stalls(self) -> None:
        now = self.clock()
        for running in list(self.running.values()):
            most, still = running.limits.stall_seconds, now - running.moved
            if most is not None and still > most and not running.stalled:
                running.stalled = True
                where = f"at step {running.step} of {running.steps}" if running.steps else "since it began"
                self.notices.append(f"{running.label}: no progress for {still:.0f} s, {where}; it may hang.")

    def stop(self) -> tuple[str, ...]:
        """The study is stopped, and with it the stages that run, whatever is still heard of them; gives their keys."""
        running = tuple(self.running)
        for key, stopped in self.running.items():
            self.ended.append(Ended(stopped.label, "stopped", self.clock() - stopped.started, key))
        self.running.clear()
        self.stopped = True
        return running

    def snapshot(self) -> Snapshot:
        """The state now."""
        self._notice_stalls()
        return Snapshot(
            len(self.known),
            tuple(self.ended),
            tuple(self.running.values()),
            self._seconds_left(),
            notices=tuple(self.notices),
            slots=self.slots,
            retried=self.retried,
        )

    def _seconds_left(self) -> float | None:
        now = self.clock()
        known = {kind: sum(seconds) / len(seconds) for kind, seconds in self.durations.items()}
        for running in self.running.values():
            expected = running.expected_seconds(now)
            if expected is not None:
                known.setdefault(running.kind, expected)
        if not known:
            return None
        typical = max(known.values())
        waiting = sum(known.get(stage.kind, typical) for stage in self.waiting.values())
        begun = sum(
            max(0.0, (running.expected_seconds(now) or known.get(running.kind, typical)) - (now - running.started))
            for running in self.running.values()
        )
        return (waiting + begun) / self.slots
