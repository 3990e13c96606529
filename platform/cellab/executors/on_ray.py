"""Runs lineages on Ray: one Tune trial a lineage, one task a stage, each stage once whoever asks for it."""

import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from cellab.errors import CellabError
from cellab.executors.broker import Broker, State
from cellab.executors.connecting import connect
from cellab.executors.driver import Ending, StageError, drive, in_words
from cellab.executors.monitor import NOTHING, Snapshot
from cellab.executors.protocol import Executed, Observer, Stopped
from cellab.executors.ray_runner import RayRunner
from cellab.executors.stopping import endings_when_stopped
from cellab.executors.supply import Config, Supply, TrialReport
from cellab.executors.tasks import RayTasks
from cellab.lineage import Lineage
from cellab.store import Store

STOP_SECONDS = 10.0
BESIDES_DRIVERS = 1000  # calls of tasks that a broker hears at once, while every driver waits for an outcome
DRIVER_CPUS = 0.001  # of a trial's light driver
UNLIMITED = 10**9  # trials: as many as there are lineages


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
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        supply = Supply(lineages, observer, _slots)
        slots = _slots(supply.come.values())
        most = 2 * slots + 2  # trials under way
        actor: Any = ray.remote(Broker)
        broker = actor.options(num_cpus=0, scheduling_strategy=here, max_concurrency=most + BESIDES_DRIVERS).remote(
            slots, RayTasks(store.url, data_path), list(supply.come.values())
        )
        supply.begin(broker, most)
        observer.watch(lambda: ray.get(broker.snapshot.remote()))
        try:
            _tune(supply, broker, self.logs, observer)
            last: Snapshot = ray.get(broker.snapshot.remote())
            observer.watch(lambda: last)
            return Executed(supply.all_endings(), last)
        except KeyboardInterrupt as error:
            observer.stopping()
            raise Stopped(_stop(supply, broker, observer)) from error
        finally:
            ray.kill(broker)


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


def _tune(supply: Supply, broker: Any, logs: Path, observer: Observer) -> None:
    trainable = tune.with_resources(
        tune.with_parameters(_trainable, broker=broker), tune.PlacementGroupFactory([{"CPU": DRIVER_CPUS}])
    )
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(search_alg=supply, num_samples=UNLIMITED),
        run_config=tune.RunConfig(
            name=f"{logs.parent.name}-{time.strftime('%Y%m%d-%H%M%S')}",
            storage_path=str(logs.absolute()),
            verbose=0,
            callbacks=[_Attention(observer)],
        ),
    )
    # Tune prints a table whatever its verbosity, and has its own idea of Ctrl-C
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
    # nor is what it cannot write, on a full disk, of use to anybody: the store is the truth
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        tuner.fit()


class _Attention(tune.Callback):
    """Sees to a Ctrl-C that was swallowed somewhere in Ray."""

    def __init__(self, observer: Observer) -> None:
        self.observer = observer

    def on_step_begin(self, iteration: int, trials: Any, **info: Any) -> None:  # noqa: ARG002
        """Before each of Tune's steps."""
        self.observer.check()

    def __getstate__(self) -> dict[str, object]:
        """Tune keeps its callbacks in a file, for who would go on from there."""
        return {}


def _trainable(config: Config, broker: Any) -> TrialReport:
    """One trial: a light driver."""
    lineage: Lineage = ray.get(broker.lineage.remote((config["arm"], config["seed"])))
    try:
        ending = drive(lineage, RayRunner(broker), tune.report)
    except Exception as error:  # noqa: BLE001 - whatever it is, it ends this trial alone
        ending = Ending("failed", in_words(error), error.part if isinstance(error, StageError) else None)
    last = len(lineage.generations)
    return {"generation": last, "status": ending.status, "message": ending.message, "stage": ending.stage}
