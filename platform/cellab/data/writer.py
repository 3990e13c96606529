"""Writes a data set frame by frame, so that the file is whole or absent."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import h5py
import numpy as np

from cellab import __version__
from cellab.data.dataset import ARRAYS, FORMAT, SPLITS, VERSION, scale_group
from cellab.data.digest import ContentDigest
from cellab.data.reservation import Reservation
from cellab.data.storage import Storage
from cellab.errors import DataError, reason
from cellab.stopping import signals_put_off

TILE = 256  # pixels: at most this side of a chunk, so that one frame and one tile read fast

Pyramid = Mapping[float, np.ndarray]  # scale to (H, W)


class DatasetWriter:
    """Streams frames into ``<name>.partial`` beside the file and renames it when all are there.

    A context manager: leaving it well finishes the file, leaving it by an exception leaves nothing.

    Args:
        path: the file to be, or its reservation.
        sizes: height and width at each scale, of the largest frame.
        n_frames: how many frames there will be.
        mask_type: of masks and truth: uint8, uint16 or uint32.
        has_truth: whether there are complete masks.
        instances: whether the masks hold ids.
        related: whether the frames are consecutive.
        provenance: what is known of the data's making; JSON.
        overwrite: whether a file that is there may be replaced; a reservation says so itself.

    Raises:
        DataError: the file is there, is being written by somebody else, or cannot be written.
    """

    def __init__(
        self,
        path: str | Path | Reservation,
        sizes: Mapping[float, tuple[int, int]],
        n_frames: int,
        *,
        mask_type: np.dtype | type[np.unsignedinteger] = np.uint8,
        has_truth: bool = False,
        instances: bool = False,
        related: bool = True,
        provenance: Mapping[str, object] | None = None,
        overwrite: bool = False,
    ) -> None:
        described = json.dumps({**(provenance or {}), "created_by": f"cellab {__version__}"})
        self.reservation = path if isinstance(path, Reservation) else Reservation(path, overwrite)
        self.path = self.reservation.path
        self.related = related
        self.instances = instances
        self.arrays = ARRAYS[: 3 if has_truth else 2]
        self.names: list[str] = []
        self.split = np.zeros(n_frames, np.uint8)
        self.annotated = np.zeros(n_frames, bool)
        self.sizes: dict[float, np.ndarray] = {}
        self.digest = ""
        self._content = ContentDigest()
        self._storage = Storage(self.reservation.descriptor)
        with signals_put_off():
            self._file = h5py.File(self._storage, "w")
        try:
            with self._writing():
                self._file.attrs["provenance"] = described
                for scale, size in sizes.items():
                    self._create(scale, size, n_frames, np.dtype(mask_type))
        except BaseException:
            self.abort()
            raise

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Around all that HDF5 is told."""
        try:
            with signals_put_off():
                yield
        finally:
            if error := self._storage.error:
                raise DataError(f"{self.path} could not be written: {reason(error)}.") from error

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
        with self._writing():
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
        attributes = {"format": FORMAT, "version": VERSION, "digest": self.digest}
        with self._writing():
            for name, values in said.items():
                self._file.create_dataset(name, data=values, dtype=h5py.string_dtype() if name == "names" else None)
            for scale, sizes in self.sizes.items():
                self._file.create_dataset(f"{scale_group(scale)}/sizes", data=sizes)
            self._file.attrs.update({**attributes, "related": self.related, "instances": self.instances})
            self._file.close()
        try:
            with signals_put_off():
                self.reservation.move_into_place()
        except OSError as error:
            raise DataError(f"{self.path} could not be written: {reason(error)}.") from error
        return self.digest

    def abort(self) -> None:
        """Leaves nothing behind."""
        with signals_put_off():
            self._file.close()
            self.reservation.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            if error is None:
                self.finish()
        finally:
            self.abort()  # of a finished file there is nothing left to remove


def smallest_type(largest_id: int) -> type[np.unsignedinteger]:
    """The smallest of uint8, uint16 and uint32 that holds an id."""
    return next(t for t in (np.uint8, np.uint16, np.uint32) if largest_id <= np.iinfo(t).max)
