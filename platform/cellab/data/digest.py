"""The digest of a data set's content, whatever its chunking and compression, and those of each frame by itself."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Self

import numpy as np

_HEX = 64  # digits of a SHA-256


def frame_digest(frame: np.ndarray) -> str:
    """SHA-256 (hex) of one frame of one array, (H, W) unsigned integers, its shape and type included."""
    digest = hashlib.sha256(f"{frame.dtype.name} {frame.shape}".encode())
    digest.update(_little_endian(frame))
    return digest.hexdigest()


def _little_endian(frame: np.ndarray) -> memoryview:
    """The bytes of a frame, whatever the order in which this machine or a file has them."""
    return np.ascontiguousarray(frame, dtype=frame.dtype.newbyteorder("<")).data


@dataclass(frozen=True)
class FrameDigests:
    """What a data set was seen to hold, so that what is read from it later can be checked frame by frame.

    Args:
        said: SHA-256 (hex) of what is said about the frames.
        arrays: of each array, e.g. ``"scales/0.5/masks"``, the digests of its frames, one after the other.
    """

    said: str
    arrays: dict[str, str]

    def holds(self, array: str, index: int, frame: np.ndarray) -> bool:
        """Whether this is the frame that was seen."""
        return self.arrays.get(array, "")[_HEX * index : _HEX * (index + 1)] == frame_digest(frame)

    def to_bytes(self) -> bytes:
        """For a file, with a digest of its own."""
        content = json.dumps(asdict(self)).encode()
        return hashlib.sha256(content).hexdigest().encode() + content

    @classmethod
    def of_bytes(cls, content: bytes) -> Self | None:
        """What `to_bytes` gave, or None where it is something else, or damaged."""
        digest, described = content[:_HEX], content[_HEX:]
        return cls(**json.loads(described)) if hashlib.sha256(described).hexdigest().encode() == digest else None


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
        self._arrays.setdefault(array, hashlib.sha256()).update(str(frame.shape).encode())
        self._arrays[array].update(_little_endian(frame))
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
