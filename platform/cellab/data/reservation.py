"""Reserves the place of a file to be written, before long work, and moves what was written into it."""

import errno
import hashlib
import os
from pathlib import Path
from typing import Self

from cellab.errors import DataError, reason
from cellab.locking import Claim, TakenError

PARTIAL = ".partial"
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)  # as FAT and others say


class Reservation:
    """``<name>.partial`` beside a file to be, which nobody else can write to meanwhile.

    A context manager: leaving it removes the partial file, unless it was moved into place.

    Args:
        path: the file to be; where it is a link, the file that it leads to.
        overwrite: whether a file that is there may be replaced.

    Attributes:
        path: the file to be; not a link.
        partial: what is written to.
        descriptor: of the partial file, open to read and write.

    Raises:
        DataError: the file is there and may not be replaced, somebody else is writing it, or it cannot be written.
    """

    def __init__(self, path: str | Path, overwrite: bool = False) -> None:
        self.overwrite = overwrite
        self.path = check_writable(Path(path), overwrite)
        try:
            self.partial = _partial(self.path)
            self._claim = Claim(self.partial)
        except TakenError:
            raise DataError(
                f"{path} is being written by another command: wait until that has ended, or name another file."
            ) from None
        except OSError as error:
            raise DataError(f"{path} cannot be written: {reason(error)}.") from error
        self.descriptor = self._claim.descriptor

    def move_into_place(self) -> None:
        """Gives the partial file its name, and ends the reservation.

        Raises:
            DataError: somebody made a file of that name meanwhile, and it may not be replaced.
            OSError: it cannot be moved.
        """
        os.fsync(self.descriptor)
        if self.overwrite:
            self.partial.replace(self.path)
        else:
            self._move_beside_nothing()
        self.release()

    def _move_beside_nothing(self) -> None:
        """Unlike a rename, a link never replaces what came to be there a moment ago."""
        try:
            os.link(self.partial, self.path)
        except OSError as error:
            if error.errno not in (errno.EEXIST, *NO_LINKS):
                raise
            if error.errno == errno.EEXIST or os.path.lexists(self.path):
                raise DataError(
                    f"{self.path} was made by somebody else meanwhile: name another file, or replace it with --force."
                ) from error
            self.partial.replace(self.path)

    def release(self) -> None:
        """Removes the partial file if it is still there."""
        self._claim.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def check_writable(path: Path, overwrite: bool) -> Path:
    """Checks that a file may come to be, and makes nothing.

    Returns:
        The file to be; not a link.

    Raises:
        DataError: it is there and may not be replaced, or is no file, or its folder is not there.
    """
    try:
        if path.is_symlink() and not path.exists():
            raise DataError(f"{path} is a link to {path.readlink()}, which is not there: name another file.")
        if path.is_dir():
            raise DataError(f"{path} is a folder: name a file in it, e.g. {path / 'cells.h5'}.")
        if path.exists() and not path.is_file():
            raise DataError(f"{path} is a device or a pipe: a data set is a file, e.g. cells.h5.")
        if path.exists() and not overwrite:
            raise DataError(f"{path} is there already: name another file, or replace it with --force.")
        if path.parent.is_file():
            raise DataError(f"{path.parent} is a file: {path.name} must be in a folder.")
        if not path.parent.is_dir():
            raise DataError(f"there is no folder {path.parent}: make it, or write {path.name} elsewhere.")
        return path.resolve() if path.is_symlink() else path
    except OSError as error:
        raise DataError(f"{path} cannot be written: {reason(error)}.") from error


def _partial(path: Path) -> Path:
    """Beside the file; under a short name where the file's own leaves no room for an ending."""
    longest = os.pathconf(path.parent, "PC_NAME_MAX")
    name = os.fsencode(path.name)
    if len(name) <= longest < len(name) + len(PARTIAL):
        return path.with_name(hashlib.sha256(name).hexdigest()[:16] + PARTIAL)
    return path.with_name(path.name + PARTIAL)
