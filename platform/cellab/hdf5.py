"""Writes small HDF5 files, so that a full disk is an error like any other."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py


@contextmanager
def new_file(path: Path) -> Iterator[h5py.File]:
    """A file that is made in memory, and written when the block ends well.

    HDF5 itself crashes the process where the disk is full.

    Raises:
        OSError: it cannot be written.
    """
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        yield file
    path.write_bytes(content.getbuffer())
