"""Joins a Ray cluster, or starts one on this machine."""

import logging
import os
import secrets
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import ray

from cellab.errors import CellabError
from cellab.executors.driver import in_words
from cellab.executors.temporary import temporary_folder

CONNECT_SECONDS = 5.0
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
    try:
        ray.init(address, logging_level=logging.ERROR, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise CellabError(_no_answer(address, str(error).partition("\n")[0])) from error


def _start(temporary: str | None) -> None:
    _provide_token()
    try:
        ray.init(
            "local",
            include_dashboard=False,
            logging_level=logging.ERROR,
            log_to_driver=False,
            object_store_memory=OBJECT_STORE_BYTES,
            _temp_dir=temporary,
        )
    except SystemExit as error:  # Ray's answer to SIGTERM
        raise KeyboardInterrupt from error
    except Exception as error:
        raise CellabError(
            f"Ray did not start on this machine ({in_words(error)}): executor=inline runs the study without it."
        ) from error


def _provide_token() -> None:
    """Ray keeps the token of its clusters in the home folder; where nothing can be kept, this one has its own."""
    if "RAY_AUTH_TOKEN" in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ:
        return
    try:
        folder = Path.home() / ".ray"
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "auth_token").exists() or os.access(folder, os.W_OK):
            return
    except (OSError, RuntimeError):  # no such folder can be made, or nobody knows where home is
        pass
    os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(16)


def _check_answers(address: str) -> None:
    """Asks the port itself: Ray's own attempt takes minutes to give up."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address in ("auto", "local"):
        return
    if not port.isdigit():
        raise CellabError(f"--address {address}: an address is HOST:PORT, ray://HOST:PORT or auto.")
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise CellabError(_no_answer(address, str(error))) from error


def _no_answer(address: str, why: str) -> str:
    return f"no Ray cluster answers at {address} ({why}): start one with `ray start --head`, or leave --address out."
