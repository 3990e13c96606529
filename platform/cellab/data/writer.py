"""Writes a data set frame by frame, so that the file is whole or absent."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np

from cellab import __version__
from cellab.data.dataset import ARRAYS, FORMAT, SPLITS, VERSION, scale_group
from cellab.data.digest import ContentDigest
from cellab.errors import DataError

TILE = 256  # pixels: at most this side of a chunk, so that one frame and one tile read fast

Pyramid = Mapping[float, np.ndarray]  # scale to (H, W)


class DatasetWriter:
    """Streams frames into ``<name>.partial`` beside the file and renames it when all are there.

    A context manager: leaving it well finishes the file, leaving it by an exception leaves nothing.

    Args:
        path: the file to be.
        sizes: height and width at each scale, of the largest frame.
        n_frames: how many frames there will be.
        mask_type: of masks and truth: uint8, uint16 or uint32.
        has_truth: whether there are complete masks.
        instances: whether the masks hold ids.
        related: whether the frames are consecutive.
        provenance: what is known of the data's making; JSON.
        overwrite: whether a file that is there may be replaced.

    Raises:
        DataError: the file is there, or cannot be written.
    """

    def __init__(
        self,
        path: str | Path,
        sizes: Mapping[float, tuple[int, int]],
        n_frames: int,
        *,
        mask_type: np.dtype | type[np.unsignedinteger] = np.uint8,
        has_truth: bool = False,
        instances: bool = False,
        related: bool = True,
        provenance: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ) -> None:
        self.path = Path(path)
        check_writable(self.path, overwrite)
        self.partial = self.path.with_name(self.path.name + ".partial")
        self.related = related
        self.instances = instances
        self.arrays = ARRAYS[: 3 if has_truth else 2]
        self.names: list[str] = []
        self.split = np.zeros(n_frames, np.uint8)
        self.annotated = np.zeros(n_frames, bool)
        self.sizes: dict[float, np.ndarray] = {}
        self.digest = ""
        self._content = ContentDigest()
        try:
            self._file = h5py.File(self.partial, "w")
        except OSError as error:
            raise DataError(f"{self.path} cannot be written: {error}") from error
        self._file.attrs["provenance"] = json.dumps({**(provenance or {}), "created_by": f"cellab {__version__}"})
        for scale, size in sizes.items():
            self._create(scale, size, n_frames, np.dtype(mask_type))

    def _create(self, scale: float, size: tuple[int, int], n_frames: int, mask_type: np.dtype) -> None:
        group = self._file.create_group(scale_group(scale))
        self.sizes[scale] = np.tile(np.array(size, np.int32), (n_frames, 1))
        for name in self.arrays:
            group.create_dataset(
                name,
                shape=(n_frames, *size),
                dtype=np.uint8 if name == "frames" else mask_type,
                chunks=(1, min(size[0], TILE), min(size[1], TILE)),
                compression="lzf",
                shuffle=name != "frames",
            )

    def append(
        self,
        name: str,
        split: str,
        frames: Pyramid,
        masks: Pyramid,
        truth: Pyramid | None = None,
        *,
        annotated: bool = True,
    ) -> None:
        """Writes the next frame at every scale.

        Args:
            name: for people.
            split: one of `SPLITS`.
            frames: uint8.
            masks: ids, or 0 and 1; all 0 where the frame is not annotated.
            truth: likewise, complete.
            annotated: whether the frame has a mask at all.
        """
        index = len(self.names)
        self.names.append(name)
        self.split[index] = SPLITS.index(split)
        self.annotated[index] = annotated
        for array, pyramid in zip(ARRAYS, (frames, masks, truth), strict=True):
            if pyramid is not None:
                self._write(array, index, pyramid)

    def _write(self, array: str, index: int, pyramid: Pyramid) -> None:
        for scale, image in pyramid.items():
            where = f"{scale_group(scale)}/{array}"
            stored = self._file[where]
            height, width = image.shape
            assert height <= stored.shape[1], (where, image.shape, stored.shape)
            assert width <= stored.shape[2], (where, image.shape, stored.shape)
            typed = image.astype(stored.dtype, copy=False)
            stored[index, :height, :width] = typed
            self.sizes[scale][index] = height, width
            self._content.update(where, typed)

    def finish(self) -> str:
        """Completes the file, moves it into place and gives its digest."""
        assert len(self.names) == len(self.split), (len(self.names), len(self.split))
        said = {"names": self.names, "split": self.split, "annotated": self.annotated}
        self.digest = self._content.hexdigest(
            names=self.names,
            split=self.split,
            annotated=self.annotated,
            related=self.related,
            instances=self.instances,
        )
        for name, values in said.items():
            self._file.create_dataset(name, data=values, dtype=h5py.string_dtype() if name == "names" else None)
        for scale, sizes in self.sizes.items():
            self._file.create_dataset(f"{scale_group(scale)}/sizes", data=sizes)
        attributes = {"format": FORMAT, "version": VERSION, "digest": self.digest}
        self._file.attrs.update({**attributes, "related": self.related, "instances": self.instances})
        self._file.close()
        with self.partial.open("rb+") as file:
            os.fsync(file.fileno())
        self.partial.replace(self.path)
        return self.digest

    def abort(self) -> None:
        """Leaves nothing behind."""
        self._file.close()
        self.partial.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            if error is None:
                self.finish()
        except OSError as trouble:
            error = trouble
        finally:
            if error is not None or not self.digest:
                self.abort()
        if isinstance(error, OSError):
            raise DataError(f"{self.path} could not be written: {error}") from error


def check_writable(path: Path, overwrite: bool) -> None:
    """Checks, before long work, that a file may come to be.

    Raises:
        DataError: it is there and may not be replaced, or its folder is not there.
    """
    if path.exists() and not overwrite:
        raise DataError(f"{path} is there already: name another file, or replace it with --force.")
    if path.is_dir():
        raise DataError(f"{path} is a folder: name a file in it, e.g. {path / 'cells.h5'}.")
    if not path.parent.is_dir():
        raise DataError(f"there is no folder {path.parent}: make it, or write {path.name} elsewhere.")


def smallest_type(largest_id: int) -> type[np.unsignedinteger]:
    """The smallest of uint8, uint16 and uint32 that holds an id."""
    return next(t for t in (np.uint8, np.uint16, np.uint32) if largest_id <= np.iinfo(t).max)
