"""Reads a data set: one HDF5 file with frames, masks and perhaps truth at several scales.

/                        attributes format, version, digest, provenance (JSON), related, instances
/split                   (N,) uint8, an index into SPLITS
/annotated               (N,) bool: whether the frame has a mask at all
/names                   (N,) UTF-8
/scales/<scale>/sizes    (N, 2) int32: each frame's height and width
/scales/<scale>/frames   (N, H, W) uint8, H and W of the largest; of each frame what lies within its size counts
/scales/<scale>/masks    (N, H, W) uint8, uint16 or uint32; 0 is background
/scales/<scale>/truth    likewise, where complete masks are known
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np

from cellab.data.digest import ContentDigest, FrameDigests, frame_digest
from cellab.data.layout import check_shapes
from cellab.data.opening import open_hdf5, unreadable
from cellab.data.progress import Progress
from cellab.errors import DataError
from cellab.plain import PlainMapping

FORMAT = "cellab-dataset"
VERSION = 2  # 1 had no sizes
SPLITS = ("train", "validation", "test", "unused")
TRAIN, VALIDATION, TEST, UNUSED = range(4)
ARRAYS = ("frames", "masks", "truth")


def scale_group(scale: float) -> str:
    """The HDF5 group of a scale, e.g. ``scales/0.5``."""
    return f"scales/{scale:g}"


class Dataset:
    """Read access to a data set; a context manager that closes the file.

    Attributes:
        path: of the file.
        digest: SHA-256 of the content, 64 hexadecimal digits.
        scales: relative to what was imported, the largest first.
        provenance: source, licence, and how the data set was made.
        instances: whether the masks hold one id an object (else 0 and 1).
        related: whether the frames are consecutive sections.
        has_truth: whether there are complete masks.
        names: of the N frames.
        split: (N,) uint8, indices into `SPLITS`.
        annotated: (N,) bool.
    """

    def __init__(self, path: Path, file: h5py.File, expected: FrameDigests | None = None) -> None:
        self.path = path
        self._file = file
        self._expected = expected
        self.digest = str(file.attrs["digest"])
        self.provenance: PlainMapping = json.loads(file.attrs["provenance"])
        self.instances = bool(file.attrs["instances"])
        self.related = bool(file.attrs["related"])
        self.scales: tuple[float, ...] = tuple(sorted((float(name) for name in file["scales"]), reverse=True))
        self.names: list[str] = list(file["names"].asstr()[:])
        self.split: np.ndarray = file["split"][:]
        self.annotated: np.ndarray = file["annotated"][:].astype(bool)
        self._sizes: dict[float, np.ndarray] = {
            scale: file[f"{scale_group(scale)}/sizes"][:].astype(np.int64) for scale in self.scales
        }
        self.has_truth = "truth" in file[scale_group(self.scales[0])]
        if expected is not None and expected.said != self._said():
            raise DataError(f"{path} changed while the study ran: start it again to use the new content.")

    @classmethod
    def open(cls, path: str | Path, expected: FrameDigests | None = None) -> Self:
        """Opens a data set.

        Args:
            path: of its file.
            expected: what it must hold; every frame is checked as it is read. None: whatever is there.

        Raises:
            DataError: there is no such file, or it is locked, not HDF5, damaged, no data set of cellab's or of another
                version, or what it says about its frames is not what is expected.
        """
        path = Path(path)
        file = open_hdf5(path)
        try:
            _check_format(path, file)
            check_shapes(file, len(SPLITS))
            return cls(path, file, expected)
        except (OSError, KeyError, ValueError, RuntimeError, IndexError, TypeError, AttributeError) as error:
            file.close()
            raise unreadable(path, error) from error
        except DataError:
            file.close()
            raise

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def n_frames(self) -> int:
        """How many frames there are, unused ones included."""
        return len(self.split)

    def sizes(self, scale: float) -> np.ndarray:
        """Height and width in pixels of each frame at a scale, (N, 2) int64.

        Raises:
            DataError: there is no such scale.
        """
        self._array(scale, "sizes")
        return self._sizes[scale]

    @property
    def mask_type(self) -> np.dtype:
        """The type of masks and truth as they are stored: uint8, uint16 or uint32."""
        stored: np.dtype = self._array(self.scales[0], "masks").dtype
        return stored

    def indices(self, split: str) -> np.ndarray:
        """The frame numbers of a split, ascending."""
        return np.flatnonzero(self.split == SPLITS.index(split))

    def frames(self, scale: float, indices: Sequence[int] | np.ndarray) -> list[np.ndarray]:
        """Frames.

        Args:
            scale: one of `scales`.
            indices: frame numbers, in any order.

        Returns:
            One (H, W) uint8 a frame, each of its own size.

        Raises:
            DataError: there is no such scale, or the file is damaged, or does not hold what is expected.
        """
        return self._read(scale, "frames", indices)

    def masks(self, scale: float, indices: Sequence[int] | np.ndarray) -> list[np.ndarray]:
        """Given masks as 0 and 1, (H, W) uint8; all 0 where a frame has none. Otherwise as `frames`."""
        return [(mask > 0).astype(np.uint8) for mask in self.instances_of(scale, indices)]

    def truth(self, scale: float, indices: Sequence[int] | np.ndarray) -> list[np.ndarray]:
        """Complete masks as 0 and 1, (H, W) uint8. Otherwise as `frames`.

        Raises:
            DataError: likewise, or the data set has no truth.
        """
        return [(mask > 0).astype(np.uint8) for mask in self.instances_of(scale, indices, truth=True)]

    def instances_of(self, scale: float, indices: Sequence[int] | np.ndarray, truth: bool = False) -> list[np.ndarray]:
        """Given or complete masks as they are stored: ids where `instances`, else 0 and 1.

        Returns:
            One (H, W) a frame, uint8, uint16 or uint32.
        """
        return self._read(scale, "truth" if truth else "masks", indices)

    def content_digest(self, progress: Progress | None = None) -> str:
        """The digest of what is in the file now; differs from `digest` if somebody changed the file.

        Args:
            progress: called before each frame of each array.
        """
        return self.seen(progress)[0]

    def seen(self, progress: Progress | None = None) -> tuple[str, FrameDigests]:
        """The digest of what is in the file now, as `content_digest`, and, by the same look, those of its frames."""
        content, digests = ContentDigest(), {}
        for scale in self.scales:
            for name in ARRAYS[: 3 if self.has_truth else 2]:
                array, of_frames = f"{scale_group(scale)}/{name}", []
                for index in range(self.n_frames):
                    if progress:
                        progress(f"verifying {name} at scale {scale:g}", index, self.n_frames)
                    (frame,) = self._read(scale, name, [index])
                    content.update(array, frame)
                    of_frames.append(frame_digest(frame))
                digests[array] = "".join(of_frames)
        whole = content.hexdigest(
            names=self.names,
            split=self.split,
            annotated=self.annotated,
            related=self.related,
            instances=self.instances,
        )
        return whole, FrameDigests(self._said(), digests)

    def _said(self) -> str:
        """SHA-256 (hex) of what the file says about its frames."""
        said = [self.digest, self.names, self.related, self.instances, self.has_truth, self.scales]
        digest = hashlib.sha256(json.dumps(said).encode())
        for each in (self.split, self.annotated, *(self._sizes[scale] for scale in self.scales)):
            digest.update(each.tobytes())
        return digest.hexdigest()

    def _array(self, scale: float, name: str) -> Any:
        group = scale_group(scale)
        if group not in self._file:
            known = ", ".join(f"{scale:g}" for scale in self.scales)
            raise DataError(f"{self.path} has no scale {scale:g}: it has {known} (import with --scales to choose).")
        if name not in self._file[group]:
            raise DataError(f"{self.path} has no {name}: import with --truth, or hide objects, to have complete masks.")
        return self._file[group][name]

    def _read(self, scale: float, name: str, indices: Sequence[int] | np.ndarray) -> list[np.ndarray]:
        array, sizes = self._array(scale, name), self.sizes(scale)
        try:
            wanted = np.asarray(indices, np.int64).tolist()
            found = [array[i, : sizes[i, 0], : sizes[i, 1]] for i in wanted]
        except (OSError, RuntimeError) as error:
            raise unreadable(self.path, error, f" in {array.name}") from error
        if self._expected is not None:
            for index, frame in zip(wanted, found, strict=True):
                if not self._expected.holds(f"{scale_group(scale)}/{name}", index, frame):
                    raise self._changed(scale, name, index)
        return found

    def _changed(self, scale: float, name: str, index: int) -> DataError:
        return DataError(
            f"{self.path} changed while the study ran, or is damaged: the {name} of frame {index} "
            f"({self.names[index]}) at scale {scale:g} are not what they were. Put back the file as it was, or make it "
            f"again by cellab data import, hide or synth, and give the same command."
        )


def _check_format(path: Path, file: h5py.File) -> None:
    found = file.attrs.get("format")
    if found != FORMAT:
        raise DataError(
            f"{path} is HDF5, but no data set of cellab's (its attribute `format` is {found!r}, not {FORMAT!r}): "
            "`cellab data import` makes one."
        )
    version = int(file.attrs["version"])
    if version != VERSION:
        raise DataError(
            f"{path} has format version {version}, and this cellab reads version {VERSION}: import the images again."
        )


def check_trainable(dataset: Dataset, scale: float | None = None) -> None:
    """Checks that there is something to train on, and in every split something to score against.

    Args:
        dataset: the data set.
        scale: of it that will be used; None: the largest.

    Raises:
        DataError: no training frame, no validation frame (with a mask or truth), no training frame with a mask, or
            masks of a split that are all zeros; all that applies in one message.
    """
    scale = dataset.scales[0] if scale is None else scale
    marked, has_truth = _marked(dataset, scale, truth=False), dataset.has_truth
    check_training_masks(str(dataset.path), dataset.split, dataset.annotated, marked, has_truth)
    known = _marked(dataset, scale, truth=True) if has_truth else marked
    for split in (VALIDATION, TEST):
        of_split = (dataset.split == split) & (has_truth | dataset.annotated)
        if of_split.any() and not known[of_split].any():
            raise DataError(
                f"{dataset.path}: the {SPLITS[split]} {'truth is' if has_truth else 'masks are'} all zeros at scale "
                f"{scale:g}, and there is nothing to score by: choose other frames for it, or check the masks."
            )


def _marked(dataset: Dataset, scale: float, truth: bool) -> np.ndarray:
    """(N,) bool: the first frame of each split whose mask, or truth, has a pixel that is not 0: one is enough."""
    read = dataset.truth if truth else dataset.masks
    marked = np.zeros(dataset.n_frames, bool)
    for split in (TRAIN, VALIDATION, TEST):
        for index in np.flatnonzero(dataset.split == split).tolist():
            marked[index] = read(scale, [index])[0].any()
            if marked[index]:
                break
    return marked


def check_training_masks(
    where: str, split: np.ndarray, annotated: np.ndarray, marked: np.ndarray, has_truth: bool = False
) -> None:
    """The checks of `check_trainable`, before there is a file.

    Args:
        where: the data set's name.
        split: (N,) indices into `SPLITS`.
        annotated: (N,) bool: whether a frame has a mask.
        marked: (N,) bool: whether a frame's mask has a pixel that is not 0.
        has_truth: whether frames without a mask can be scored against truth.

    Raises:
        DataError: see there.
    """
    training, validation = split == TRAIN, split == VALIDATION
    mistakes = []
    if not training.any():
        mistakes.append("there is no training frame: give training a larger fraction, or the set more frames")
    elif not (training & annotated).any():
        mistakes.append("no training frame has a mask, and training needs some: masks are found by their images' names")
    elif not (training & annotated & marked).any():
        mistakes.append("the training masks are all zeros: there is nothing to learn from; check where they are from")
    if not validation.any():
        mistakes.append("there is no validation frame, and validation ranks: give validation a larger fraction")
    elif not has_truth and not (validation & annotated).any():
        mistakes.append("no validation frame has a mask, and validation ranks: give some validation frames masks")
    if mistakes:
        raise DataError(f"{where}: " + "; ".join(mistakes) + ".")
