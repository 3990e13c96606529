"""Finds the folder for the sockets and logs of a local Ray cluster: a short name, and writable."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cellab.errors import CellabError

LONGEST_SOCKET = 107 if sys.platform == "linux" else 103  # bytes of a socket's path
BELOW = len("/session_2026-01-31_23-59-59_999999_4194304/sockets/plasma_store")  # what Ray adds to its folder
LONGEST = LONGEST_SOCKET - BELOW
VARIABLES = ("RAY_TMPDIR", "TMPDIR")  # that Ray heeds, in this order
ELSEWHERE = ("/tmp", "/var/tmp")
REMEDY = f"set RAY_TMPDIR to a writable folder of at most {LONGEST - len('/ray')} bytes, or use executor=inline."


@contextmanager
def temporary_folder(tell: Callable[[str], Any]) -> Iterator[str]:
    """Where Ray's temporary files are by themselves, or, if they cannot be there, a folder as long as the block lasts.

    Args:
        tell: told of that folder.

    Raises:
        CellabError: there is no place for them.
    """
    variable = next((name for name in VARIABLES if os.environ.get(name)), None)
    folder = Path(os.environ[variable] if variable else ELSEWHERE[0]).absolute()
    trouble = _trouble(folder)
    if trouble is None:
        yield str(folder / "ray")
        return
    why = f"{variable or 'the folder for temporary files'} is {folder}, which Ray cannot use: {trouble}"
    with _made(why) as made:
        tell(f"{why}. Its files are in {made} while the study runs.")
        yield made


def _trouble(folder: Path) -> str | None:
    length = len(os.fsencode(folder / "ray"))
    if length > LONGEST:
        return f"its name is {length - LONGEST} bytes too long for sockets"
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    there = next(path for path in (folder / "ray", folder, *folder.parents) if path.exists())
    try:
        tempfile.TemporaryDirectory(dir=there).cleanup()
    except OSError as error:
        return f"nothing can be written to {there} ({error.strerror})"
    return None


@contextmanager
def _made(why: str) -> Iterator[str]:
    for parent in ELSEWHERE:
        try:
            made = tempfile.TemporaryDirectory(prefix="ray-", dir=parent, ignore_cleanup_errors=True)
        except OSError:
            continue
        with made as name:
            yield name
        return
    raise CellabError(f"{why}, and {' and '.join(ELSEWHERE)} are not writable: {REMEDY}")
