"""Runs a study from plan to report, in its own folder."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from cellab import interruption
from cellab.cli.display import Display
from cellab.data.dataset import Dataset
from cellab.designs import DESIGNS
from cellab.errors import CellabError, DataError, reason
from cellab.executors.monitor import Monitor
from cellab.executors.stopping import Endings, Stopped
from cellab.locking import Claim, TakenError
from cellab.provenance import provenance
from cellab.reports import write_reports
from cellab.results import replace, write_results
from cellab.store import Store
from cellab.study import Study, plan

STUDY = "study.yaml"
RUNNING = ".running"  # is there while a command runs the study, and locked


def run_study(study: Study, store: Store, folder: Path, address: str | None, console: Console) -> dict[str, Any]:
    """Runs what is not stored, and writes everything that a study leaves.

    Args:
        study: what to run.
        store: where stages' results live.
        folder: of the study, claimed by `alone` and seen to be free for it by `check_folder`.
        address: of a Ray cluster, or None for one of its own.
        console: where progress is shown.

    Returns:
        The ranking (`arms.json`).

    Raises:
        CellabError: the cluster does not answer; the folder cannot be written.
        DataError: the data set's content is not what its digest says.
        KeyboardInterrupt: Ctrl-C; what is finished is stored, and results so far are written.
    """
    _check_content(study)
    planned = plan(study, store)
    _announce(planned, console)
    with interruption.stoppable(), _executor(study, address, console) as execute:
        interruption.listen()  # Ray, connected by now, has put a handler of its own there that aborts
        _claim(study, planned, folder)
        return _run(study, store, folder, console, execute)


# runs all trials: given the store, the folder and the display, tells how each of them ended
Execute = Callable[[Study, Store, Path, Display], Endings]


def _run(study: Study, store: Store, folder: Path, console: Console, execute: Execute) -> dict[str, Any]:
    started = time.monotonic()
    try:
        with Display(console) as display:
            endings = execute(study, store, folder, display)
    except KeyboardInterrupt as stop:
        interruption.received()
        console.print("\nStopping: results so far are being written ...", style="dim")
        endings = stop.endings if isinstance(stop, Stopped) else {}
        _finish(study, store, endings, folder, time.monotonic() - started)
        done = sum(count["stored"] for count in plan(study, store)["stages"].values())
        console.print(
            f"Stopped. {done} of {len(study.stages)} stages are finished and stored; unfinished ones go on from "
            f"their checkpoints.\nThe same command goes on from here. So far: {folder / 'report.html'}",
            highlight=False,
            soft_wrap=True,
        )
        raise
    interruption.received()
    return _finish(study, store, endings, folder, time.monotonic() - started)


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
        yield lambda study, store, folder, display: on_ray.run_study(study, store, folder / "ray", display.watch)
    finally:
        disconnect()


def _inline(study: Study, store: Store, folder: Path, display: Display) -> Endings:  # noqa: ARG001
    from cellab.executors import inline

    monitor = Monitor.of(study.stages.values(), slots=1)
    display.watch(monitor.snapshot)
    return inline.run_study(study, store, monitor)


def _check_content(study: Study) -> None:
    """Stored results stand for the data set's digest: the content must be what it says."""
    with Dataset.open(study.data_path) as data:
        if data.content_digest() != data.digest:
            raise DataError(
                f"{study.data_path} is damaged or was changed by hand: its content is not what its digest says. "
                f"Make it again by cellab data import, hide or synth."
            )


def _finish(study: Study, store: Store, endings: Endings, folder: Path, seconds: float) -> dict[str, Any]:
    described = provenance(study, seconds, {})
    try:
        write_results(study, store, endings, folder)
        replace(folder / "provenance.json", lambda path: path.write_text(json.dumps(described, indent=2)))
        write_reports(folder)
        ranking: dict[str, Any] = json.loads((folder / "arms.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise CellabError(
            f"the results in {folder} could not be written: {reason(error)}. Finished stages are stored: when that is "
            f"mended, the same command writes the results."
        ) from error
    return ranking


def _announce(planned: dict[str, Any], console: Console) -> None:
    distinct = sum(count["distinct"] for count in planned["stages"].values())
    stored = sum(count["stored"] for count in planned["stages"].values())
    reuse = f", {stored} of them finished before and reused" if stored else ""
    console.print(
        f"{planned['study']}: {planned['trials']} trials, {distinct} distinct stages{reuse}.", highlight=False
    )


def _description(study: Study) -> dict[str, Any]:
    ablation = study.ablation
    return {
        "name": study.name,
        "ablation": ablation.name,
        "question": ablation.question,
        "design": ablation.design,
        **ablation.content,
        "seeds": ablation.seeds,
        "rank_by": ablation.rank_by,
        "data_digest": study.data_digest,
        "config": study.config.plain,
    }


# More arms or seeds, another way to run or rank: still the same study.
_MAY_CHANGE = ("seeds", "question", "rank_by", *{key for design in DESIGNS.values() for key in design.keys})
_MAY_CHANGE_IN_CONFIG = ("seed", "executor", "resources")


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Sees that no other command runs a study in the folder, until the block ends; leaves no folder that stays empty.

    Raises:
        CellabError: another command does, or the folder cannot be written.
    """
    with _made(folder):
        try:
            claim = Claim(folder / RUNNING)
        except TakenError:
            raise CellabError(
                f"another command runs a study in {folder}: wait until it has ended, or choose another folder with "
                f"--name NAME."
            ) from None
        except OSError as error:
            raise _cannot_write(folder, error) from error
        with claim:
            yield


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """The folder is there while the block runs, and after it unless it is empty and was not there before."""
    try:
        made = [each for each in (folder, *folder.parents) if not each.exists()]
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(folder, error) from error
    try:
        yield
    finally:
        with suppress(OSError):
            for each in made:
                each.rmdir()


def _cannot_write(folder: Path, error: OSError) -> CellabError:
    return CellabError(f"the study's folder {folder} cannot be written: {reason(error)}. Choose another with --runs.")


def check_folder(study: Study, folder: Path) -> None:
    """Sees that the folder is free for the study, or holds it already; writes nothing.

    Raises:
        CellabError: it holds another study, or one with arms or seeds that would be lost.
    """
    path = folder / STUDY
    if not path.is_file():
        return
    theirs, mine = _read(path), _description(study)
    differences = _differences(_identity(theirs), _identity(mine)) or _lost(theirs, mine)
    if differences:
        raise CellabError(
            f"{folder} holds another study ({'; '.join(differences[:5])}): choose another folder with --name NAME "
            f"or --runs DIR, or remove {folder} (finished stages stay in the store)."
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


def _read(path: Path) -> dict[str, Any]:
    try:
        content = OmegaConf.to_container(OmegaConf.load(path))
        if isinstance(content, dict) and {"design", "seeds", "config"} <= set(content):
            return {str(key): value for key, value in content.items()}
    except (OSError, ValueError, yaml.YAMLError, OmegaConfBaseException):
        pass
    raise CellabError(
        f"{path} is damaged, so nobody knows which study {path.parent} holds: choose another folder with --name NAME, "
        f"or remove {path.parent} (finished stages stay in the store)."
    )


def _lost(theirs: dict[str, Any], mine: dict[str, Any]) -> list[str]:
    """Arms and seeds that are there and not here: their results would vanish from the folder."""
    seeds = [seed for seed in theirs["seeds"] if seed not in mine["seeds"]]
    arms = [name for name, does in _arms(theirs).items() if _arms(mine).get(name) != does]
    found = {"seeds": seeds, "arms": arms}
    return [f"{what} there, not here: {', '.join(map(str, lost))}" for what, lost in found.items() if lost]


def _arms(description: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    return {arm.name: arm.overrides for arm in DESIGNS[description["design"]].arms(description)}


def _claim(study: Study, planned: dict[str, Any], folder: Path) -> None:
    """Makes the folder the study's.

    Raises:
        CellabError: it cannot be written.
    """
    try:
        description = OmegaConf.create(_description(study))
        replace(folder / STUDY, lambda path: OmegaConf.save(description, path))
        replace(folder / "plan.json", lambda path: path.write_text(json.dumps(planned, indent=2)))
    except OSError as error:
        raise _cannot_write(folder, error) from error


def _identity(description: dict[Any, Any]) -> dict[str, Any]:
    kept = {str(key): value for key, value in description.items() if key not in _MAY_CHANGE}
    config = {key: value for key, value in kept.get("config", {}).items() if key not in _MAY_CHANGE_IN_CONFIG}
    return {**kept, "config": {**config, "data": {**config.get("data", {}), "path": None}}}


def _differences(theirs: Any, mine: Any, where: str = "") -> list[str]:
    if isinstance(theirs, dict) and isinstance(mine, dict):
        keys = dict.fromkeys([*theirs, *mine])
        return [d for k in keys for d in _differences(theirs.get(k), mine.get(k), f"{where}.{k}".lstrip("."))]
    return [] if theirs == mine else [f"{where.removeprefix('config.')}: {theirs} there, {mine} here"]
