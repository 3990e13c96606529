"""Runs a study from plan to report, in its own folder."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from cellab import interruption
from cellab.cli.display import Display
from cellab.errors import CellabError, reason
from cellab.executors.monitor import Monitor, Snapshot
from cellab.executors.stopping import Endings, Stopped
from cellab.provenance import provenance
from cellab.reports import write_reports
from cellab.results import write_results
from cellab.seen_content import check_content
from cellab.stage import HOWS, How
from cellab.store import Store
from cellab.study import Study, plan
from cellab.study_files.claim import claim_folder
from cellab.study_files.folder import StudyFolder
from cellab.study_files.records import Ranking


@dataclass(frozen=True)
class Ran:
    """What came of a study.

    Args:
        ranking: of its arms.
        stages: how many ended how, of those that were needed; one that failed for several trials counts for each.
    """

    ranking: Ranking
    stages: dict[How, int]


def run_study(study: Study, store: Store, folder: StudyFolder, address: str | None, console: Console) -> Ran:
    """Runs what is not stored, and writes everything that a study leaves.

    Args:
        study: what to run.
        store: where stages' results live.
        folder: of the study, claimed by `alone` and seen to be free for it by `check_folder`
            (`cellab.study_files.claim`).
        address: of a Ray cluster, or None for one of its own.
        console: where progress is shown.

    Returns:
        The ranking, and how many stages were computed, reused and so on.

    Raises:
        CellabError: the cluster does not answer; the folder cannot be written.
        DataError: the data set's content is not what its digest says.
        KeyboardInterrupt: Ctrl-C; what is finished is stored, and results so far are written.
    """
    check_content(study.data_path, store)
    planned = plan(study, store)
    _announce(planned, console)
    with interruption.stoppable(), _executor(study, address, console) as execute:
        interruption.listen()  # Ray, connected by now, has put a handler of its own there that aborts
        claim_folder(study, planned, folder)
        return _run(study, store, folder, console, execute)


# runs all trials: given the store, the folder and the display, tells how each of them ended
Execute = Callable[[Study, Store, StudyFolder, Display], Endings]


def _run(study: Study, store: Store, folder: StudyFolder, console: Console, execute: Execute) -> Ran:
    started, display = time.monotonic(), Display(console)
    try:
        with display:
            endings = execute(study, store, folder, display)
    except KeyboardInterrupt as stop:
        interruption.received()
        console.print("\nStopping: results so far are being written ...", style="dim")
        endings = stop.endings if isinstance(stop, Stopped) else {}
        _finish(study, store, endings, folder, time.monotonic() - started, display.last)
        done = sum(count["stored"] for count in plan(study, store)["stages"].values())
        console.print(
            f"Stopped. {done} of {len(study.stages)} stages are finished and stored; unfinished ones go on from "
            f"their checkpoints.\nThe same command goes on from here. So far: {folder.report}",
            highlight=False,
            soft_wrap=True,
        )
        raise
    interruption.received()
    return _finish(study, store, endings, folder, time.monotonic() - started, display.last)


@contextmanager
def _executor(study: Study, address: str | None, console: Console) -> Iterator[Execute]:
    """What runs the study: this process, or Ray, which is connected as long as the block lasts."""
    if study.config.lineage.executor == "inline":
        if address is not None:
            raise CellabError(f"--address {address}: executor=inline runs in this process; leave one of them out.")
        yield _inline
        return

    from cellab.executors import on_ray

    console.print("Starting Ray ..." if address is None else f"Joining Ray at {address} ...", style="dim")
    with interruption.deferred():  # half a cluster would leave processes behind
        disconnect = on_ray.connect(
            address, tell=lambda notice: console.print(f"notice: {notice}", style="yellow", soft_wrap=True)
        )
    try:
        interruption.check()
        yield lambda study, store, folder, display: on_ray.run_study(study, store, folder.ray_logs, display.watch)
    finally:
        disconnect()


def _inline(study: Study, store: Store, folder: StudyFolder, display: Display) -> Endings:  # noqa: ARG001
    from cellab.executors import inline

    monitor = Monitor.of(study.stages.values(), slots=1)
    display.watch(monitor.snapshot)
    return inline.run_study(study, store, monitor)


def _finish(
    study: Study, store: Store, endings: Endings, folder: StudyFolder, seconds: float, last: Snapshot | None
) -> Ran:
    hows = [ended.how for ended in last.ended] if last else []
    counts = {how: hows.count(how) for how in HOWS}
    described = provenance(study, seconds, counts)
    try:
        ranking = write_results(study, store, endings, folder)
        folder.write_provenance(described)
        write_reports(folder.path)
    except OSError as error:
        raise CellabError(
            f"the results in {folder.path} could not be written: {reason(error)}. Finished stages are stored: "
            f"when that is mended, the same command writes the results."
        ) from error
    return Ran(ranking, counts)


def _announce(planned: dict[str, Any], console: Console) -> None:
    distinct = sum(count["distinct"] for count in planned["stages"].values())
    stored = sum(count["stored"] for count in planned["stages"].values())
    reuse = f", {stored} of them finished before and reused" if stored else ""
    console.print(
        f"{planned['study']}: {planned['trials']} trials, {distinct} distinct stages{reuse}.", highlight=False
    )


def check_names(study: Study) -> None:
    """Sees that Ray, where it is to run the study, can be started with these names.

    Raises:
        CellabError: a name in the command, the working directory or where modules are looked for is not UTF-8.
    """
    for name in [] if study.config.lineage.executor == "inline" else [*sys.argv, str(Path.cwd()), *sys.path]:
        try:
            name.encode()
        except UnicodeEncodeError:
            raise CellabError(
                f"{name}: Ray takes only names in UTF-8. Rename it or go elsewhere, or use executor=inline."
            ) from None
