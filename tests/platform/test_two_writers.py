"""Two commands on one store, one operation of either after the other, in every order that hypothesis thinks of."""

import random
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellab import leases
from cellab.leases import EXPIRY_SECONDS, Lease, Leases
from cellab.stage import Stage
from cellab.store import MANIFEST, Store

ORDERS = st.lists(st.integers(0, 2), max_size=80)
PASSING = st.lists(st.sampled_from([0.0, 1.0, EXPIRY_SECONDS / 2, EXPIRY_SECONDS]), min_size=80, max_size=80)


class Turns:
    """Lets threads go on one at a time: each waits in `pause` until it is its turn."""

    def __init__(self) -> None:
        self.mine = threading.local()
        self.doors: list[threading.Semaphore] = []
        self.left: set[int] = set()
        self.back = threading.Semaphore(0)
        self.failures: list[BaseException] = []

    def pause(self) -> None:
        if hasattr(self.mine, "door"):  # who prepares and checks a test waits for nobody
            self.back.release()
            self.mine.door.acquire()

    def add(self, what: Callable[[], object]) -> None:
        door, number = threading.Semaphore(0), len(self.doors)

        def run() -> None:
            self.mine.door = door
            door.acquire()
            try:
                what()
            except BaseException as error:  # noqa: BLE001 - told by `all_done`
                self.failures.append(error)
            self.left.remove(number)
            self.back.release()

        self.doors.append(door)
        self.left.add(number)
        threading.Thread(target=run, daemon=True).start()

    def turn(self, which: int) -> None:
        """Lets one go on until its next operation, unless it has ended."""
        which %= len(self.doors)
        if which not in self.left:
            return
        self.doors[which].release()
        self.back.acquire()
        if self.failures:
            raise self.failures[0]

    def play(self, work: Callable[[], None], order: Iterable[int]) -> None:
        """Has two do the same work, in turns of an order, and then to its end."""
        for _ in range(2):
            self.add(work)
        for which in order:
            self.turn(which)
        for _ in self.until_all_are_done():
            pass

    def until_all_are_done(self) -> Iterator[None]:
        """Turns for whoever is left, until nobody is."""
        while self.left:
            for which in [*self.left]:
                self.turn(which)
                yield


class Shared:
    """Notes that all contenders see; each operation waits for its turn."""

    def __init__(self, pause: Callable[[], None]) -> None:
        self.content: dict[str, bytes] = {}
        self.pause = pause

    def read_note(self, name: str) -> bytes | None:
        self.pause()
        return self.content.get(name)

    def write_note(self, name: str, content: bytes) -> None:
        self.pause()
        self.content[name] = content

    def drop_note(self, name: str) -> None:
        self.pause()
        self.content.pop(name, None)

    def notes(self, folder: str) -> list[str]:
        self.pause()
        return sorted(name for name in self.content if name.startswith(f"{folder}/"))


@settings(deadline=None, max_examples=100)
@given(ORDERS, PASSING)
def test_never_two_hold_a_lease_and_somebody_gets_it_in_the_end(order, passing):
    turns, time, held = Turns(), [0.0], dict[int, Lease]()
    everywhere = Leases(Shared(turns.pause), clock=lambda: time[0])

    def contend(who: int) -> None:
        for _ in range(4):
            if lease := everywhere.take("k"):
                assert not lease.is_over
                held[who] = lease
                while lease.beat() and who:  # the first gives it back at once, others hold it as long as they can
                    turns.pause()
                del held[who]
                lease.drop()

    for who in range(3):
        turns.add(lambda who=who: contend(who))
    for which, seconds in zip(order, passing, strict=False):
        turns.turn(which)
        time[0] += seconds
        assert sum(not lease.is_over for lease in held.values()) <= 1
    for _ in turns.until_all_are_done():
        time[0] += EXPIRY_SECONDS / 2
        assert sum(not lease.is_over for lease in held.values()) <= 1
    assert everywhere.take("k"), "nobody's file stays in the way"


class Slow:
    """A file system whose operations wait for their turn."""

    def __init__(self, filesystem: object, pause: Callable[[], None]) -> None:
        self.filesystem = filesystem
        self.pause = pause

    def __getattr__(self, name: str) -> object:
        method = getattr(self.filesystem, name)

        def operation(*arguments: object, **options: object) -> object:
            self.pause()
            return method(*arguments, **options)

        return operation if callable(method) else method


def publish(store: Store, stage: Stage) -> None:
    with store.writing(stage) as folder:
        (folder / "metrics.json").write_text("{}")
        (folder / "weights.safetensors").write_bytes(b"weights")


def damage(store: Store, stage: Stage, name: str | None) -> None:
    if name:
        publish(store, stage)
        store.filesystem.pipe_file(f"{store._folder(stage.key)}/{name}", b"[1")


@pytest.mark.parametrize("kind", ["local", "memory"])
@settings(deadline=None, max_examples=40)
@given(order=ORDERS, damaged=st.sampled_from([None, MANIFEST, "weights.safetensors", "request.json"]))
def test_what_one_publishes_no_other_discards(kind, stage, order, damaged):
    """Without leases, which one of the two may have lost: only of a remote store they are what keeps a manifest."""
    turns = Turns()
    with TemporaryDirectory() as folder:
        url = folder if kind == "local" else f"memory://{uuid4().hex}"
        damage(Store(url), stage, damaged)

        def work() -> None:
            store = Store(url)
            store.filesystem = Slow(store.filesystem, turns.pause)
            if not store.is_sound(stage.key):
                store.discard(stage.key)
                publish(store, stage)
            published.append(store)
            if kind == "local":
                assert store.is_sound(stage.key)

        published: list[Store] = []
        turns.play(work, order)
        assert len(published) == 2
        fresh = Store(url)
        assert fresh.is_sound(stage.key) or (kind == "memory" and not fresh.has(stage.key))
        assert not list(Path(folder).glob(".partial/*"))


@pytest.mark.parametrize("kind", ["local", "memory"])
@settings(deadline=None, max_examples=25)
@given(order=ORDERS, damaged=st.sampled_from([None, MANIFEST, "weights.safetensors"]))
def test_two_studies_compute_a_stage_once(kind, stage, order, damaged):
    turns, computed, chance = Turns(), list[str](), random.Random(0)

    def sleep(seconds: float) -> None:
        for _ in range(chance.randint(1, 1 + int(100 * seconds))):
            turns.pause()

    with TemporaryDirectory() as folder:
        url = folder if kind == "local" else f"memory://{uuid4().hex}"
        damage(Store(url), stage, damaged)

        def work() -> None:
            store = Store(url)
            store.filesystem = Slow(store.filesystem, turns.pause)
            store.leases = Leases(store, sleep=sleep)
            with store.computing(stage):
                if not store.is_sound(stage.key):
                    store.discard(stage.key)
                    computed.append(stage.key)
                    publish(store, stage)

        turns.play(work, order)
        assert computed == [stage.key]
        assert Store(url).is_sound(stage.key)
        assert Store(url).leases.all() == []


def test_a_lease_outlives_a_store_that_does_not_answer(monkeypatch):
    """A heartbeat that fails is tried again; one that comes too late does not begin anew."""
    shared, time, stop = Shared(lambda: None), [0.0], threading.Event()
    lease = Leases(shared, clock=lambda: time[0]).take("k")
    answers: list[Callable[[], None]] = []

    def write(name: str, content: bytes) -> None:
        answers.pop(0)()
        shared.content[name] = content

    def broken() -> None:
        time[0] += 10
        raise OSError

    def late() -> None:
        time[0] += EXPIRY_SECONDS

    monkeypatch.setattr(shared, "write_note", write)
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.0)
    answers += [broken, lambda: None, broken, broken, late]
    lease.keep(stop)
    assert not answers
    assert lease.is_over
    assert not shared.content
    with suppress(IndexError):
        assert not lease.beat()
