"""Runs trials under Ray Tune, in a thread of its own: where Ray hangs or dies, the command does not."""

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from ray import tune

from cellab.executors.driver import Ending, StageError, drive, in_words
from cellab.executors.protocol import Observer
from cellab.executors.ray_runner import RayRunner, answer
from cellab.executors.supply import Config, Supply, TrialReport
from cellab.lineage import Lineage

LOOK_SECONDS = 0.2
DRIVER_CPUS = 0.001  # of a trial's light driver
DRIVER_RESTARTS = 3  # it knows nothing that it could not ask for again
UNLIMITED = 10**9  # trials: as many as there are lineages


class Trials:
    """A Tune trial for each lineage of a supply.

    Args:
        supply: gives lineages, and hears how they ended.
        broker: of their stages.
        logs: where Tune writes its own files.
        observer: told of drivers that died.
    """

    def __init__(self, supply: Supply, broker: Any, logs: Path, observer: Observer) -> None:
        self._supply = supply
        self._broker = broker
        self._logs = logs
        self._observer = observer
        self._is_over = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def run(self, check: Callable[[], None]) -> None:
        """Runs them to their end; raises what `check`, which is called now and then, or Tune raises."""
        self._thread.start()
        while self._thread.is_alive():
            self._thread.join(LOOK_SECONDS)
            check()
        if self._error:
            raise self._error

    def stop(self, seconds: float) -> None:
        """Gives them up; waits at most so long until Tune has heard of it."""
        self._is_over.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            self._fit()
        except BaseException as error:  # noqa: BLE001 - whoever waits raises it
            self._error = error

    def _fit(self) -> None:
        trainable = tune.with_resources(
            tune.with_parameters(_trainable, broker=self._broker), tune.PlacementGroupFactory([{"CPU": DRIVER_CPUS}])
        )
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(search_alg=self._supply, num_samples=UNLIMITED),
            run_config=tune.RunConfig(
                name=f"{self._logs.parent.name}-{time.strftime('%Y%m%d-%H%M%S')}",
                storage_path=str(self._logs.absolute()),
                verbose=0,
                callbacks=[_Attention(self._is_over, self._observer)],
                failure_config=tune.FailureConfig(max_failures=DRIVER_RESTARTS),
            ),
        )
        # Tune prints a table whatever its verbosity, and has its own idea of Ctrl-C
        os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
        # nor is what it cannot write, on a full disk, of use to anybody: the store is the truth
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
            tuner.fit()


class _GivenUpError(Exception):
    """Nobody waits for Tune any more."""


class _Attention(tune.Callback):
    """Ends Tune once it is given up, and tells of drivers that died."""

    def __init__(self, is_over: threading.Event, observer: Observer) -> None:
        self.is_over = is_over
        self.observer = observer

    def on_step_begin(self, iteration: int, trials: Any, **info: Any) -> None:  # noqa: ARG002
        """Before each of Tune's steps."""
        if self.is_over.is_set():
            raise _GivenUpError

    def on_trial_recover(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:  # noqa: ARG002
        """A driver has died, and is started again."""
        self.observer.warn(f"{trial.config['arm']} seed={trial.config['seed']}: its driver died, and is started again.")

    def __getstate__(self) -> dict[str, object]:
        """Tune keeps its callbacks in a file, for who would go on from there."""
        return {}


def _trainable(config: Config, broker: Any) -> TrialReport:
    """One trial: a light driver."""
    lineage: Lineage = answer(lambda: broker.lineage.remote((config["arm"], config["seed"])))
    try:
        ending = drive(lineage, RayRunner(broker), tune.report)
    except Exception as error:  # noqa: BLE001 - whatever it is, it ends this trial alone
        ending = Ending("failed", in_words(error), error.part if isinstance(error, StageError) else None)
    last = len(lineage.generations)
    return {"generation": last, "status": ending.status, "message": ending.message, "stage": ending.stage}
