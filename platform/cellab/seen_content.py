"""Sees that a data set's content is what its digest says, once for each state of its file, since that takes long.

What each frame was then is kept in the store, so that every stage checks what it reads itself, whatever has become of
the file meanwhile.
"""

import hashlib
from pathlib import Path

from cellab.data.dataset import Dataset
from cellab.data.digest import FrameDigests
from cellab.data.hidden import DataFile
from cellab.errors import DataError
from cellab.stage import canonical_json
from cellab.store import Store


def check_content(path: Path, store: Store) -> None:
    """Hashes the content, unless the store knows a file of this name, size, times and digest to be sound.

    Args:
        path: of the data set, absolute.
        store: whose stages stand for the digest.

    Raises:
        DataError: the content is not what the digest says.
    """
    name = f"content/{hashlib.sha256(str(path).encode(errors='surrogateescape')).hexdigest()}.json"
    status = path.stat()  # before it is opened: what is written from now on makes it another state
    with Dataset.open(path) as data:
        state = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, data.digest]
        described = canonical_json(state).encode()
        if store.read_note(name) == described and _known(data.digest, store):
            return
        _look(data, store)
    store.write_note(name, described)


def checked_file(path: Path, digest: str, store: Store) -> DataFile:
    """The file with what it must hold to be the data set of a digest; hashes it where the store does not know that.

    Args:
        path: of the file.
        digest: of the content that is wanted.
        store: where it is written what was seen.

    Raises:
        DataError: the file is of another digest, or its content is not what its digest says.
    """
    with Dataset.open(path) as data:
        if data.digest != digest:
            raise DataError(f"{path} changed while the study ran: start it again to use the new content.")
        return DataFile(path, _known(digest, store) or _look(data, store))


def _known(digest: str, store: Store) -> FrameDigests | None:
    content = store.read_note(_frames_note(digest))
    return FrameDigests.of_bytes(content) if content is not None else None


def _look(data: Dataset, store: Store) -> FrameDigests:
    content, frames = data.seen()
    if content != data.digest:
        raise DataError(
            f"{data.path} is damaged or was changed by hand: its content is not what its digest says. "
            f"Make it again by cellab data import, hide or synth."
        )
    store.write_note(_frames_note(data.digest), frames.to_bytes())
    return frames


def _frames_note(digest: str) -> str:
    return f"content/{digest}.frames"
