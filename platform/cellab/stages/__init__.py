"""The stages of a lineage, and how one is run: once, inside the store."""

import functools
import importlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from cellab.costs import recorded
from cellab.errors import CellabError, DivergedError
from cellab.fingerprint import stage_fingerprint
from cellab.outcomes import METRICS, Diverged, Outcome
from cellab.requests import Request, Result, as_json
from cellab.seen_content import checked_file
from cellab.stage import CheckpointFile, Progress, Stage, Watch, Workplace
from cellab.stage_kinds import kind_of
from cellab.store import Store

CHECKPOINT_SECONDS = 60.0


def obtain(
    stage: Stage,
    store: Store,
    data_path: Path,
    needs: Iterable[Outcome],
    watch: Watch,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> Outcome:
    """The outcome of a stage: skipped where one that it reads diverged, stored already, or computed now.

    While another study that shares the store computes the stage, this one waits for it.

    Args:
        stage: whose outcome is wanted.
        store: where results are read and written.
        data_path: the data set's file.
        needs: the outcomes of the stages that it reads.
        watch: told how it ends, unless it is interrupted: then whoever interrupts knows.
        checkpoint_seconds: at least this long between two checkpoints.

    Raises:
        CellabError: the stage failed; or whatever else breaks it.
    """
    for outcome in needs:
        if outcome.diverged:
            watch.end(stage, "skipped")
            return Outcome(stage.key, outcome.diverged)
    if store.is_sound(stage.key):
        watch.end(stage, "reused")
        return store.outcome(stage)
    with store.computing(stage, waiting=lambda: watch.progress(stage.key, 0, 0)):
        if store.is_sound(stage.key):  # another study has computed it while this one waited
            watch.end(stage, "reused")
            return store.outcome(stage)
        store.discard(stage.key)
        watch.begin(stage)
        try:
            progress = functools.partial(watch.progress, stage.key)
            with recorded(stage, store):
                outcome = run(
                    stage, store, data_path, progress, checkpoint_seconds, lambda text: watch.warn(stage, text)
                )
        except Exception:
            watch.end(stage, "failed")
            raise
        watch.end(stage, "diverged" if outcome.diverged else "finished")
        return outcome


def run(
    stage: Stage,
    store: Store,
    data_path: Path,
    progress: Progress,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    warn: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Runs a stage and leaves its result in the store; the stages that it reads must be there.

    A loss that becomes NaN or infinite is a result too: it is stored as such, with the step.

    Args:
        stage: what to run.
        store: where results are read and written.
        data_path: the data set's file.
        progress: told how far it is.
        checkpoint_seconds: at least this long between two checkpoints; they change no result.
        warn: told what is not as it should be, though the stage goes on: the end of a sentence.

    Raises:
        DataError: the file at `data_path` is not the data set that was asked for.
        CellabError: the code is not the code that was asked for.
    """
    from cellab.training.determinism import deterministic  # imports torch

    kind = kind_of(stage.request)
    function: _Function = getattr(importlib.import_module(kind.module), kind.name)
    _check_code(stage)
    data = checked_file(data_path, stage.request.data.digest, store)
    with store.writing(stage) as output, deterministic(stage.threads):
        workplace = Workplace(
            data=data,
            output=output,
            inputs={key: store.fetch(key) for key in stage.needs},
            progress=progress,
            checkpoint=_checkpoint_file(stage.key, store, warn, checkpoint_seconds),
        )
        outcome = Outcome(stage.key, _result(function, stage, workplace))
        (output / METRICS).write_text(outcome.to_json())
    store.drop_checkpoint(stage.key)
    return outcome


def _checkpoint_file(key: str, store: Store, warn: Callable[[str], None], seconds: float) -> CheckpointFile:
    def refuse(why: str) -> None:
        with suppress(OSError):  # else it is replaced by the next one
            store.drop_checkpoint(key)
        warn(f"its checkpoint {store.checkpoint_url(key)} cannot be used ({why}): it starts afresh.")

    return CheckpointFile(
        key=key,
        read=lambda: store.read_checkpoint(key),
        write=lambda content: store.write_checkpoint(key, content),
        refuse=refuse,
        seconds=seconds,
    )


def _check_code(stage: Stage) -> None:
    if stage_fingerprint(kind_of(stage.request).module, as_json(stage.request)) != stage.code:
        raise CellabError(f"{stage.label}: the code changed while the study ran: start it again to use the new code.")


class _Function(Protocol):
    """What runs a stage."""

    def __call__(self, request: Request, workplace: Workplace) -> Result:
        """Its result; files are written to the workplace's output."""


def _result(function: _Function, stage: Stage, workplace: Workplace) -> Result | Diverged:
    try:
        return function(stage.request, workplace)
    except DivergedError as error:
        for path in workplace.output.iterdir():
            path.unlink()
        return Diverged(error.series, error.step, str(error.value))
