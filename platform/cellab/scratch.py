"""Temporary folders on this machine that end with their process, or, where it was killed, with the next one's."""

import os
import shutil
import tempfile
import time
import weakref
from contextlib import suppress
from pathlib import Path

from cellab.locking import Claim, TakenError

PREFIX = "cellab-scratch-"
CLAIM = ".claim"
CLAIM_SECONDS = 60.0  # a folder younger than that may be one that its process is about to claim


class Scratch:
    """A folder for files that nobody needs after this process, or after this object.

    Making one removes what processes that were killed have left of theirs.

    Attributes:
        path: of the folder.

    Raises:
        OSError: none can be made.
    """

    def __init__(self) -> None:
        sweep()
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        self.close = weakref.finalize(self, _remove, self.path, Claim(self.path / CLAIM))


def sweep() -> None:
    """Removes this user's scratch folders that no living process claims."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError, TakenError):  # it is another's, or goes at this moment
            status = path.stat()
            if status.st_uid == os.getuid() and time.time() - status.st_mtime > CLAIM_SECONDS:
                _remove(path, Claim(path / CLAIM))


def _remove(path: Path, claim: Claim) -> None:
    shutil.rmtree(path, ignore_errors=True)
    claim.release()
