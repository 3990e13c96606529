"""Runs lineages on Ray: one Tune trial a lineage, one task a stage, each stage once whoever asks for it."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from cellab.errors import CellabError
from cellab.executors.broker import Broker, State
from cellab.executors.connecting import connect
from cellab.executors.driver import in_words
from cellab.executors.losing import Heartbeat
from cellab.executors.monitor import NOTHING, Snapshot
from cellab.executors.protocol import Executed, Lost, Observer, Stopped
from cellab.executors.ray_runner import answer
from cellab.executors.stopping import endings_when_stopped
from cellab.executors.supply import Supply
from cellab.executors.tasks import RayTasks
from cellab.executors.trials import Trials
from cellab.lineage import Lineage
from cellab.store import Store

STOP_SECONDS = 10.0
TUNE_SECONDS = 60.0  # to take its trials down; if it still asked Ray while that is shut down, the process would crash
BESIDES_DRIVERS = 1000  # calls of tasks that a broker hears at once, while every driver waits for an outcome
BROKER_RESTARTS = 10


class OnRay:
    """Runs on a Ray cluster.

    Args:
        address: of one that every node reaches the store of; None: one is started on this machine.
        logs: where Tune writes its own files.

    Raises:
        CellabError: a name in the command, the working directory or where modules are looked for is not UTF-8.
    """

    def __init__(self, address: str | None, logs: Path) -> None:
        self.address = address
        self.logs = logs
        _check_names()

    @contextmanager
    def connected(self, observer: Observer) -> Iterator[None]:
        """Joins the cluster, or starts one."""
        observer.tell("Starting Ray ..." if self.address is None else f"Joining Ray at {self.address} ...")
        with observer.uninterrupted():  # half a cluster would leave processes behind
            disconnect = connect(self.address, tell=observer.warn)
        try:
            observer.check()
            yield
        finally:
            disconnect()

    def run(self, lineages: Iterable[Lineage | None], store: Store, data_path: Path, observer: Observer) -> Executed:
        """Runs each lineage as a Tune trial on the connected cluster; see `Executor`."""
        supply = Supply(lineages, observer, _slots)
        slots = _slots(supply.come.values())
        most = 2 * slots + 2  # trials under way
        tasks = RayTasks(store.url, data_path)
        broker = _broker(most).remote(slots, tasks, list(supply.come.values()))
        supply.begin(broker, most)
        watch = _Watch(broker, Heartbeat(own=self.address is None), observer)
        trials = Trials(supply, broker, self.logs, observer)
        observer.watch(watch.look)
        try:
            trials.run(watch.check)
            last: Snapshot = answer(broker.snapshot.remote)
            observer.watch(lambda: last)
            return Executed(supply.all_endings(), last)
        except KeyboardInterrupt as error:
            observer.stopping()
            stopped = _stop(supply, broker, observer)
            trials.stop(TUNE_SECONDS)
            raise Stopped(stopped) from error
        except (_GoneError, ray.exceptions.RayError) as error:
            observer.stopping()
            observer.watch(lambda: watch.seen)
            trials.stop(seconds=0.0)
            raise Lost(watch.lost() or in_words(error), Executed(supply.known_endings(), watch.seen)) from error
        finally:
            if not watch.lost():
                ray.kill(broker)


def _broker(most: int) -> Any:
    """The actor's class, for so many trials under way: on this node, started again where it dies."""
    actor: Any = ray.remote(Broker)
    return actor.options(
        num_cpus=0,
        scheduling_strategy=NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False),
        max_concurrency=most + BESIDES_DRIVERS,
        max_restarts=BROKER_RESTARTS,
    )


class _Watch:
    """Looks at a broker and at the cluster, and remembers what was seen."""

    def __init__(self, broker: Any, heartbeat: Heartbeat, observer: Observer) -> None:
        self.broker = broker
        self.lost = heartbeat.lost
        self.observer = observer
        self.seen = NOTHING

    def look(self) -> Snapshot:
        """The state now."""
        before, self.seen = self.seen, ray.get(self.broker.snapshot.remote(), timeout=STOP_SECONDS)
        if len(self.seen.ended) < len(before.ended):
            self.observer.warn("the process that hands out stages died, and was started again.")
        return self.seen

    def check(self) -> None:
        """Raises what the observer does, or that the cluster has gone."""
        self.observer.check()
        if why := self.lost():
            raise _GoneError(why)


class _GoneError(Exception):
    """The cluster is there no more."""


def _check_names() -> None:
    for name in [*sys.argv, str(Path.cwd()), *sys.path]:
        try:
            name.encode()
        except UnicodeEncodeError:
            raise CellabError(
                f"{name}: Ray takes only names in UTF-8. Rename it or go elsewhere, or use executor=inline."
            ) from None


def _stop(supply: Supply, broker: Any, observer: Observer) -> Executed:
    try:
        state: State = ray.get(broker.stop.remote(), timeout=STOP_SECONDS)
    except ray.exceptions.RayError:  # of those that had not ended nothing is known but what is stored
        return Executed(supply.endings, NOTHING)
    observer.watch(lambda: state.snapshot)
    endings = endings_when_stopped(supply.come, supply.endings, state.running, state.waiting, state.failed)
    return Executed(endings, state.snapshot)


def _slots(lineages: Iterable[Lineage]) -> int:
    """How many stages can run at once."""
    wanted = [stage for lineage in lineages for stage in lineage.stages]
    have = ray.cluster_resources()  # type: ignore[no-untyped-call]
    threads = max((stage.threads for stage in wanted), default=1)
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    largest_node = max(int(node["Resources"].get("CPU", 0)) for node in nodes if node["Alive"])
    if threads > largest_node:
        raise CellabError(f"resources.threads: {threads} are more than the {largest_node} CPUs of the largest node.")
    by_cpu = int(have.get("CPU", 1)) // threads
    if any(stage.device == "cuda" for stage in wanted):
        if not have.get("GPU"):
            raise CellabError("resources.device: the Ray cluster has no GPU: use resources.device=cpu.")
        return max(1, min(by_cpu, int(have["GPU"] / wanted[0].limits.gpu_share)))
    return max(1, by_cpu)
