"""Shows people a study that runs, and lets their signals stop it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from rich.console import Console

from cellab.cli import interruption
from cellab.cli.display import Display
from cellab.executors.driver import Ending
from cellab.executors.monitor import Snapshot
from cellab.executors.protocol import Key
from cellab.study_files.records import Plan


class Screen:
    """The observer of a study on a terminal; `cellab.cli.interruption.stoppable` must be in force.

    Args:
        console: where to write; its notices, not its results (stderr).
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.display = Display(console)

    def planned(self, planned: Plan) -> None:
        """Says how much there is to do, and how much is done."""
        distinct = sum(count["distinct"] for count in planned["stages"].values())
        stored = sum(count["stored"] for count in planned["stages"].values())
        reuse = f", {stored} of them finished before and reused" if stored else ""
        self.console.print(
            f"{planned['study']}: {planned['trials']} trials, {distinct} distinct stages{reuse}.", highlight=False
        )

    def tell(self, text: str) -> None:
        """Says it in passing."""
        self.console.print(text, style="dim")

    def warn(self, text: str) -> None:
        """Says it as a notice."""
        self.console.print(f"notice: {text}", style="yellow", soft_wrap=True)

    def connected(self) -> None:
        """Takes the signals back: Ray has put a handler of its own there that aborts."""
        interruption.listen()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Shows how stages get on."""
        try:
            with self.display:
                yield
        except KeyboardInterrupt:
            self.console.print("\nStopping: results so far are being written ...", style="dim")
            raise

    def watch(self, look: Callable[[], Snapshot]) -> None:
        """Looks there."""
        self.display.watch(look)

    def ended(self, key: Key, ending: Ending) -> None:
        """A lineage's stages have been shown."""

    def check(self) -> None:
        """Stops where a signal came that was put off, or lost in a library."""
        interruption.check()

    def stopping(self) -> None:
        """A second Ctrl-C must not spoil what is written from now on."""
        interruption.received()

    def uninterrupted(self) -> AbstractContextManager[None]:
        """Puts signals off."""
        return interruption.deferred()

    def stopped(self, done: int, stages: int, report: Path) -> None:
        """Says what there is, and how to go on."""
        self.console.print(
            f"Stopped. {done} of {stages} stages are finished and stored; unfinished ones go on from "
            f"their checkpoints.\nThe same command goes on from here. So far: {report}",
            highlight=False,
            soft_wrap=True,
        )
