"""Ctrl-C, a batch system's SIGTERM, the SIGHUP of a terminal that closes: each stops a study, once and in order."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Request:
    """That the study be stopped.

    Attributes:
        made: by whoever sent a signal.
        received: somebody sees to it, or nothing is left to be stopped: from now on signals do nothing.
    """

    made = False
    received = False


@contextmanager
def stoppable() -> Iterator[None]:
    """While the block lasts, each of the signals raises KeyboardInterrupt in it, until that is `received`.

    A signal that is ignored stays so: `nohup`, and a shell's `&`, mean it.
    """
    before = {number: signal.getsignal(number) for number in STOPPING}
    _Request.made = _Request.received = False
    try:
        listen()
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def listen() -> None:
    """Takes the signals (back) from a library that has put handlers of its own there."""
    for number in STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)


def _stop(*_: Any) -> None:
    if not _Request.received:
        _Request.made = True
        raise KeyboardInterrupt


def received() -> None:
    """A second Ctrl-C must not spoil what is written from now on."""
    _Request.received = True


def check() -> None:
    """Raises the KeyboardInterrupt again that some callback of a library has swallowed."""
    if _Request.made and not _Request.received:
        raise KeyboardInterrupt
