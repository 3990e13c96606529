"""Runs a study on Ray: one Tune trial a lineage, one task a stage, each stage once whoever asks for it."""

import logging
import os
import socket
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from cellab import interruption, stages
from cellab.errors import CellabError
from cellab.executors.driver import Ending, drive, in_words
from cellab.executors.monitor import Monitor, Snapshot
from cellab.executors.stopping import Endings, Stopped, endings_when_stopped
from cellab.lineage import Lineage
from cellab.stage import Outcome, Progress, Stage
from cellab.store import Store
from cellab.study import Study

PROGRESS_SECONDS = 1.0
CONNECT_SECONDS = 5.0
STOP_SECONDS = 10.0
DRIVER_CPUS = 0.001  # of a trial's light driver
DRIVERS_SHARE = 0.01  # of a stage's CPUs, left to the drivers: else two CPUs would hold one stage and some drivers
OBJECT_STORE_BYTES = 256 * 2**20  # only requests and metrics go through it


@ray.remote(num_cpus=0)
class Broker:
    """Hands out references to stages, so that each runs once, and knows how far they are.

    Args:
        store_url: where results are read and written.
        data_path: the data set's file.
        wanted: all distinct stages of the study.
        slots: how many can run at once.
    """

    def __init__(self, store_url: str, data_path: Path, wanted: list[Stage], slots: int) -> None:
        self.store = Store(store_url)
        self.data_path = data_path
        self.monitor = Monitor.of(wanted, slots)
        self.references: dict[str, ray.ObjectRef[Outcome]] = {}
        self.stages: dict[str, Stage] = {}
        self.endings: Endings = {}

    def ask(self, wanted: list[Stage]) -> dict[str, "ray.ObjectRef[Outcome]"]:
        """References to the outcomes of stages; begins those that nobody asked for before."""
        return {stage.key: self._reference(stage) for stage in wanted}

    def _reference(self, stage: Stage) -> "ray.ObjectRef[Outcome]":
        if stage.key not in self.references:
            self.stages[stage.key] = stage
            self.references[stage.key] = self._begin(stage)
        return self.references[stage.key]

    def _begin(self, stage: Stage) -> "ray.ObjectRef[Outcome]":
        if self.store.is_sound(stage.key):
            self.monitor.end(stage, "reused")
            return ray.put(self.store.outcome(stage.key))
        self.store.discard(stage.key)
        task = run_stage.options(
            name=stage.label,
            num_cpus=stage.threads - DRIVERS_SHARE,
            num_gpus=stage.gpu_share if stage.device == "cuda" else 0,
            scheduling_strategy="DEFAULT",
        )
        needs = [self.references[key] for key in stage.needs]
        broker = ray.get_runtime_context().current_actor
        reference: ray.ObjectRef[Outcome] = task.remote(stage, self.store.url, self.data_path, broker, *needs)
        return reference

    def begin(self, key: str) -> None:
        """A stage begins."""
        self.monitor.begin(self.stages[key])

    def progress(self, key: str, step: int, steps: int) -> None:
        """A stage is at a step."""
        self.monitor.progress(key, step, steps)

    def end(self, key: str, how: Any) -> None:
        """A stage has ended."""
        self.monitor.end(self.stages[key], how)

    def end_trial(self, arm: str, seed: int, ending: Ending) -> None:
        """A trial has ended."""
        self.endings[arm, seed] = ending

    def stop(self) -> "State":
        """The study is stopped: how far it has come."""
        running = self.monitor.stop()
        return State(self.monitor.snapshot(), self.endings, running, tuple(self.monitor.waiting))

    def snapshot(self) -> Snapshot:
        """The state of the study now."""
        return self.monitor.snapshot()


@dataclass(frozen=True)
class State:
    """How far a study had come when it was stopped.

    Args:
        snapshot: of its stages, those that ran stopped.
        endings: of the trials that had ended.
        running: keys of the stages that ran.
        waiting: keys of those that had not begun.
    """

    snapshot: Snapshot
    endings: Endings
    running: tuple[str, ...]
    waiting: tuple[str, ...]


@ray.remote(max_retries=1)
def run_stage(stage: Stage, store_url: str, data_path: Path, broker: Any, *needs: Outcome) -> Outcome:
    """The task of one stage; its needs' outcomes come resolved."""
    for outcome in needs:
        if outcome.diverged:
            broker.end.remote(stage.key, "skipped")
            return Outcome(stage.key, {"diverged": outcome.diverged})
    broker.begin.remote(stage.key)
    how = "stopped"
    try:
        outcome = stages.run(stage, Store(store_url), data_path, _throttled(broker, stage.key))
        how = "diverged" if outcome.diverged else "finished"
        return outcome
    except Exception:
        how = "failed"
        raise
    finally:
        broker.end.remote(stage.key, how)


def _throttled(broker: Any, key: str) -> Progress:
    last = 0.0

    def progress(step: int, steps: int) -> None:
        nonlocal last
        if (now := time.monotonic()) - last >= PROGRESS_SECONDS:
            last = now
            broker.progress.remote(key, step, steps)

    return progress


class RayRunner:
    """Asks a broker for stages.

    Args:
        broker: the actor.
    """

    def __init__(self, broker: Any) -> None:
        self.broker = broker
        self.references: dict[str, ray.ObjectRef[Outcome]] = {}

    def start(self, lineage: Lineage) -> None:
        """Asks for all stages of the lineage at once."""
        self.references |= ray.get(self.broker.ask.remote(list(lineage.stages)))

    def wait(self, key: str) -> Outcome:
        """Waits for one."""
        try:
            return ray.get(self.references[key])
        except ray.exceptions.RayTaskError as error:
            raise CellabError(_reason(error)) from error
        except ray.exceptions.RayError as error:
            raise CellabError(f"{type(error).__name__}: {error}".partition("\n")[0]) from error


def _reason(error: ray.exceptions.RayTaskError) -> str:
    """What went wrong in the task; the traceback is in Ray's logs."""
    cause: BaseException = error
    while isinstance(cause, ray.exceptions.RayTaskError) and isinstance(cause.cause, BaseException):
        cause = cause.cause
    return in_words(cause)


def connect(address: str | None, temporary: str | None = None) -> Callable[[], None]:
    """Joins the Ray cluster at an address, or starts one on this machine; a connection that there is stays.

    Returns:
        What takes this connection, and a cluster started here, down again.

    Raises:
        CellabError: nothing answers at the address.
    """
    if ray.is_initialized():
        return lambda: None
    if address is not None:
        _check_answers(address)
        try:
            ray.init(address, logging_level=logging.ERROR, log_to_driver=False)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise CellabError(_no_answer(address, str(error).partition("\n")[0])) from error
    else:
        ray.init(
            "local",
            include_dashboard=False,
            logging_level=logging.ERROR,
            log_to_driver=False,
            object_store_memory=OBJECT_STORE_BYTES,
            _temp_dir=temporary,
        )
    return ray.shutdown


def _check_answers(address: str) -> None:
    """Asks the port itself: Ray's own attempt takes minutes to give up."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address in ("auto", "local"):
        return
    if not port.isdigit():
        raise CellabError(f"--address {address}: an address is HOST:PORT, ray://HOST:PORT or auto.")
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise CellabError(_no_answer(address, str(error))) from error


def _no_answer(address: str, why: str) -> str:
    return f"no Ray cluster answers at {address} ({why}): start one with `ray start --head`, or leave --address out."


def run_study(
    study: Study, store: Store, logs: Path, watch: Callable[[Callable[[], Snapshot]], Any] = lambda _snapshot: None
) -> Endings:
    """Runs every trial as a Tune trial on the connected cluster; one that fails does not stop the others.

    Args:
        study: what to run.
        store: where results are read and written; every node must reach it.
        logs: where Tune writes its own files.
        watch: given a function that tells the state of the study, before it begins.

    Returns:
        How each trial ended, by (arm, seed).

    Raises:
        CellabError: a stage needs more than any node of the cluster has.
        Stopped: Ctrl-C, with the endings so far.
    """
    wanted = list(study.stages.values())
    slots = _slots(wanted)
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    broker = Broker.options(scheduling_strategy=here).remote(store.url, study.data_path, wanted, slots)  # type: ignore[attr-defined]
    watch(lambda: ray.get(broker.snapshot.remote()))
    try:
        endings = _tune(study, broker, logs, slots)
        last = ray.get(broker.snapshot.remote())
        watch(lambda: last)
        return endings
    except KeyboardInterrupt as error:
        interruption.received()
        raise Stopped(_stop(study, broker, watch)) from error
    finally:
        ray.kill(broker)


def _stop(study: Study, broker: Any, watch: Callable[[Callable[[], Snapshot]], Any]) -> Endings:
    try:
        state: State = ray.get(broker.stop.remote(), timeout=STOP_SECONDS)
    except ray.exceptions.RayError:  # nothing is known but what is stored
        return {}
    watch(lambda: state.snapshot)
    return endings_when_stopped(study, state.endings, state.running, state.waiting)


def _slots(wanted: list[Stage]) -> int:
    """How many stages can run at once."""
    have = ray.cluster_resources()  # type: ignore[no-untyped-call]
    threads = max(stage.threads for stage in wanted)
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    largest_node = max(int(node["Resources"].get("CPU", 0)) for node in nodes if node["Alive"])
    if threads > largest_node:
        raise CellabError(f"resources.threads: {threads} are more than the {largest_node} CPUs of the largest node.")
    by_cpu = int(have.get("CPU", 1)) // threads
    if any(stage.device == "cuda" for stage in wanted):
        if not have.get("GPU"):
            raise CellabError("resources.device: the Ray cluster has no GPU: use resources.device=cpu.")
        return max(1, min(by_cpu, int(have["GPU"] / wanted[0].gpu_share)))
    return max(1, by_cpu)


def _tune(study: Study, broker: Any, logs: Path, slots: int) -> Endings:
    lineages = {(trial.arm.name, trial.seed): trial.lineage for trial in study.trials}
    trainable = tune.with_resources(
        tune.with_parameters(_trainable, lineages=lineages, broker=broker),
        tune.PlacementGroupFactory([{"CPU": DRIVER_CPUS}]),
    )
    tuner = tune.Tuner(
        trainable,
        param_space={
            "arm": tune.grid_search([arm.name for arm in study.arms]),
            "seed": tune.grid_search(list(study.ablation.seeds)),
        },
        tune_config=tune.TuneConfig(metric="generation", mode="max", max_concurrent_trials=2 * slots + 2),
        run_config=tune.RunConfig(
            name=f"{study.name}-{time.strftime('%Y%m%d-%H%M%S')}", storage_path=str(logs.absolute()), verbose=0
        ),
    )
    # Tune prints a table whatever its verbosity, and has its own idea of Ctrl-C
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        results = tuner.fit()
    return _endings(study, results)


def _trainable(config: dict[str, Any], lineages: dict[tuple[str, int], Lineage], broker: Any) -> dict[str, Any]:
    """One trial: a light driver."""
    lineage = lineages[config["arm"], config["seed"]]
    try:
        ending = drive(lineage, RayRunner(broker), tune.report)
    except Exception as error:  # noqa: BLE001 - whatever it is, it ends this trial alone
        ending = Ending("failed", in_words(error))
    ray.get(broker.end_trial.remote(config["arm"], config["seed"], ending))
    return {"generation": len(lineage.generations), "status": ending.status, "message": ending.message}


def _endings(study: Study, results: tune.ResultGrid) -> Endings:
    endings = {(t.arm.name, t.seed): Ending("stopped", "the trial did not begin") for t in study.trials}
    for result in (results[i] for i in range(len(results))):
        metrics = result.metrics or {}
        config = result.config or {}
        if "status" in metrics:
            ending = Ending(metrics["status"], metrics["message"])
        else:
            ending = Ending("failed", f"the trial's driver died: {result.error}")
        endings[config["arm"], config["seed"]] = ending
    return endings
