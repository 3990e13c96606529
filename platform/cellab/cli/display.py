"""Shows how a study gets on: live on a terminal, a line per ended stage elsewhere."""

import threading
from collections.abc import Callable
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cellab.executors.monitor import Ended, Running, Snapshot

INTERVAL = 1.0  # seconds between two looks
SHOWN = 8  # running stages on a terminal
BAR = 24  # characters
STYLES = {"finished": "green", "diverged": "yellow", "failed": "red", "timed out": "red", "stopped": "yellow"}
NARROW = 80  # columns of a terminal below which there are no bars


def duration(seconds: float) -> str:
    """Seconds for people: ``"45 s"``, ``"12 min"``, ``"3.5 h"``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Display:
    """Looks at a study in a thread of its own while the block runs.

    Args:
        console: where to write; its notices, not its results (stderr).
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.look: Callable[[], Snapshot] | None = None
        self.printed = 0
        self.noticed = 0
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def watch(self, look: Callable[[], Snapshot]) -> None:
        """From now on `look` tells the state."""
        self.look = look

    def __enter__(self) -> Self:
        if self.live:
            self.live.start()
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self.thread.join(timeout=5)
        self._show_once()  # what ended since the last look
        if self.live:
            self.live.stop()

    def _watch(self) -> None:
        while not self.stopped.wait(INTERVAL):
            self._show_once()

    def _show_once(self) -> None:
        if self.look is None:
            return
        try:
            snapshot = self.look()
        except Exception:  # noqa: BLE001 - the study is being taken down; there is nothing more to show
            return
        self.show(snapshot)

    def show(self, snapshot: Snapshot) -> None:
        """Shows a state."""
        if len(snapshot.ended) < self.printed:  # whoever counts has been started again
            self.printed = self.noticed = 0
        for notice in snapshot.notices[self.noticed :]:
            self.noticed += 1
            self.console.print(Text.assemble("notice: ", notice, style="yellow"), soft_wrap=True)
        for ended in snapshot.ended[self.printed :]:
            self.printed += 1
            if ended.how != "reused" and not (self.live and ended.how == "finished"):
                self.console.print(_ended_line(ended, self.printed, snapshot), soft_wrap=True)
        if self.live:
            self.live.update(_panel(snapshot, self.console.width), refresh=True)


def _left(snapshot: Snapshot) -> str:
    return "" if snapshot.seconds_left is None else f" · about {duration(snapshot.seconds_left)} left"


def _ended_line(ended: Ended, number: int, snapshot: Snapshot) -> Text:
    style = STYLES.get(ended.how, "dim")
    took = f" in {duration(ended.seconds)}" if ended.how == "finished" else ""
    left = "" if ended.how == "stopped" else _left(snapshot)
    return Text.assemble(
        (f"[{number}/{snapshot.total}] ", "dim"), ended.label, (f" {ended.how}{took}", style), (left, "dim")
    )


def _panel(snapshot: Snapshot, width: int) -> Group:
    done = len(snapshot.ended)
    reused = sum(ended.how == "reused" for ended in snapshot.ended)
    head = Text.assemble(
        (f"{done} of {snapshot.total} stages", "bold"), f" ({reused} reused)" if reused else "", _left(snapshot)
    )
    table = Table(box=None, show_header=False, pad_edge=False)
    bars = width >= NARROW
    if bars:
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(justify="right", no_wrap=True)
    for running in snapshot.running[:SHOWN]:
        steps = f"{running.step}/{running.steps}" if running.steps else "starting"
        table.add_row(*([_bar(running)] if bars else []), running.label, steps)
    return Group(head, table)


def _bar(running: Running) -> Text:
    filled = int(BAR * running.step / running.steps) if running.steps else 0
    return Text.assemble(("━" * filled, "green"), ("─" * (BAR - filled), "dim"))
