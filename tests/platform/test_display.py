"""What people are told while stages run: every retry and every stall, each once."""

import io

from rich.console import Console

from cellab.cli.display import Display
from cellab.executors.monitor import Ended, Snapshot


def shown(*snapshots: Snapshot) -> list[str]:
    """The lines that a display writes of one state after the other."""
    display = Display(console := Console(file=io.StringIO(), width=200))
    for snapshot in snapshots:
        display.show(snapshot)
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue().splitlines()


def test_each_notice_is_told_once_as_it_comes() -> None:
    states = [Snapshot(2, (), (), None, ("a: tried again",) * number) for number in (0, 1, 1, 2)]
    assert shown(*states) == ["notice: a: tried again"] * 2


def test_what_failed_is_told_beside_them() -> None:
    ended = (Ended("a seed=0 generator", "failed", 1.0),)
    lines = shown(Snapshot(2, ended, (), None, ("a seed=0 generator: out of memory; tried again (2 of 2)",)))
    assert lines == [
        "notice: a seed=0 generator: out of memory; tried again (2 of 2)",
        "[1/2] a seed=0 generator failed",
    ]
