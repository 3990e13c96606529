"""Runs a study on Ray: one Tune trial a lineage, one task a stage, each stage once whoever asks for it."""

import logging
import os
import secrets
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, redirect_stdout
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from cellab import interruption
from cellab.errors import CellabError
from cellab.executors.broker import Broker, State
from cellab.executors.driver import Ending, drive, in_words
from cellab.executors.monitor import Snapshot
from cellab.executors.stopping import Endings, Stopped, endings_when_stopped
from cellab.executors.temporary import temporary_folder
from cellab.lineage import Lineage
from cellab.outcomes import Outcome
from cellab.stage import Stage
from cellab.store import Store
from cellab.study import Study

CONNECT_SECONDS = 5.0
STOP_SECONDS = 10.0
DRIVER_CPUS = 0.001  # of a trial's light driver
OBJECT_STORE_BYTES = 256 * 2**20  # only requests and metrics go through it


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


def connect(
    address: str | None, temporary: str | None = None, tell: Callable[[str], Any] = lambda _notice: None
) -> Callable[[], None]:
    """Joins the Ray cluster at an address, or starts one on this machine; a connection that there is stays.

    Args:
        address: of a cluster, or None.
        temporary: the folder for the sockets and logs of one that is started; by default the surroundings'.
        tell: told where these are, if not there.

    Returns:
        What takes this connection, and a cluster started here, down again.

    Raises:
        CellabError: nothing answers at the address, or no cluster can be started here.
    """
    if ray.is_initialized():
        return lambda: None
    with ExitStack() as stack:
        if address is None and temporary is None:
            temporary = stack.enter_context(temporary_folder(tell))
        stack.callback(ray.shutdown)
        if address is None:
            _start(temporary)
        else:
            _join(address)
        return stack.pop_all().close


def _join(address: str) -> None:
    _check_answers(address)
    try:
        ray.init(address, logging_level=logging.ERROR, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise CellabError(_no_answer(address, str(error).partition("\n")[0])) from error


def _start(temporary: str | None) -> None:
    _provide_token()
    try:
        ray.init(
            "local",
            include_dashboard=False,
            logging_level=logging.ERROR,
            log_to_driver=False,
            object_store_memory=OBJECT_STORE_BYTES,
            _temp_dir=temporary,
        )
    except SystemExit as error:  # Ray's answer to SIGTERM
        raise KeyboardInterrupt from error
    except Exception as error:
        raise CellabError(
            f"Ray did not start on this machine ({in_words(error)}): executor=inline runs the study without it."
        ) from error


def _provide_token() -> None:
    """Ray keeps the token of its clusters in the home folder; where nothing can be kept, this one has its own."""
    if "RAY_AUTH_TOKEN" in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ:
        return
    try:
        folder = Path.home() / ".ray"
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "auth_token").exists() or os.access(folder, os.W_OK):
            return
    except (OSError, RuntimeError):  # no such folder can be made, or nobody knows where home is
        pass
    os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(16)


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
            name=f"{study.name}-{time.strftime('%Y%m%d-%H%M%S')}",
            storage_path=str(logs.absolute()),
            verbose=0,
            callbacks=[_Attention()],
        ),
    )
    # Tune prints a table whatever its verbosity, and has its own idea of Ctrl-C
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
    # nor is what it cannot write, on a full disk, of use to anybody: the store is the truth
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        results = tuner.fit()
    return _endings(study, results)


class _Attention(tune.Callback):
    """Sees to a Ctrl-C that was swallowed somewhere in Ray."""

    def on_step_begin(self, iteration: int, trials: Any, **info: Any) -> None:  # noqa: ARG002
        """Before each of Tune's steps."""
        interruption.check()


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
