"""Loads the classes and functions that configurations name by `_target_`."""

import importlib
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cellab.errors import CellabError
from cellab.names import did_you_mean


def resolve(path: str, where: str) -> Callable[..., Any]:
    """The class or function at a dotted path; `where` names the place that asked, for the message.

    Raises:
        CellabError: there is none (the nearest name is suggested), or its module does not import (with its traceback).
    """
    named = f"{where}: `_target_: {path}` cannot be loaded"
    module_name, _, attribute = str(path).rpartition(".")
    if not module_name:
        raise CellabError(f"{named}: it must be the full name of a class, e.g. my_package.my_module.MyClass.")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and f"{module_name}.".startswith(f"{error.name}."):
            raise CellabError(f"{named}: there is no module {error.name}.") from error
        raise CellabError(f"{named}: {module_name} does not import:\n{traceback_of(error)}") from error
    except Exception as error:
        raise CellabError(f"{named}: {module_name} does not import:\n{traceback_of(error)}") from error
    target = getattr(module, attribute, None)
    if not callable(target):
        near = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise CellabError(f"{named}: {module_name} has no class or function {attribute}{did_you_mean(attribute, near)}")
    return target  # type: ignore[no-any-return]


def traceback_of(error: BaseException) -> str:
    """Indented, without what lies between us and the module that does not import."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = (str(Path(__file__).parent), str(importlib.__file__), "<")
    theirs = [frame for frame in frames if not frame.filename.startswith(ours)]
    lines = ["Traceback (most recent call last):\n", *traceback.format_list(theirs)] if theirs else []
    return "  " + "".join([*lines, *traceback.format_exception_only(error)]).strip().replace("\n", "\n  ")
