"""Leases: who computes a stage at present, so that studies that share a store compute it once.

Whoever wants a stage writes a file of its own, and has the lease if after that no other's is there; else it takes its
file back and tries again. So two never have it, on any store that lists what was written before; a third file, a
takeover or an exclusive creation is not needed, and nobody ever writes or removes what a living process holds. A
holder writes its file again and again; one that is too old, or whose process is known to be dead, counts no longer.
A lease saves time and is not what results rest on: should two compute the same stage, the store keeps one entry.
"""

import functools
import json
import os
import random
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from pydantic import TypeAdapter

from cellab.processes import has_ended

FOLDER = "leases"
BEAT_SECONDS = 5.0
EXPIRY_SECONDS = 30.0
FORGET_SECONDS = 24 * 3600.0  # after which the file of a holder that nobody knows to be dead is removed
FIRST_WAIT, LONGEST_WAIT = 0.1, 2.0  # seconds between two looks at a lease that another has


class Notes(Protocol):
    """Small files in the folders of a store."""

    def read_note(self, name: str) -> bytes | None:
        """The content of `<folder>/<file>`, or None."""

    def write_note(self, name: str, content: bytes) -> None:
        """Replaces it, atomically."""

    def drop_note(self, name: str) -> None:
        """Removes it, if it is there."""

    def notes(self, folder: str) -> list[str]:
        """The names `<folder>/<file>` of all in a folder."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lease, or wants to.

    Args:
        key: of the stage.
        owner: unlike any other's.
        node: a running system and its space of process numbers.
        pid: of the process there.
        beat: when it was last heard of, in seconds of the store's clock.
    """

    key: str
    owner: str
    node: str
    pid: int
    beat: float

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{FOLDER}/{self.key}.{self.owner}.json"

    def is_live(self, now: float) -> bool:
        """Whether it still counts at a moment of the store's clock."""
        return now - self.beat < EXPIRY_SECONDS and not self.is_dead

    def is_gone(self, now: float) -> bool:
        """Whether nothing will ever be heard of it again; one that merely expired may have been put to sleep."""
        return self.is_dead or now - self.beat > FORGET_SECONDS

    @property
    def is_dead(self) -> bool:
        """Whether its process is known to have ended: it was on this node."""
        return self.node == this_node() and has_ended(self.pid)


_HOLDER = TypeAdapter(Holder)


class Leases:
    """The leases in a store.

    Args:
        notes: the store, or a part of it.
        clock: seconds, the same for all who use the store.
        sleep: waits for so many seconds.
    """

    def __init__(
        self,
        notes: Notes,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._notes = notes
        self._clock = clock
        self._sleep = sleep

    @contextmanager
    def held(self, key: str, waiting: Callable[[], object] = lambda: None) -> Iterator["Lease"]:
        """While the block lasts no other computes the stage; waits until nobody does.

        Args:
            key: of the stage.
            waiting: called now and then while it waits; what it raises ends the wait.

        Raises:
            OSError: nothing can be written.
        """
        lease = self._wait(key, waiting)
        stop = threading.Event()
        beating = threading.Thread(target=lease.keep, args=(stop,), name=f"lease {key[:12]}", daemon=True)
        beating.start()
        try:
            yield lease
        finally:
            stop.set()
            beating.join()
            with suppress(OSError):  # it expires by itself
                lease.drop()

    def _wait(self, key: str, waiting: Callable[[], object]) -> "Lease":
        chance, wait = random.Random(), FIRST_WAIT  # a chance of its own: two that step back must not do so in step
        while (lease := self.take(key)) is None:
            waiting()
            self._sleep(wait * chance.uniform(0.5, 1.0))
            wait = min(2 * wait, LONGEST_WAIT)
        return lease

    def take(self, key: str) -> "Lease | None":
        """The lease of a stage, unless another has it, or wants it at this moment."""
        if any(holder.is_live(self._clock()) for holder in self._of(key)):
            return None
        lease = Lease(self._notes, self._clock, key)
        others = [holder for holder in self._of(key) if holder.owner != lease.owner]
        if any(holder.is_live(self._clock()) for holder in others) or lease.is_over:
            lease.drop()
            return None
        for holder in others:
            if holder.is_gone(self._clock()):
                self._notes.drop_note(holder.name)
            else:
                lease.is_alone = False
        return lease

    def live(self) -> list[Holder]:
        """All holders that count now."""
        return [holder for holder in self.all() if holder.is_live(self._clock())]

    def all(self) -> list[Holder]:
        """All holders whose files are there, dead ones too; a file that is none of ours counts for nobody."""
        return [holder for name in self._notes.notes(FOLDER) if (holder := self._read(name))]

    def _of(self, key: str) -> list[Holder]:
        names = [name for name in self._notes.notes(FOLDER) if name.startswith(f"{FOLDER}/{key}.")]
        return [holder for name in names if (holder := self._read(name))]

    def _read(self, name: str) -> Holder | None:
        content = self._notes.read_note(name) if name.endswith(".json") else None
        if content is None:
            return None
        try:
            holder = _HOLDER.validate_json(content)
        except ValueError:
            return None
        return holder if holder.name == name else None


class Lease:
    """A lease that this process holds, or asks for.

    Args:
        notes: where it is written.
        clock: the store's.
        key: of the stage.

    Attributes:
        is_alone: whether all who held it before have given it back or are gone, so that what they left is nobody's.
    """

    def __init__(self, notes: Notes, clock: Callable[[], float], key: str) -> None:
        self.key = key
        self.is_alone = True
        self.owner = uuid.uuid4().hex
        self._notes = notes
        self._clock = clock
        self._beat = clock()
        self._write(self._beat)

    @property
    def is_over(self) -> bool:
        """Whether others may have taken it, because nothing was heard of this process for too long."""
        return self._clock() - self._beat >= EXPIRY_SECONDS

    def beat(self) -> bool:
        """Tells that this process lives; False where that comes too late."""
        if self.is_over:
            return False
        now = self._clock()
        self._write(now)
        if self.is_over:  # it was written after the last one had expired
            self.drop()
            return False
        self._beat = now
        return True

    def keep(self, stop: threading.Event) -> None:
        """Beats until it is stopped, or has lost the lease; a store that does not answer now may do so later."""
        while not stop.wait(BEAT_SECONDS):
            with suppress(OSError):
                if not self.beat():
                    return

    def drop(self) -> None:
        """Gives it back."""
        self._notes.drop_note(self._holder(self._beat).name)

    def _write(self, now: float) -> None:
        holder = self._holder(now)
        self._notes.write_note(holder.name, json.dumps(asdict(holder)).encode())

    def _holder(self, now: float) -> Holder:
        return Holder(self.key, self.owner, this_node(), os.getpid(), now)


@functools.cache
def this_node() -> str:
    """This running system and its space of process numbers: what another says of its processes can be seen here."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(parts)
