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

A folder is written beside and renamed into place; on object stores, which cannot rename, the manifest goes last and a
folder without one counts as absent. No pickle anywhere.
"""

import hashlib
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import fsspec
from fsspec.implementations.local import LocalFileSystem

from cellab.errors import StoreError, reason
from cellab.outcomes import METRICS, Outcome
from cellab.stage import Stage, canonical_json
from cellab.stage_kinds import kind_of

MANIFEST = "manifest.json"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
            self.root = str(root).rstrip("/")
            self.is_local = isinstance(self.filesystem, LocalFileSystem)
            if to_read:
                self._see_that_it_is_no_file()
            else:
                self.filesystem.makedirs(self.root, exist_ok=True)
                self._try_writing()
        except (OSError, ValueError, ImportError) as error:
            raise StoreError(
                f"the store {url} is not writable ({error}): name a folder that is with --store, or free this one."
            ) from error
        self._cache: tempfile.TemporaryDirectory[str] | None = None

    def _see_that_it_is_no_file(self) -> None:
        if self.filesystem.isfile(self.root):
            raise NotADirectoryError("it is a file")

    def _try_writing(self) -> None:
        probe = f"{self.root}/.writable-{uuid.uuid4().hex}"
        self.filesystem.pipe_file(probe, b"")
        self.filesystem.rm_file(probe)

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
        """Whether an entry is there and every file of it is what was written."""
        if not self.has(key):
            return False
        try:
            manifest = json.loads(self._read(key, MANIFEST))
            folder = self.fetch(key)
            return bool(manifest) and all(_sha256(folder / name) == digest for name, digest in manifest.items())
        except (OSError, ValueError):
            return False

    def fetch(self, key: str) -> Path:
        """A local folder with the entry's files: the entry itself, or a copy of a remote one."""
        if self.is_local:
            return Path(self._folder(key))
        if self._cache is None:
            self._cache = tempfile.TemporaryDirectory(prefix="cellab-store-")
        folder = Path(self._cache.name) / key
        if not folder.is_dir():
            self.filesystem.get(f"{self._folder(key)}/", f"{folder}/", recursive=True)
        return folder

    def discard(self, key: str) -> None:
        """Removes an entry that is not sound; one that is, another command has put there a moment ago."""
        if self.is_sound(key):
            return
        with suppress(FileNotFoundError):  # another command may discard it too
            self.filesystem.rm(self._folder(key), recursive=True)
        if self._cache is not None:
            shutil.rmtree(Path(self._cache.name) / key, ignore_errors=True)

    @contextmanager
    def writing(self, stage: Stage) -> Iterator[Path]:
        """An empty local folder whose files become the stage's entry if the block ends well; else nothing is left."""
        if self.is_local:
            beside = Path(self.root) / ".partial" / f"{stage.key[:12]}-{uuid.uuid4().hex}"
        else:
            beside = Path(tempfile.mkdtemp(prefix="cellab-stage-")) / stage.key
        beside.mkdir(parents=True)
        try:
            yield beside
            (beside / "request.json").write_text(canonical_json(stage.identity))
            manifest = {path.name: _sha256(path) for path in sorted(beside.iterdir())}
            (beside / MANIFEST).write_text(canonical_json(manifest))
            self._publish(beside, stage.key)
        except OSError as error:
            raise StoreError(f"the store {self.url} could not take {stage.label}: {reason(error)}.") from error
        finally:
            shutil.rmtree(beside, ignore_errors=True)

    def _publish(self, beside: Path, key: str) -> None:
        if not self.is_local:
            for path in sorted(beside.iterdir(), key=lambda path: path.name == MANIFEST):
                self.filesystem.put_file(str(path), f"{self._folder(key)}/{path.name}")
            return
        for path in beside.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        target = Path(self._folder(key))
        target.parent.mkdir(exist_ok=True)
        try:
            beside.rename(target)
        except OSError:
            if not self.has(key):  # somebody else finished the same stage first: the same bytes
                raise

    def read_checkpoint(self, key: str) -> bytes | None:
        """The last state of an unfinished stage, or None."""
        return self.read_note(f"checkpoints/{key}.safetensors")

    def checkpoint_url(self, key: str) -> str:
        """Where it is, for people."""
        return f"{self.url.rstrip('/')}/checkpoints/{key}.safetensors"

    def write_checkpoint(self, key: str, content: bytes) -> None:
        """Replaces the state of an unfinished stage, atomically."""
        self.write_note(f"checkpoints/{key}.safetensors", content)

    def read_note(self, name: str) -> bytes | None:
        """What was written under a name `<folder>/<file>` below the root, or None."""
        try:
            return bytes(self.filesystem.cat_file(f"{self.root}/{name}"))
        except FileNotFoundError:
            return None

    def write_note(self, name: str, content: bytes) -> None:
        """Replaces what is under a name `<folder>/<file>` below the root, atomically."""
        path = f"{self.root}/{name}"
        self.filesystem.makedirs(path.rpartition("/")[0], exist_ok=True)
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
        path = f"{self.root}/checkpoints/{key}.safetensors"
        with suppress(FileNotFoundError):  # another command that ran the same stage may have removed it
            self.filesystem.rm_file(path)
