"""Stops long work where that is safe, if a signal was noted, and puts signals off where it is not."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # Ctrl-C, a batch system, a terminal that was closed


class Stopped(KeyboardInterrupt):
    """A signal asked to stop.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(signal.Signals(number).name)


_noted: list[int] = []  # signals that came; they come to the whole process, so there is one list


def note(number: int) -> None:
    """A signal came.

    Raises:
        Stopped: another had come before.
    """
    _noted.append(number)
    if len(_noted) > 1:
        raise Stopped(number)


def forget() -> None:
    """What came concerns nobody any more."""
    _noted.clear()


def stop_if_asked() -> None:
    """Where it is safe to stop.

    Raises:
        Stopped: a signal was noted.
    """
    if _noted:
        raise Stopped(_noted[0])


@contextmanager
def signals_put_off() -> Iterator[None]:
    """Runs the handlers of signals that come while the block runs only when it is over.

    An exception that a handler raises inside a callback from HDF5 would crash the process.
    """
    late: list[tuple[int, Any]] = []
    with handled(lambda number, frame: late.append((number, frame)), callable) as before:
        try:
            yield
        finally:
            restore(before)
            for number, frame in late:
                before[number](number, frame)


@contextmanager
def handled(handler: Callable[[int, Any], None], which: Callable[[Any], bool]) -> Iterator[dict[int, Any]]:
    """Handles those signals by `handler` of whose handlers `which` holds; gives these."""
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():  # no other thread handles signals
        before = {number: signal.getsignal(number) for number in SIGNALS}
        before = {number: each for number, each in before.items() if each is not None and which(each)}
    try:
        for number in before:
            signal.signal(number, handler)
        yield before
    finally:
        restore(before)


def restore(handlers: dict[int, Any]) -> None:
    """Puts the handlers of signals back, by the signals' numbers."""
    for number, handler in handlers.items():
        signal.signal(number, handler)
