"""Where stages run: in this process (`inline`), or as Ray tasks under Ray Tune (`ray`).

An executor is a class that keeps `cellab.executors.protocol.Executor`, and a row here.
"""

import importlib
from pathlib import Path

from cellab.executors.protocol import Executor

EXECUTORS = {"inline": "cellab.executors.inline.Inline", "ray": "cellab.executors.on_ray.OnRay"}


def make(name: str, address: str | None, logs: Path) -> Executor:
    """An executor; nothing is started yet.

    Args:
        name: one of `EXECUTORS`.
        address: of a cluster that is there; None: what it needs it makes.
        logs: the folder for its own files.

    Raises:
        CellabError: it cannot run here, or has no use for an address.
    """
    module, _, called = EXECUTORS[name].rpartition(".")
    executor: Executor = getattr(importlib.import_module(module), called)(address, logs)
    return executor
