"""Signals that ask to stop: noted, put off, never lost."""

import os
import signal
from collections.abc import Iterator

import pytest

from cellab.cli.interruption import noticing_signals
from cellab.stopping import SIGNALS, Stopped, signals_put_off, stop_if_asked


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Every test leaves the handlers as it found them, and starts from Python's own."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_noted_until_it_is_safe_to_stop(number: int) -> None:
    reached = []

    @noticing_signals()
    def work() -> None:
        stop_if_asked()
        send(number)
        reached.append("a compiled library's callback")
        stop_if_asked()
        reached.append("too far")

    with pytest.raises(Stopped) as stopped:
        work()
    assert stopped.value.number == number
    assert reached == ["a compiled library's callback"]
    stop_if_asked()  # it is over


def test_a_second_signal_does_not_wait() -> None:
    reached = []

    @noticing_signals()
    def work() -> None:
        send(signal.SIGINT)
        reached.append("after one")
        send(signal.SIGTERM)
        reached.append("after two")

    with pytest.raises(Stopped):
        work()
    assert reached == ["after one"]


def test_ignored_signals_stay_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    with noticing_signals():
        send(signal.SIGHUP)
        stop_if_asked()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_ctrl_c_is_put_off_to_the_end_of_a_block() -> None:
    reached = []

    @signals_put_off()
    def work() -> None:
        send(signal.SIGINT)
        reached.append("the end of the block")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == ["the end of the block"]


def test_what_is_put_off_is_noted_where_signals_are_noted() -> None:
    reached = []

    @noticing_signals()
    def work() -> None:
        with signals_put_off():
            send(signal.SIGTERM)
            stop_if_asked()
            reached.append("the end of the block")
        stop_if_asked()
        reached.append("too far")

    with pytest.raises(Stopped):
        work()
    assert reached == ["the end of the block"]
