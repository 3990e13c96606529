"""What signals do: Ctrl-C, a batch system's SIGTERM, the SIGHUP of a terminal that closes.

Each stops a study, once and in order (`stoppable`); commands that read and write data note it, and stop where that is
safe (`noticing_signals`).
"""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cellab.stopping import SIGNALS, forget, handled, note, restore


class _Request:
    """That the study be stopped.

    Attributes:
        made: by whoever sent a signal.
        received: somebody sees to it, or nothing is left to be stopped: from now on signals do nothing.
        deferred: it can wait a moment.
    """

    made = False
    received = False
    deferred = False


@contextmanager
def stoppable() -> Iterator[None]:
    """While the block lasts, each of the signals raises KeyboardInterrupt in it, until that is `received`.

    A signal that is ignored stays so: `nohup`, and a shell's `&`, mean it.
    """
    before: dict[int, Any] = {number: signal.getsignal(number) for number in SIGNALS}
    report, sys.unraisablehook = sys.unraisablehook, _report
    _Request.made = _Request.received = False
    try:
        listen()
        yield
    finally:
        restore(before)
        sys.unraisablehook = report


def _report(unraisable: "sys.UnraisableHookArgs") -> None:
    """Of a KeyboardInterrupt that a callback has swallowed there is nothing to tell: `check` raises it again."""
    if not issubclass(unraisable.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)


def listen() -> None:
    """Takes the signals (back) from a library that has put handlers of its own there."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)


def _stop(*_: Any) -> None:
    insists, _Request.made = _Request.made, True
    if not _Request.received and (insists or not _Request.deferred):
        raise KeyboardInterrupt


@contextmanager
def deferred() -> Iterator[None]:
    """In the block the first signal only leaves a note, which `check` finds; who insists interrupts it."""
    _Request.deferred = True
    try:
        yield
    finally:
        _Request.deferred = False


def received() -> None:
    """A second Ctrl-C must not spoil what is written from now on."""
    _Request.received = True


def check() -> None:
    """Raises the KeyboardInterrupt that was deferred, or that some callback of a library has swallowed."""
    if _Request.made and not _Request.received:
        raise KeyboardInterrupt


@contextmanager
def noticing_signals() -> Iterator[None]:
    """Notes signals that ask to stop, while the block runs, for `stop_if_asked`; a second one raises `Stopped` at once.

    What a handler raises can be lost in the callbacks of compiled libraries, wherever it happens to run; what is noted
    cannot. Signals that are ignored stay ignored.
    """
    forget()
    try:
        with handled(lambda number, _frame: note(number), lambda handler: handler is not signal.SIG_IGN):
            yield
    finally:
        forget()
