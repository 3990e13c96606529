"""The token by which a Ray cluster knows who may use it: kept for one's own eyes, sent where it is wanted."""

import logging
import os
import secrets
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from ray._private.authentication import authentication_token_setup

from cellab.errors import CellabError

ASK_SECONDS = 60.0
WANTED = 3  # the exit status of who asked a cluster and was refused
ASKING = f"""
import sys
import ray
from ray._raylet import GcsClient
try:
    GcsClient(address=sys.argv[1]).internal_kv_get(b"cellab", b"cellab", timeout=10)
except ray.exceptions.AuthenticationError:
    sys.exit({WANTED})
"""


def provide() -> None:
    """Ray keeps the token of its clusters in the home folder; where nothing can be kept, this one has its own."""
    if "RAY_AUTH_TOKEN" in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ:
        return
    try:
        folder = _file().parent
        folder.mkdir(parents=True, exist_ok=True)
        if _file().exists() or os.access(folder, os.W_OK):
            return
    except (OSError, RuntimeError):  # no such folder can be made, or nobody knows where home is
        pass
    os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(16)


def protect() -> None:
    """Lets nobody else read the token's file, which Ray writes for all to read."""
    with suppress(OSError, RuntimeError):
        _file().chmod(0o600)


def send(address: str) -> None:
    """Sends the token to the cluster at an address (HOST:PORT) from now on, if it wants one.

    A cluster that wants none must not be joined with one: its workers could not answer.

    Raises:
        CellabError: it wants one, and there is none here, or another.
    """
    if not _is_refused(address):
        return
    logging.getLogger(authentication_token_setup.__name__).setLevel(logging.ERROR)
    if not authentication_token_setup.maybe_enable_token_auth_if_token_available(warn_if_disabled=False):
        raise CellabError(f"the Ray cluster at {address} wants a token, and there is none here: {_remedy()}")
    if _is_refused(address):
        raise CellabError(f"the Ray cluster at {address} wants another token than the one here: {_remedy()}")


def _is_refused(address: str) -> bool:
    """Asks as the surroundings have it, in a process of its own: Ray asks once and for all, and aloud."""
    command = [sys.executable, "-c", ASKING, address]
    try:
        asked = subprocess.run(command, capture_output=True, timeout=ASK_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return False  # whatever that is, it is no refusal
    return asked.returncode == WANTED


def _remedy() -> str:
    return (
        "set RAY_AUTH_TOKEN to the cluster's own, which `ray get-auth-token` tells where it was started, or "
        "RAY_AUTH_TOKEN_PATH to a file that holds it."
    )


def _file() -> Path:
    return Path.home() / ".ray" / "auth_token"
