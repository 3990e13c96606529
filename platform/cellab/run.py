"""Runs a study from plan to report, in its own folder."""

import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from cellab.errors import CellabError, UnfinishedError, reason
from cellab.executors import protocol
from cellab.executors.driver import Ending
from cellab.executors.monitor import NOTHING
from cellab.executors.protocol import Endings, Executed, Executor, Lost, Stopped
from cellab.provenance import provenance
from cellab.recording import recorded
from cellab.reports import write_reports
from cellab.results import write_results
from cellab.seen_content import check_content
from cellab.stage import HOWS, How
from cellab.store import Store
from cellab.study import Study, plan
from cellab.study_files.claim import claim_folder
from cellab.study_files.folder import StudyFolder
from cellab.study_files.records import Plan, Ranking


class Observer(protocol.Observer, Protocol):
    """Who watches a study."""

    def planned(self, planned: Plan) -> None:
        """Told what it will take."""

    def connected(self) -> None:
        """Told that libraries have been started, which may have put handlers of their own on signals."""

    def running(self) -> AbstractContextManager[None]:
        """While the block lasts stages run, and `watch` tells how they are."""

    def stopped(self, done: int, stages: int, report: Path) -> None:
        """Told that it was stopped, and that this is written down: how many of its stages are stored, and where."""


class Nobody(protocol.Nobody, Observer):
    """An observer who lets everything happen, and is told in vain."""

    def running(self) -> AbstractContextManager[None]:
        """Does not look."""
        return nullcontext()


@dataclass(frozen=True)
class Ran:
    """What came of a study.

    Args:
        ranking: of its arms.
        stages: how many ended how, of those that were needed; one that failed for several trials counts for each.
    """

    ranking: Ranking
    stages: dict[How, int]


def run_study(study: Study, store: Store, folder: StudyFolder, executor: Executor, observer: Observer) -> Ran:
    """Runs what is not stored, and writes everything that a study leaves.

    Args:
        study: what to run.
        store: where stages' results live.
        folder: of the study, claimed by `alone` and seen to be free for it by `check_folder`
            (`cellab.study_files.claim`).
        executor: what runs its lineages.
        observer: who watches.

    Returns:
        The ranking, and how many stages were computed, reused and so on.

    Raises:
        CellabError: what the executor needs cannot be had; the folder cannot be written.
        UnfinishedError: what it ran on has gone before the end; results so far are written.
        DataError: the data set's content is not what its digest says.
        KeyboardInterrupt: the observer wanted it stopped; what is finished is stored, and results so far are written.
    """
    check_content(study.data_path, store)
    planned = plan(study, store)
    observer.planned(planned)
    for notice in study.notices:
        observer.warn(notice)
    with executor.connected(observer):
        observer.connected()
        claim_folder(study, planned, folder)
        with recorded(observer, study.name, len(study.trials), folder) as watched:
            return _run(study, store, folder, executor, watched)


def _run(study: Study, store: Store, folder: StudyFolder, executor: Executor, observer: Observer) -> Ran:
    started = time.monotonic()
    try:
        with observer.running():
            executed = executor.run(study.lineages, store, study.data_path, observer)
    except KeyboardInterrupt as stop:  # which may come before the executor sees to it
        observer.stopping()
        stopped = stop.executed if isinstance(stop, Stopped) else Executed({}, NOTHING)
        stopped = replace(stopped, endings=with_earlier_failures(stopped.endings, folder))
        _finish(study, store, stopped, folder, time.monotonic() - started)
        done = len(store.stored(list(study.stages)))
        observer.stopped(done, len(study.stages), folder.report)
        raise
    except Lost as lost:
        observer.stopping()
        executed = replace(lost.executed, endings=with_earlier_failures(lost.executed.endings, folder))
        _finish(study, store, executed, folder, time.monotonic() - started)
        done = len(store.stored(list(study.stages)))
        raise UnfinishedError(
            f"{lost}. {done} of {len(study.stages)} stages are finished and stored, and the same command goes on from "
            f"there; results so far: {folder.report}"
        ) from lost
    observer.stopping()
    return _finish(study, store, executed, folder, time.monotonic() - started)


def with_earlier_failures(endings: Endings, folder: StudyFolder) -> Endings:
    """Endings of a study that was stopped: what failed in an earlier run, and is not known to do better, has failed.

    Args:
        endings: as far as they are known.
        folder: of the study, with what earlier runs left.
    """
    try:
        earlier = folder.read_ranking()
    except CellabError:  # there was none, or nobody can tell what it said
        return endings
    failed = {
        (arm.arm, trial.seed): Ending("failed", trial.message, trial.stage)
        for arm in earlier.arms
        for trial in arm.trials
        if trial.status == "failed"
    }
    return failed | {key: ending for key, ending in endings.items() if ending.status != "stopped" or key not in failed}


def _finish(study: Study, store: Store, executed: Executed, folder: StudyFolder, seconds: float) -> Ran:
    hows = [ended.how for ended in executed.snapshot.ended]
    counts = {how: hows.count(how) for how in HOWS}
    ran = {ended.key for ended in executed.snapshot.ended if ended.how in ("finished", "diverged")}
    described = provenance(study, seconds, counts)
    try:
        ranking = write_results(study, store, executed.endings, folder, ran)
        folder.write_provenance(described)
        write_reports(folder.path)
    except OSError as error:
        raise CellabError(
            f"the results in {folder.path} could not be written: {reason(error)}. Finished stages are stored: "
            f"when that is mended, the same command writes the results."
        ) from error
    return Ran(ranking, counts)
