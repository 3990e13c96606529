"""The store: stages' results by content address, whole or absent, checked when read.

Layout below the root (a folder, or any URL that fsspec knows):

    <first two of key>/<key>/request.json      what was asked
                             metrics.json      what came out, as numbers
                             *.safetensors, *.h5
                             manifest.json     SHA-256 of each of the files above, written last
    checkpoints/<key>.safetensors              the state of an unfinished stage
    costs/<key>.json                           what a stage took, if it ended well (`cellab.costs`)
    content/<hash of path>.json                a data set whose content was seen to be what its digest says
    content/<digest of a data set>.frames      the digests of its frames, by which stages check what they read
    leases/<key>.<owner>.json                  who computes a stage at present
    .partial/                                  what is being written, or removed

A folder is written beside and renamed into place; on object stores, which cannot rename, the manifest goes last and a
folder without one counts as absent. No pickle anywhere.
"""

import errno
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import fsspec
from fsspec.implementations.local import LocalFileSystem

from cellab.errors import StoreError, reason
from cellab.leases import Lease, Leases
from cellab.outcomes import METRICS, Outcome
from cellab.scratch import Scratch
from cellab.stage import Stage, canonical_json
from cellab.stage_kinds import kind_of

MANIFEST = "manifest.json"
REQUEST = "request.json"
PARTIAL = ".partial"
CHECKPOINTS = "checkpoints"
PROBE = ".writable-"
WITHOUT_FOLDERS = {"s3", "gs", "abfs"}  # protocols of object stores


class Store:
    """Results of stages below a root.

    Args:
        url: a folder or any fsspec URL, e.g. ``runs/store`` or ``s3://bucket/store``.
        to_read: whether nothing will be written, not even the root.

    Raises:
        StoreError: nothing can be written there, or there is a file.
    """

    def __init__(self, url: str, *, to_read: bool = False) -> None:
        self.url = url
        try:
            self.filesystem, root = fsspec.core.url_to_fs(url)
            self.filesystem.dircache.use_listings_cache = False  # or it never sees what others write and remove
            self.filesystem.invalidate_cache()
            self.root = str(root).rstrip("/")
            self.is_local = isinstance(self.filesystem, LocalFileSystem)
            self._ahead = 0.0  # of this machine's clock
            if to_read:
                self._see_that_it_is_no_file()
            else:
                self._make_folder(self.root)
                self._try_writing()
        except Exception as error:  # libraries of remote stores have errors of their own
            raise StoreError(_not_writable(url, error)) from error
        self.leases = Leases(self, self.now)
        self._scratch: Scratch | None = None

    def _make_folder(self, path: str) -> None:
        """Makes a folder where there are such; on others it would at most make a bucket, of a misspelt name perhaps."""
        protocols = self.filesystem.protocol
        if WITHOUT_FOLDERS.isdisjoint([protocols] if isinstance(protocols, str) else protocols):
            self.filesystem.makedirs(path, exist_ok=True)

    def _see_that_it_is_no_file(self) -> None:
        if self.filesystem.isfile(self.root):
            raise NotADirectoryError("it is a file")

    def _try_writing(self) -> None:
        probe = f"{self.root}/{PROBE}{uuid.uuid4().hex}"
        self.filesystem.pipe_file(probe, b"")
        with suppress(NotImplementedError):
            self._ahead = self.filesystem.modified(probe).timestamp() - time.time()
        self.filesystem.rm_file(probe)

    def now(self) -> float:
        """Seconds of the store's clock, which is the same for all machines that use it."""
        return time.time() + self._ahead

    def _folder(self, key: str) -> str:
        return f"{self.root}/{key[:2]}/{key}"

    def _read(self, key: str, name: str) -> bytes:
        return bytes(self.filesystem.cat_file(f"{self._folder(key)}/{name}"))

    def has(self, key: str) -> bool:
        """Whether a whole entry is there (its files' digests unchecked)."""
        return bool(self.filesystem.exists(f"{self._folder(key)}/{MANIFEST}"))

    def stored(self, keys: list[str]) -> set[str]:
        """Those of the keys whose entries are there."""
        return {key for key in keys if self.has(key)}

    def outcome(self, stage: Stage) -> Outcome:
        """The outcome of a stage whose entry is there."""
        return Outcome.from_json(stage.key, self._read(stage.key, METRICS), kind_of(stage.request).result)

    def is_sound(self, key: str) -> bool:
        """Whether an entry is there and is what was written: all of its files, and no others.

        Raises:
            OSError: it cannot be read now, which says nothing of it.
        """
        if not self.has(key):
            return False
        try:
            sound = _is_sound(self.fetch(key), key)
        except FileNotFoundError:  # it is going at this moment
            return False
        if not sound:
            self._forget(key)
        return sound

    def fetch(self, key: str) -> Path:
        """A local folder with the entry's files: the entry itself, or a copy of a remote one."""
        if self.is_local:
            return Path(self._folder(key))
        folder = self._temporary() / "entries" / key
        if not folder.is_dir():
            beside = folder.with_name(uuid.uuid4().hex)
            self.filesystem.get(f"{self._folder(key)}/", f"{beside}/", recursive=True)
            beside.rename(folder)
        return folder

    def _temporary(self) -> Path:
        if self._scratch is None:
            self._scratch = Scratch()
        return self._scratch.path

    def _forget(self, key: str) -> None:
        """Lets go of the copy of a remote entry: another command may put a sound one in its place."""
        if not self.is_local:
            shutil.rmtree(self._temporary() / "entries" / key, ignore_errors=True)

    def discard(self, key: str) -> None:
        """Removes an entry that is not sound; one that is, another command has put there a moment ago.

        Of a remote one the manifest alone goes, without which it counts as absent: what is published next is written
        over the rest, so that nothing is removed of what another command writes at this moment.
        """
        if self.is_sound(key):
            return
        if self.is_local:
            self._set_aside(key)
            return
        with suppress(FileNotFoundError):
            self.filesystem.rm_file(f"{self._folder(key)}/{MANIFEST}")

    def _set_aside(self, key: str) -> None:
        """Removes a local entry, unless what it takes away is what another command has published since it looked."""
        aside = self._beside(key)
        aside.parent.mkdir(exist_ok=True)
        try:
            Path(self._folder(key)).rename(aside)
        except FileNotFoundError:  # another command discards it too
            return
        if _is_sound(aside, key):
            self._move_in(aside, key)
        with suppress(FileNotFoundError):
            self.filesystem.rm(str(aside), recursive=True)

    @contextmanager
    def computing(self, stage: Stage, waiting: Callable[[], object] = lambda: None) -> Iterator[Lease]:
        """While the block lasts no other command computes the stage; waits until none does.

        Args:
            stage: that is to be computed.
            waiting: called now and then while it waits; what it raises ends the wait.

        Raises:
            StoreError: nothing can be written.
        """
        with ExitStack() as stack:
            try:
                lease = stack.enter_context(self.leases.held(stage.key, waiting))
            except OSError as error:
                raise StoreError(f"the store {self.url} could not take {stage.label}: {reason(error)}.") from error
            if lease.is_alone:
                self._clear(stage.key)
            yield lease

    def _clear(self, key: str) -> None:
        """Removes what commands that were killed have left of a stage half written; a remote store keeps no such."""
        if not self.is_local:
            return
        root = Path(self.root)
        for path in [*(root / PARTIAL).glob(f"{key}-*"), *(root / CHECKPOINTS).glob(f"{key}.safetensors.*")]:
            with suppress(FileNotFoundError):
                self.filesystem.rm(str(path), recursive=True)

    @contextmanager
    def writing(self, stage: Stage) -> Iterator[Path]:
        """An empty local folder whose files become the stage's entry if the block ends well; else nothing is left."""
        beside = self._beside(stage.key)
        beside.mkdir(parents=True)
        try:
            yield beside
            (beside / REQUEST).write_text(canonical_json(stage.identity))
            manifest = {path.name: _sha256(path) for path in sorted(beside.iterdir())}
            (beside / MANIFEST).write_text(canonical_json(manifest))
            self._publish(beside, stage.key)
        except OSError as error:
            raise StoreError(f"the store {self.url} could not take {stage.label}: {reason(error)}.") from error
        finally:
            shutil.rmtree(beside, ignore_errors=True)

    def _beside(self, key: str) -> Path:
        """A path for what is on its way to or from an entry, from where a local one is renamed."""
        parent = Path(self.root) / PARTIAL if self.is_local else self._temporary() / "stages"
        return parent / f"{key}-{uuid.uuid4().hex}"

    def _publish(self, beside: Path, key: str) -> None:
        if not self.is_local:
            self._upload(beside, key)
            return
        for path in beside.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        Path(self._folder(key)).parent.mkdir(exist_ok=True)
        self._move_in(beside, key)

    def _move_in(self, beside: Path, key: str) -> None:
        try:
            beside.rename(self._folder(key))
        except OSError:
            if not self.has(key):  # somebody else finished the same stage first: the same bytes
                raise

    def _upload(self, beside: Path, key: str) -> None:
        """Writes over what a command that was killed, or a damaged entry, has left there; the manifest last."""
        if self.has(key):  # somebody else finished the same stage first
            return
        files = {path.name: path for path in sorted(beside.iterdir())}
        manifest = files.pop(MANIFEST)
        for name, path in files.items():
            self.filesystem.put_file(str(path), f"{self._folder(key)}/{name}")
        for there in self.filesystem.ls(self._folder(key), detail=False):
            if (name := there.rpartition("/")[2]) not in files and name != MANIFEST:
                self.filesystem.rm(there, recursive=True)
        self.filesystem.put_file(str(manifest), f"{self._folder(key)}/{MANIFEST}")
        self._forget(key)

    def read_checkpoint(self, key: str) -> bytes | None:
        """The last state of an unfinished stage, or None."""
        return self.read_note(f"{CHECKPOINTS}/{key}.safetensors")

    def checkpoint_url(self, key: str) -> str:
        """Where it is, for people."""
        return f"{self.url.rstrip('/')}/{CHECKPOINTS}/{key}.safetensors"

    def write_checkpoint(self, key: str, content: bytes) -> None:
        """Replaces the state of an unfinished stage, atomically."""
        self.write_note(f"{CHECKPOINTS}/{key}.safetensors", content)

    def read_note(self, name: str) -> bytes | None:
        """What was written under a name `<folder>/<file>` below the root, or None."""
        try:
            return bytes(self.filesystem.cat_file(f"{self.root}/{name}"))
        except FileNotFoundError:
            return None

    def write_note(self, name: str, content: bytes) -> None:
        """Replaces what is under a name `<folder>/<file>` below the root, atomically."""
        path = f"{self.root}/{name}"
        self._make_folder(path.rpartition("/")[0])
        if not self.is_local:
            self.filesystem.pipe_file(path, content)
            return
        beside = Path(f"{path}.{uuid.uuid4().hex}")
        try:
            with beside.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())  # else a crash may leave an empty file under the name
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)

    def drop_checkpoint(self, key: str) -> None:
        """Removes the state of a stage that has finished."""
        self.drop_note(f"{CHECKPOINTS}/{key}.safetensors")

    def drop_note(self, name: str) -> None:
        """Removes what is under a name; another command may have done so."""
        with suppress(FileNotFoundError):
            self.filesystem.rm_file(f"{self.root}/{name}")

    def notes(self, folder: str) -> list[str]:
        """The names `<folder>/<file>` of what is in a folder below the root."""
        try:
            there = self.filesystem.ls(f"{self.root}/{folder}", detail=False)
        except FileNotFoundError:
            return []
        return [f"{folder}/{path.rpartition('/')[2]}" for path in there if not path.endswith("/")]


def _not_writable(url: str, error: Exception) -> str:
    protocol, found, _ = url.partition("://")
    extra = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}.get(protocol) if found else None
    if isinstance(error, ImportError) and extra:
        return f"the store {url} cannot be reached: install its library by `pip install 'cellab[{extra}]'`."
    return f"the store {url} is not writable ({error}): name a folder that is with --store, or free this one."


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_sound(folder: Path, key: str) -> bool:
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        names = {path.name for path in folder.iterdir() if not path.name.startswith(".")} - {MANIFEST}
        if not isinstance(manifest, dict) or set(manifest) != names or not {REQUEST, METRICS} <= names:
            return False
        return manifest[REQUEST] == key and all(_sha256(folder / name) == digest for name, digest in manifest.items())
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError):
        return False
    except OSError as error:
        if error.errno == errno.EIO:  # the disk has lost it
            return False
        raise
