"""Sees that a data set's content is what its digest says, once for each state of the file, since that takes long."""

import hashlib
from pathlib import Path

from cellab.data.dataset import Dataset
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
    with Dataset.open(path) as data:
        status = path.stat()
        state = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, data.digest]
        described = canonical_json(state).encode()
        if store.read_note(name) == described:
            return
        if data.content_digest() != data.digest:
            raise DataError(
                f"{path} is damaged or was changed by hand: its content is not what its digest says. "
                f"Make it again by cellab data import, hide or synth."
            )
    store.write_note(name, described)
