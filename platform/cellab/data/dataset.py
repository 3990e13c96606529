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

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np

from cellab.data.digest import ContentDigest
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

    def __init__(self, path: Path, file: h5py.File) -> None:
        self.path = path
        self._file = file
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

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Opens a data set.

        Raises:
            DataError: there is no such file, or it is locked, not HDF5, damaged, no data set of cellab's or of another
                version.
        """
        path = Path(path)
        file = open_hdf5(path)
        try:
            _check_format(path, file)
            _check_shapes(file)
            return cls(path, file)
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
            DataError: there is no such scale, or the file is damaged.
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
        content = ContentDigest()
        for scale in self.scales:
            for name in ARRAYS[: 3 if self.has_truth else 2]:
                for index in range(self.n_frames):
                    if progress:
                        progress(f"verifying {name} at scale {scale:g}", index, self.n_frames)
                    (frame,) = self._read(scale, name, [index])
                    content.update(f"{scale_group(scale)}/{name}", frame)
        return content.hexdigest(
            names=self.names,
            split=self.split,
            annotated=self.annotated,
            related=self.related,
            instances=self.instances,
        )

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
            return [array[i, : sizes[i, 0], : sizes[i, 1]] for i in np.asarray(indices, np.int64).tolist()]
        except (OSError, RuntimeError) as error:
            raise unreadable(self.path, error, f" in {array.name}") from error


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


def _check_shapes(file: h5py.File) -> None:
    """Everything speaks of the same frames.

    Raises:
        ValueError: something does not, or is missing or of another kind.
    """
    if not isinstance(json.loads(file.attrs["provenance"]), dict):
        raise ValueError("its provenance is no mapping")
    for name in ("split", "annotated", "names", "scales"):
        if not isinstance(file.get(name), h5py.Group if name == "scales" else h5py.Dataset):
            raise ValueError(f"{name} is missing or of another kind")
    count = len(file["split"])
    if count and int(file["split"][:].max()) >= len(SPLITS):
        raise ValueError(f"split has codes above {len(SPLITS) - 1}")
    if not len(file["scales"]):
        raise ValueError("it has no scale")
    wanted = {"sizes", "frames", "masks"} | ({"truth"} & set().union(*map(set, file["scales"].values())))
    for group in file["scales"].values():
        if lacking := sorted(wanted - set(group)):
            raise ValueError(f"{group.name} has no {' and no '.join(lacking)}")
        shapes = {name: group[name].shape for name in wanted - {"sizes"}}
        if len(set(shapes.values())) > 1 or len(shapes["frames"]) != 3:
            raise ValueError(f"{group.name} holds arrays of shapes {shapes}")
        sizes = group["sizes"][:]
        if sizes.shape != (len(group["frames"]), 2) or (sizes < 1).any() or (sizes > shapes["frames"][1:]).any():
            raise ValueError(f"{group.name} holds sizes that its frames do not have")
    lengths = {name: len(file[name]) for name in ("annotated", "names")}
    lengths |= {group.name: len(group["frames"]) for group in file["scales"].values()}
    if wrong := {name: length for name, length in lengths.items() if length != count}:
        raise ValueError(f"split has {count} frames, other parts have {wrong}")


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
