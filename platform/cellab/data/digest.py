"""The digest of a data set's content, whatever its chunking and compression."""

import hashlib
import json

import numpy as np


class ContentDigest:
    """SHA-256 of frames, masks and truth of every scale and of what is said about each frame; fed frame by frame.

    Every array has a digest of its own, so that arrays may be fed in any order; the frames of one array may not.
    """

    def __init__(self) -> None:
        self._arrays: dict[str, hashlib._Hash] = {}
        self._types: dict[str, str] = {}

    def update(self, array: str, frame: np.ndarray) -> None:
        """Adds the next frame of an array.

        Args:
            array: which one, e.g. ``"scales/0.5/masks"``.
            frame: (H, W), unsigned integers.
        """
        little_endian = np.ascontiguousarray(frame, dtype=frame.dtype.newbyteorder("<"))
        self._arrays.setdefault(array, hashlib.sha256()).update(str(frame.shape).encode())
        self._arrays[array].update(little_endian.data)
        self._types[array] = frame.dtype.name

    def hexdigest(
        self, *, names: list[str], split: np.ndarray, annotated: np.ndarray, related: bool, instances: bool
    ) -> str:
        """The digest of all that was fed and of what is said about the frames.

        Args:
            names: of the N frames.
            split: (N,) codes, indices into `SPLITS`.
            annotated: (N,) bool.
            related: whether the frames are consecutive.
            instances: whether the masks hold ids.

        Returns:
            64 hexadecimal digits.
        """
        content = {
            "names": names,
            "split": split.astype(int).tolist(),
            "annotated": annotated.astype(int).tolist(),
            "related": bool(related),
            "instances": bool(instances),
            "types": self._types,
            "arrays": {name: array.hexdigest() for name, array in self._arrays.items()},
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
