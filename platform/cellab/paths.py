"""Reads paths as people give them."""

import os
from pathlib import Path

from cellab.errors import CellabError


def given(path: str | Path) -> Path:
    """A path with `~` and `~user` replaced by folders, which shells do not do within ``--store=~/x`` or ``key=~/x``.

    Raises:
        CellabError: it is empty.
    """
    if not str(path):
        raise CellabError("a path is empty: give the name of a file or a folder (a variable in a script may be unset).")
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path's own raises where there is no such user


def to_write(path: str | Path) -> Path:
    """As `given`, of a file that is to be written.

    Raises:
        CellabError: it is empty, or names no file.
    """
    if str(path) == "-":
        raise CellabError("- stands for no file here, since a data set cannot be piped: name a file, e.g. cells.h5.")
    if str(path).endswith("/"):
        raise CellabError(f"{path} names a folder: name a file, e.g. {path}cells.h5.")
    return given(path)
