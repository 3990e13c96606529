"""Opens HDF5 files to read, and says why where that is impossible."""

import os
import re
from pathlib import Path

import h5py

from cellab.errors import DataError, reason


def _check_is_file(path: Path) -> None:
    try:
        if path.is_file():
            return
        there = path.exists()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {reason(error)}.") from error
    if path.is_dir():
        raise DataError(f"{path} is a folder: a data set is one file, which `cellab data import` makes of folders.")
    if there:
        raise DataError(f"{path} is a device or a pipe: a data set is a file.")
    if path.is_symlink():
        raise DataError(f"{path} is a link to {path.readlink()}, which is not there.")
    raise DataError(f"there is no data set {path}: `cellab data import` or `cellab data synth` makes one.")


def open_hdf5(path: Path) -> h5py.File:
    """An HDF5 file, open to read.

    Raises:
        DataError: there is no such file, or it is locked, damaged or something else, or may not be read.
    """
    _check_is_file(path)
    try:
        try:
            return h5py.File(path, "r")
        except OSError as error:
            if isinstance(error, BlockingIOError) or "unable to lock" not in str(error):
                raise
            return h5py.File(path, "r", locking=False)  # a network file system without locks, say
    except OSError as error:
        if isinstance(error, BlockingIOError):
            raise DataError(
                f"{path} is locked, since another program has it open to write: close it there, or wait for its end."
            ) from error
        if "already open for write" in str(error):
            raise DataError(
                f"{path} is marked as open to write: close it in the program that writes it; where that was killed, "
                f"`h5clear -s {path}` removes the mark."
            ) from error
        if error.errno:
            raise unreadable(path, error) from error
        if h5py.is_hdf5(path):
            raise DataError(f"{path} is truncated or damaged ({error}): make or copy it again.") from error
        raise DataError(
            f"{path} is not an HDF5 file: `cellab data import` makes a data set from folders of images."
        ) from error


def unreadable(path: Path, error: Exception, where: str = "") -> DataError:
    """What to raise where reading failed.

    A file that the system would not read is not a damaged one; HDF5 tells them apart in its message only.
    """
    if refusal := re.search(r"errno = (\d+)", str(error)):
        return DataError(f"{path} cannot be read: {os.strerror(int(refusal[1]))}.")
    return DataError(f"{path} is damaged{where} ({error}): make or copy it again.")
