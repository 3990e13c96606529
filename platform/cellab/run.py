"""Runs a study from plan to report, in its own folder."""

import json
import signal
import time
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from rich.console import Console

from cellab.ablation import OWN
from cellab.cli.display import Display
from cellab.errors import CellabError
from cellab.executors.monitor import Monitor
from cellab.provenance import provenance
from cellab.reports import write_reports
from cellab.results import Endings, replace, write_results
from cellab.store import Store
from cellab.study import Study, plan

STUDY = "study.yaml"


def run_study(study: Study, store: Store, folder: Path, address: str | None, console: Console) -> dict[str, Any]:
    """Runs what is not stored, and writes everything that a study leaves.

    Args:
        study: what to run.
        store: where stages' results live.
        folder: of the study; created, or holding the same study.
        address: of a Ray cluster, or None for one of its own.
        console: where progress is shown.

    Returns:
        The ranking (`arms.json`).

    Raises:
        CellabError: the folder holds another study; the cluster does not answer.
        KeyboardInterrupt: Ctrl-C; what is finished is stored, and results so far are written.
    """
    _claim(study, folder)
    planned = plan(study, store)
    replace(folder / "plan.json", lambda path: path.write_text(json.dumps(planned, indent=2)))
    _announce(planned, console)

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what a batch system sends is Ctrl-C too
    started = time.monotonic()
    monitor = Monitor.of(study.stages.values(), slots=1)
    try:
        endings = _execute(study, store, folder, address, console, monitor)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not spoil what is being written
        _finish(study, store, {}, folder, time.monotonic() - started)
        done = sum(count["stored"] for count in plan(study, store)["stages"].values())
        console.print(
            f"\nStopped. {done} of {len(study.stages)} stages are finished and stored; unfinished ones go on from "
            f"their checkpoints.\nThe same command goes on from here. So far: {folder / 'report.html'}",
            highlight=False,
            soft_wrap=True,
        )
        raise
    return _finish(study, store, endings, folder, time.monotonic() - started)


def _execute(
    study: Study, store: Store, folder: Path, address: str | None, console: Console, monitor: Monitor
) -> Endings:
    if study.config["executor"] == "inline":
        from cellab.executors import inline

        with Display(console) as display:
            display.watch(monitor.snapshot)
            return inline.run_study(study, store, monitor)

    from cellab.executors import on_ray

    console.print("Starting Ray ..." if address is None else f"Joining Ray at {address} ...", style="dim")
    disconnect = on_ray.connect(address)
    try:
        with Display(console) as display:
            return on_ray.run_study(study, store, folder / "ray", display.watch)
    finally:
        disconnect()


def _finish(study: Study, store: Store, endings: Endings, folder: Path, seconds: float) -> dict[str, Any]:
    write_results(study, store, endings, folder)
    described = provenance(study, seconds, {})
    replace(folder / "provenance.json", lambda path: path.write_text(json.dumps(described, indent=2)))
    write_reports(folder)
    ranking: dict[str, Any] = json.loads((folder / "arms.json").read_text())
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
        "question": ablation.question,
        "design": ablation.design,
        **ablation.content,
        "seeds": ablation.seeds,
        "rank_by": ablation.rank_by,
        "data_digest": study.data_digest,
        "config": study.config,
    }


# More arms or seeds, another way to run or rank: still the same study.
_MAY_CHANGE = ("seeds", "question", "rank_by", *OWN)
_MAY_CHANGE_IN_CONFIG = ("seed", "executor", "resources")


def _claim(study: Study, folder: Path) -> None:
    """Makes the folder the study's, or sees that it is.

    Raises:
        CellabError: it holds another study.
    """
    mine = _description(study)
    path = folder / STUDY
    if path.is_file():
        theirs = OmegaConf.to_container(OmegaConf.load(path))
        assert isinstance(theirs, dict)
        differences = _differences(_identity(theirs), _identity(mine))
        if differences:
            raise CellabError(
                f"{folder} holds another study ({'; '.join(differences[:5])}): choose another folder with --name NAME "
                f"or --runs DIR, or remove {folder} (finished stages stay in the store)."
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace(path, lambda beside: OmegaConf.save(OmegaConf.create(mine), beside))
    except OSError as error:
        raise CellabError(
            f"the study's folder {folder} cannot be written ({error}): choose one with --runs."
        ) from error


def _identity(description: dict[Any, Any]) -> dict[str, Any]:
    kept = {str(key): value for key, value in description.items() if key not in _MAY_CHANGE}
    config = {key: value for key, value in kept.get("config", {}).items() if key not in _MAY_CHANGE_IN_CONFIG}
    return {**kept, "config": {**config, "data": {**config.get("data", {}), "path": None}}}


def _differences(theirs: Any, mine: Any, where: str = "") -> list[str]:
    if isinstance(theirs, dict) and isinstance(mine, dict):
        keys = dict.fromkeys([*theirs, *mine])
        return [d for k in keys for d in _differences(theirs.get(k), mine.get(k), f"{where}.{k}".lstrip("."))]
    return [] if theirs == mine else [f"{where.removeprefix('config.')}: {theirs} there, {mine} here"]
