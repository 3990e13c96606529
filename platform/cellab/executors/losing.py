"""Notices that a Ray cluster has gone: Ray itself hangs for a minute, and then ends the process."""

import socket
import time
from typing import Any

import ray

ANSWER_SECONDS = 5.0
SILENT_SECONDS = 15.0  # that a cluster elsewhere may be out of reach
ESSENTIAL = {"gcs_server": "Ray's control service", "raylet": "Ray's node service"}


class Heartbeat:
    """Whether the connected cluster is there.

    Args:
        own: it was started by this process, whose children its services are.
    """

    def __init__(self, *, own: bool) -> None:
        self.own = own
        self.heard = self.asked = time.monotonic()
        self.address: str = ray.get_runtime_context().gcs_address

    def lost(self) -> str | None:
        """What has gone, in words; None: nothing that is known of."""
        if self.own:
            return _dead_child()
        now = time.monotonic()
        if now - self.asked < ANSWER_SECONDS:
            return None
        self.asked = now
        host, _, port = self.address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_SECONDS).close()
        except OSError as error:
            silent = now - self.heard
            return f"nothing answers at {self.address} any more ({error})" if silent > SILENT_SECONDS else None
        self.heard = now
        return None


def _dead_child() -> str | None:
    node: Any = ray._private.worker._global_node
    for name, words in ESSENTIAL.items():
        services = node.all_processes.get(name, []) if node else []
        if any(service.process.poll() is not None for service in services):
            return f"{words} ({name}) has ended unexpectedly"
    return None
