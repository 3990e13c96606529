"""`cellab status`: how a study gets on, from the files that it writes, without Ray."""

import json
import socket
import time
from collections.abc import Mapping
from typing import Annotated

import typer
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cellab.cli import console
from cellab.cli.display import duration
from cellab.cli.folders import Folder, study_in
from cellab.errors import CellabError
from cellab.processes import has_ended
from cellab.stage import HOWS
from cellab.study_files.records import STATUSES
from cellab.study_files.status import RunningStage, RunStatus

INTERVAL = 1.0  # seconds between two looks
SILENT = 15.0  # seconds without a word from a command that runs, after which that is told
STALLED = 120.0  # seconds without progress of a stage, after which that is told


def status(
    folder: Folder,
    watch: Annotated[bool, typer.Option("--watch", help="Look again every second, until the study has ended.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print status.json and nothing else.")] = False,
) -> None:
    """Show how a study gets on, from this or another terminal: trials, stages, slots, time, what stands still.

    Example: cellab status runs/gan_loss --watch
    """
    study = study_in(folder)
    if not study.status.is_file():
        raise CellabError(f"{folder} has no status.json: no command has run its stages yet.")
    if as_json:
        console.print_json(json.loads(study.read_status().to_json()))
        return
    terminal = console.results()
    if not watch:
        terminal.print(shown(study.read_status(), time.time()))
        return
    with Live(console=terminal, auto_refresh=False) as live:
        while True:
            said = study.read_status()
            live.update(shown(said, time.time()), refresh=True)
            if said.state != "running" or _is_dead(said, time.time()):
                return
            time.sleep(INTERVAL)


def shown(said: RunStatus, now: float) -> Group:
    """A status for people.

    Args:
        said: what was written.
        now: in seconds since 1970.
    """
    lines = [_head(said, now)]
    lines.append(_counts("trials", said.trials, {name: said.trials_ended.get(name, 0) for name in STATUSES}))
    hows: dict[str, int] = {how: said.stages_ended.get(how, 0) for how in HOWS}
    others = {"running": len(said.running), "waiting": said.waiting, "retried": said.retried}
    lines.append(_counts("stages", said.stages, hows | others))
    lines += [Text(f"notice: {notice}", style="yellow") for notice in said.notices]
    return Group(*lines, *([_table(said)] if said.running else []))


def _head(said: RunStatus, now: float) -> Text:
    spent = duration((now if said.state == "running" else said.written) - said.began)
    text = Text.assemble((said.study, "bold"), f": {said.state} ")
    if said.state != "running":
        text.append(f"after {spent}" + (f": {said.message}" if said.message else ""))
        return text
    left = "" if said.seconds_left is None else f", about {duration(said.seconds_left)} left"
    text.append(f"for {spent}{left}; {len(said.running)} of {said.slots} slots busy")
    if now - said.written > SILENT:
        silent = f"no word from it for {duration(now - said.written)}"
        gone = "; its process is gone: the same command goes on where it stopped" if _is_dead(said, now) else ""
        text.append(f"\n{silent} (process {said.pid} on {said.host}){gone}", style="yellow")
    return text


def _is_dead(said: RunStatus, now: float) -> bool:
    """Whether the command was killed: its process can be looked for where it was, once it is silent."""
    return now - said.written > SILENT and said.host == socket.gethostname() and has_ended(said.pid)


def _counts(what: str, total: int, counts: Mapping[str, int]) -> Text:
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return Text.assemble(f"{what}: ", (str(total), "bold"), f" ({told})" if told else "")


def _table(said: RunStatus) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(overflow="fold")
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(style="yellow")
    for running in said.running:
        steps = f"{running.step}/{running.steps}" if running.steps else "starting"
        table.add_row(running.label, steps, duration(running.seconds), _stall(running))
    return table


def _stall(running: RunningStage) -> str:
    return f"no progress for {duration(running.idle)}" if running.idle > STALLED else ""
