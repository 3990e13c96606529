"""What a store holds, and what of it may go: nothing that a stage which runs at present holds."""

import json
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from cellab.leases import FOLDER as LEASES
from cellab.leases import FORGET_SECONDS
from cellab.plain import PlainMapping
from cellab.store import CHECKPOINTS, MANIFEST, PARTIAL, PROBE, REQUEST, Store

What = Literal["entry", "checkpoint", "left-over"]
WITH_WEIGHTS = ("train_member", "train_gan")  # kinds of stages
KEY = re.compile(r"[0-9a-f]{64}")
BESIDE = re.compile(r".+\.[0-9a-f]{32}")  # what is written before it gets its name


@dataclass(frozen=True)
class Item:
    """Something in a store.

    Args:
        what: the result of a stage, the state of an unfinished one, or what nobody needs any more.
        path: below the root.
        size: bytes.
        modified: when it was last written, in seconds of the store's clock; infinite where that is not known.
        key: of its stage, where it belongs to one.
        kind: of that stage, where it is known.
    """

    what: What
    path: str
    size: int
    modified: float
    key: str | None = None
    kind: str = ""


def items(store: Store) -> list[Item]:
    """All that a store holds but its notes on data sets and leases; files that are none of ours are left out."""
    found: dict[str, list[PlainMapping]] = {}
    for path, about in store.filesystem.find(store.root, detail=True).items():
        parts = path.removeprefix(store.root).strip("/").split("/")
        depth = 2 if parts[0] == PARTIAL or len(parts) == 3 else len(parts)
        found.setdefault("/".join(parts[:depth]), []).append(about)
    kinds = _kinds(store, [path for path in found if _is_entry(path)])
    return [item for path, files in found.items() if (item := _item(path, files, kinds.get(path, "")))]


def _is_entry(path: str) -> bool:
    first, _, key = path.partition("/")
    return KEY.fullmatch(key) is not None and key.startswith(first) and len(first) == 2


def _item(path: str, files: Sequence[PlainMapping], kind: str) -> Item | None:
    folder, _, name = path.rpartition("/")
    key = KEY.match(name)
    about = {
        "path": path,
        "size": sum(int(str(file["size"])) for file in files),
        "modified": max(map(_modified, files)),
        "key": key and key.group(),
    }
    what: What | None = None
    if _is_entry(path):
        whole = any(str(file["name"]).endswith(f"/{MANIFEST}") for file in files)
        what = "entry" if whole else "left-over"
    elif folder == PARTIAL or path.startswith(PROBE):
        what = "left-over"
    elif folder == CHECKPOINTS and key and name == f"{key.group()}.safetensors":
        what = "checkpoint"
    elif folder in (CHECKPOINTS, "content", LEASES) and BESIDE.fullmatch(name):
        what = "left-over"
        about["key"] = about["key"] if folder == CHECKPOINTS else None
    return Item(what, kind=kind, **about) if what else None  # type: ignore[arg-type]


def _modified(about: PlainMapping) -> float:
    """As various file systems tell it."""
    for name in ("mtime", "LastModified", "updated", "created"):
        value = about.get(name)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, int | float):
            return value
    return float("inf")


def _kinds(store: Store, entries: Sequence[str]) -> dict[str, str]:
    if not entries:
        return {}
    paths = {f"{store.root}/{entry}/{REQUEST}": entry for entry in entries}
    kinds = {}
    for path, content in store.filesystem.cat([*paths], on_error="omit").items():
        with suppress(ValueError, TypeError, LookupError):
            kinds[paths[path]] = str(json.loads(content)["stage"])
    return kinds


def removable(store: Store, held: Sequence[Item], keep: Collection[str] = (), most: int | None = None) -> list[Item]:
    """What may go, and what is to go first: left-overs, states of finished stages, and more only to save room.

    That is, until no more than `most` is left: states of unfinished stages, then what holds weights, then all other
    results, of each the oldest first. While stages run no results are taken away from under them.

    Args:
        store: where all is.
        held: what it holds, as `items` told a moment ago.
        keep: keys of stages of which nothing but left-overs may go.
        most: bytes; None: no limit.
    """
    holders = store.leases.all()  # after `held` was listed: who began later has left nothing in it
    kept = {*keep, *(holder.key for holder in holders if not holder.is_gone(store.now()))}
    finished = {item.key for item in held if item.what == "entry"}
    first = [item for item in held if item.what == "left-over" and _is_nobodys(item, store, kept - {*keep})]
    first += [item for item in held if item.what == "checkpoint" and item.key in finished - kept]
    size = sum(item.size for item in held) - sum(item.size for item in first)
    for item in _by_worth(held, entries=not store.leases.live()):
        if most is None or size <= most:
            break
        if item not in first and item.key not in kept:
            first.append(item)
            size -= item.size
    return first


def _is_nobodys(item: Item, store: Store, held: Collection[str]) -> bool:
    return item.key not in held if item.key else store.now() - item.modified > FORGET_SECONDS


def _by_worth(held: Sequence[Item], *, entries: bool) -> Iterator[Item]:
    oldest_first = sorted(held, key=lambda item: item.modified)
    yield from (item for item in oldest_first if item.what == "checkpoint")
    if entries:
        yield from (item for item in oldest_first if item.what == "entry" and item.kind in WITH_WEIGHTS)
        yield from (item for item in oldest_first if item.what == "entry" and item.kind not in WITH_WEIGHTS)


def remove(store: Store, item: Item) -> bool:
    """Removes something, unless a stage that has begun meanwhile holds it; tells whether it did."""
    lease = store.leases.take(item.key) if item.key else None
    if item.key and not lease:
        return False
    try:
        with suppress(FileNotFoundError):
            store.filesystem.rm(f"{store.root}/{item.path}", recursive=True)
    finally:
        if lease:
            lease.drop()
    return True
