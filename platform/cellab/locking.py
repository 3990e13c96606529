"""Claims a file for this process as long as it lives, so that no two commands write to one place."""

import errno
import fcntl
import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Self

CANNOT_LOCK = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)  # as network file systems say


class TakenError(Exception):
    """Another process, or another part of this one, has claimed the file."""


class Claim:
    """A new, empty file that is locked; what a killed process left under its name is replaced.

    The lock ends with the process, however it ends. Where the file system has no locks there is none.
    A context manager: leaving it removes the file, unless it was renamed.

    Args:
        path: of the file.

    Attributes:
        descriptor: of the file, open to read and write.

    Raises:
        TakenError: it is claimed.
        OSError: it cannot be made, or there is something that is no file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        while True:
            self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
            try:
                if self._take():
                    return
            except BaseException:
                os.close(self.descriptor)
                raise
            os.close(self.descriptor)

    def _take(self) -> bool:
        """Locks what was opened; False where that was a left-over, or is no longer what the path names."""
        status = os.fstat(self.descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EEXIST, "there is something that is no file", str(self.path))
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TakenError(str(self.path)) from None
        except OSError as error:
            if error.errno not in CANNOT_LOCK:
                raise
        if not self._is_in_place():
            return False
        status = os.fstat(self.descriptor)
        if status.st_size or status.st_nlink > 1:
            # never emptied: it may be another name of a finished file, whose writer was killed before it removed this
            self.path.unlink()
            return False
        return True

    def _is_in_place(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self.descriptor), os.lstat(self.path))
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Removes the file, if it is still there under its name, and ends the claim; may be called again."""
        if self.descriptor < 0:
            return
        try:
            if self._is_in_place():
                self.path.unlink(missing_ok=True)
        finally:
            os.close(self.descriptor)
            self.descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.release()
