"""What the broker makes of tasks that give no outcome, without Ray: tries again, gives up, and says why."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import ray
from ray.exceptions import OutOfMemoryError, RayTaskError, TaskCancelledError, WorkerCrashedError

from cellab.executors import broker as broker_module
from cellab.executors.broker import Broker, Failure
from cellab.executors.driver import Ending
from cellab.executors.monitor import Monitor, Snapshot
from cellab.executors.stopping import endings_when_stopped
from cellab.executors.tasks import GIB, Memory, Obtained, run_stage, trouble
from cellab.lineage import Lineage
from cellab.outcomes import Diverged, Outcome
from cellab.stage import Limits, Stage

TOLD_BY_RAY = """1 worker(s) were killed due to the node running low on memory. Memory on the node \
(IP: 192.0.2.2, ID: 36414a) was 22.88GB used / 23.54GB limit (0.97)
Considered workers: [
Selected to kill: (Task: job ID=01, lease ID=00, task name=b seed=0 generator, pid=1, actual memory used=9.00GB)
Selected to kill: (Task: job ID=01, lease ID=00, task name=a seed=0 generator, required resources={CPU: 1}, pid=26417, \
actual memory used=14.06GB, worker ID=e80dd6)
]"""

Does = Callable[[Broker, Stage], Any]


@dataclass
class Scripted:
    """Runs no tasks: each try of a stage does what stands for it in a list, by the stage's part of its lineage."""

    does: dict[str, list[Does | Exception]] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)
    killed: dict[str, asyncio.Event] = field(default_factory=dict)
    broker: Broker | None = None

    async def run(self, stage: Stage, needs: Sequence[Outcome]) -> Obtained:
        self.ran.append(stage.part)
        assert self.broker is not None
        assert [outcome.key for outcome in needs] == list(stage.needs)
        await self.broker.begin(stage.key, 16 * GIB)
        now = self.does.get(stage.part, [])
        if now:
            what = now.pop(0)
            if isinstance(what, Exception):
                raise what
            await what(self.broker, stage)
        return Obtained(Outcome(stage.key, Diverged("x", 1, "nan")), "diverged")

    def kill(self, key: str) -> None:
        self.killed.setdefault(key, asyncio.Event()).set()


def lineage_of(stage: Stage) -> Lineage:
    """Two stages, of which the second reads the first."""
    second = replace(stage, part="after", label="a seed=0 after", code="other", needs=(stage.key,))
    return Lineage("a", 0, (stage, second), (), None)


def brokered(stage: Stage, *does: Does | Exception) -> tuple[Broker, Scripted, list[Outcome | Failure]]:
    """A broker that has seen a lineage through, of whose first stage the tries do this; and what came of both."""
    lineage = lineage_of(stage)
    tasks = Scripted({"generator": list(does)})

    async def see() -> list[Outcome | Failure]:
        tasks.broker = broker = Broker(1, tasks, [lineage])
        await broker.ask(list(lineage.stages))
        return [await broker.outcome(each.key) for each in lineage.stages]

    outcomes = asyncio.run(see())
    assert tasks.broker is not None
    return tasks.broker, tasks, outcomes


def test_a_stage_is_seen_through_once_and_after_those_that_it_reads(stage: Stage) -> None:
    broker, tasks, outcomes = brokered(stage)
    assert tasks.ran == ["generator", "after"]
    assert [type(outcome) for outcome in outcomes] == [Outcome, Outcome]
    assert [ended.how for ended in asyncio.run(broker.snapshot()).ended] == ["diverged", "diverged"]


def test_what_runs_out_of_memory_is_tried_twice_and_fails_with_its_numbers(stage: Stage) -> None:
    broker, tasks, outcomes = brokered(stage, *[OutOfMemoryError(TOLD_BY_RAY)] * 9)
    assert tasks.ran == ["generator", "generator"]
    assert outcomes == [Failure("out of memory (peak 14 GiB of 24)", "generator")] * 2, "and what reads it with it"
    snapshot = asyncio.run(broker.snapshot())
    assert [(ended.label, ended.how) for ended in snapshot.ended] == [(stage.label, "failed")]
    assert snapshot.notices == (f"{stage.label}: out of memory (peak 14 GiB of 24); tried again (2 of 2)",)


def test_a_second_try_may_do_better(stage: Stage) -> None:
    async def progressing(broker: Broker, stage: Stage) -> None:
        await broker.progress(stage.key, 3, 9, 5 * GIB)
        raise WorkerCrashedError

    broker, tasks, outcomes = brokered(stage, progressing)
    assert tasks.ran == ["generator", "generator", "after"]
    assert isinstance(outcomes[0], Outcome)
    (notice,) = asyncio.run(broker.snapshot()).notices
    assert "its worker was killed (peak 5 GiB of 16), as is what runs out of memory; tried again (2 of 2)" in notice


def test_a_mistake_in_the_code_is_not_tried_again(stage: Stage) -> None:
    mistake = RayTaskError("run_stage", "traceback", RuntimeError("no such layer"))
    broker, tasks, outcomes = brokered(stage, mistake)
    assert tasks.ran == ["generator"]
    assert outcomes[0] == Failure("RuntimeError: no such layer", "generator")
    assert asyncio.run(broker.snapshot()).notices == ()


def test_a_failure_of_which_its_trial_has_not_heard_is_known_when_all_is_stopped(stage: Stage) -> None:
    broker, _, _ = brokered(stage, RayTaskError("run_stage", "traceback", RuntimeError("no such layer")))
    state = asyncio.run(broker.stop())
    endings = endings_when_stopped(broker.lineages, {}, state.running, state.waiting, state.failed)
    assert endings == {("a", 0): Ending("failed", "RuntimeError: no such layer", "generator")}


def test_one_who_gives_up_waiting_takes_nothing_from_the_others(stage: Stage) -> None:
    async def see() -> Outcome | Failure:
        held = asyncio.Event()

        async def hold(_broker: Broker, _stage: Stage) -> None:
            await held.wait()

        tasks = Scripted({"generator": [hold]})
        tasks.broker = broker = Broker(1, tasks, [lineage_of(stage)])
        await broker.ask([stage])
        one = asyncio.create_task(broker.outcome(stage.key))
        await asyncio.sleep(0)
        one.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await one
        held.set()
        return await broker.outcome(stage.key)

    assert isinstance(asyncio.run(see()), Outcome)


def test_a_worker_that_is_told_to_end_may_do_better_and_numbers_that_nobody_knows_are_left_out() -> None:
    assert trouble(TaskCancelledError(), "a", Memory()).may_pass
    assert trouble(OutOfMemoryError("no numbers"), "a", Memory()).message == "out of memory"
    assert trouble(OutOfMemoryError("no numbers"), "a", Memory(of=GIB)).message == "out of memory"


def test_a_stage_that_hangs_is_ended_after_its_time_and_what_does_not_read_it_goes_on(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited = replace(stage, limits=Limits(seconds=60.0))
    free = replace(stage, part="free", code="free", limits=Limits())
    monkeypatch.setattr(broker_module, "WATCH_SECONDS", 0.001)
    clock = [0.0]

    async def hang(_broker: Broker, _stage: Stage) -> None:
        clock[0] = 61.0
        await asyncio.Event().wait()

    async def see() -> tuple[list[Outcome | Failure], Snapshot]:
        asked = [*lineage_of(limited).stages, free]
        tasks.broker = broker = Broker(1, tasks, [lineage_of(limited)])
        broker.monitor.clock = lambda: clock[0]
        await broker.ask(asked)
        return [await broker.outcome(each.key) for each in asked], await broker.snapshot()

    tasks = Scripted({"generator": [hang]})
    (first, second, other), snapshot = asyncio.run(see())
    said = "timed out: it ran longer than resources.stage_seconds=60"
    assert first == second == Failure(said, "generator")
    assert isinstance(other, Outcome)
    assert tasks.killed.keys() == {stage.key}
    assert tasks.ran.count("generator") == 1, "it is not tried again"
    assert (stage.label, "timed out") in [(ended.label, ended.how) for ended in snapshot.ended]


def test_a_stall_is_noticed_once_and_again_after_progress(stage: Stage) -> None:
    now = [0.0]
    monitor = Monitor(clock=lambda: now[0])
    monitor.begin(replace(stage, limits=Limits(stall_seconds=10.0)))

    def noticed(at: float) -> tuple[str, ...]:
        now[0] = at
        return monitor.snapshot().notices

    assert noticed(9.0) == ()
    assert noticed(11.0) == (f"{stage.label}: no progress for 11 s, since it began; it may hang.",)
    assert len(noticed(20.0)) == 1
    monitor.progress(stage.key, 3, 9)
    assert len(noticed(29.0)) == 1
    monitor.progress(stage.key, 3, 9)  # tells nothing new
    assert noticed(31.0)[1:] == (f"{stage.label}: no progress for 11 s, at step 3 of 9; it may hang.",)


def test_ray_s_own_retries_are_off() -> None:
    """Those of what ran out of memory have no end, unless there are none at all."""
    assert isinstance(run_stage, ray.remote_function.RemoteFunction)
    assert run_stage._default_options["max_retries"] == 0
