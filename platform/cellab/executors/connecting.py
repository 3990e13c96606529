"""Joins a Ray cluster, or starts one on this machine."""

import logging
import socket
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import ray

from cellab.errors import CellabError
from cellab.executors import tokens
from cellab.executors.driver import in_words
from cellab.executors.temporary import temporary_folder

CONNECT_SECONDS = 5.0
NOT_YET = ("auto", "local")  # addresses that Ray finds by itself
STARTS = 2  # tries: Ray gives its services 30 s, which a busy machine may not have
OBJECT_STORE_BYTES = 256 * 2**20  # only requests and metrics go through it


def connect(
    address: str | None, temporary: str | None = None, tell: Callable[[str], Any] = lambda _notice: None
) -> Callable[[], None]:
    """Joins the Ray cluster at an address, or starts one on this machine; a connection that there is stays.

    Args:
        address: of a cluster, or None.
        temporary: the folder for the sockets and logs of one that is started; by default the surroundings'.
        tell: told where these are, if not there.

    Returns:
        What takes this connection, and a cluster started here, down again.

    Raises:
        CellabError: nothing answers at the address, or no cluster can be started here.
    """
    if ray.is_initialized():
        return lambda: None
    ray._private.auto_init_hook.enable_auto_connect = False  # who asks a cluster that has gone must not get another
    with ExitStack() as stack:
        if address is None and temporary is None:
            temporary = stack.enter_context(temporary_folder(tell))
        stack.callback(ray.shutdown)
        if address is None:
            _start(temporary)
        else:
            _join(address)
        return stack.pop_all().close


def _join(address: str) -> None:
    _check_answers(address)
    if "://" not in address and address not in NOT_YET:
        tokens.send(address)
    try:
        ray.init(address, logging_level=logging.ERROR, log_to_driver=False)
    except ray.exceptions.AuthenticationError as error:
        raise CellabError(
            f"the Ray cluster at {address} wants a token: set RAY_AUTH_MODE=token and its own."
        ) from error
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise CellabError(_no_answer(address, str(error).partition("\n")[0])) from error


def _start(temporary: str | None) -> None:
    tokens.provide()
    try:
        for attempt in range(1, STARTS + 1):
            try:
                _init(temporary)
                break
            except Exception:
                ray.shutdown()  # what is left of it
                if attempt == STARTS:
                    raise
    except SystemExit as error:  # Ray's answer to SIGTERM
        raise KeyboardInterrupt from error
    except Exception as error:
        raise CellabError(
            f"Ray did not start on this machine ({in_words(error)}): executor=inline runs the study without it."
        ) from error
    finally:
        tokens.protect()


def _init(temporary: str | None) -> None:
    ray.init(
        "local",
        include_dashboard=False,
        logging_level=logging.ERROR,
        log_to_driver=False,
        object_store_memory=OBJECT_STORE_BYTES,
        _temp_dir=temporary,
    )


def _check_answers(address: str) -> None:
    """Asks the port itself: Ray's own attempt takes minutes to give up."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address in NOT_YET:
        return
    if not port.isdigit():
        raise CellabError(f"--address {address}: an address is HOST:PORT, ray://HOST:PORT or auto.")
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise CellabError(_no_answer(address, str(error))) from error


def _no_answer(address: str, why: str) -> str:
    return f"no Ray cluster answers at {address} ({why}): start one with `ray start --head`, or leave --address out."
