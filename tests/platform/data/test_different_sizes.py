"""Images of one data set may differ in size: each is stored, cut, hidden from, scored and described at its own."""

from collections.abc import Callable, Mapping
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from cellab import components
from cellab.data.dataset import Dataset
from cellab.data.hiding import hide
from cellab.data.importing import Import, import_folders
from cellab.data.objects import find_objects
from cellab.data.splitting import Splitting
from cellab.data.summary import summarise
from cellab.errors import DataError
from cellab.requests import Prominence
from cellab.study import Study
from cellab.training.crops import CropSource
from cellab.training.frames import Frames

Folder = Callable[[str, Mapping[str, np.ndarray]], Path]
SIZES = [(64, 80), (100, 70), (64, 80), (90, 120), (64, 300), (128, 64), (70, 70), (64, 64), (81, 97), (99, 66)]


def frame(index: int) -> np.ndarray:
    return np.random.default_rng(index).integers(60, 200, SIZES[index]).astype(np.uint8)


def mask(index: int) -> np.ndarray:
    ids = np.zeros(SIZES[index], np.uint16)
    ids[5:35, 5:35] = 1
    ids[-25:-3, -28:-4] = 2
    return ids


@pytest.fixture
def imported(folder: Folder, tmp_path: Path) -> Path:
    count = range(len(SIZES))
    images = folder("images", {f"{index}.png": frame(index) for index in count})
    masks = folder("masks", {f"{index}.png": mask(index) for index in count})
    settings = Import(images, masks, related=False, splitting=Splitting("random", seed=1))
    done = import_folders(tmp_path / "out.h5", settings)
    assert done.understood.startswith("10 frames 64 × 64 to 64 × 300; masks: ids, 20 objects")
    return tmp_path / "out.h5"


def test_each_is_kept_at_its_size(imported: Path) -> None:
    with Dataset.open(imported) as data:
        assert data.sizes(1.0).tolist() == [list(size) for size in SIZES]
        assert data.sizes(0.5).tolist() == [[round(side / 2) for side in size] for size in SIZES]
        for index in range(len(SIZES)):
            np.testing.assert_array_equal(data.frames(1.0, [index])[0], frame(index))
            np.testing.assert_array_equal(data.instances_of(1.0, [index])[0], mask(index))
            assert data.masks(0.5, [index])[0].shape == tuple(data.sizes(0.5)[index])
        assert data.content_digest() == data.digest
        described = summarise(data)
        assert described["sizes"]["1"] == "64 × 64 to 64 × 300"
        train = data.indices("train")
        area = np.concatenate([mask(index).ravel() > 0 for index in train]).mean()
        assert described["splits"]["train"]["foreground"] == pytest.approx(area)
        assert described["splits"]["train"]["objects"] == 2 * len(train)


def test_the_digest_tells_sizes_apart(imported: Path) -> None:
    with h5py.File(imported, "r+") as file:
        file["scales/1/sizes"][0] = 64, 79
    with Dataset.open(imported) as data:
        assert data.content_digest() != data.digest


def test_sizes_beyond_the_arrays_are_damage(imported: Path) -> None:
    with h5py.File(imported, "r+") as file:
        file["scales/1/sizes"][0] = 64, 301
    with pytest.raises(DataError, match="sizes that its frames do not have"):
        Dataset.open(imported)


def test_what_lies_beyond_a_frame_takes_no_room(imported: Path) -> None:
    with h5py.File(imported) as file:
        stored = file["scales/1/frames"]
        assert stored.shape == (10, 128, 300)
        assert stored.id.get_storage_size() < 1.2 * sum(height * width for height, width in SIZES)


def test_objects_are_hidden_whole_at_every_size(imported: Path, tmp_path: Path) -> None:
    hidden = hide(imported, tmp_path / "half.h5", 0.5, 0)
    with Dataset.open(tmp_path / "half.h5") as data:
        train = data.indices("train")
        assert (hidden.objects, hidden.of_objects) == (len(train), 2 * len(train))
        assert find_objects(data, train).count == len(train)
        for given, truth in zip(data.instances_of(1.0, train), data.instances_of(1.0, train, truth=True), strict=True):
            assert given.shape == truth.shape
            for value in np.unique(given[given > 0]):
                np.testing.assert_array_equal(given == value, truth == value)
        assert data.content_digest() == data.digest


def test_crops_come_from_every_frame_and_lie_within_it() -> None:
    frames = [np.full(size, 10 * index + 9, np.uint8) for index, size in enumerate(SIZES)]
    masks = [(mask(index) > 0).astype(np.uint8) for index in range(len(SIZES))]
    known = Frames.of(frames, torch.device("cpu"), masks)
    source = CropSource(known, 64, components.build("augmentation", "none"))
    drawn = source.draw(400, Prominence(0.0, 1.0), torch.Generator().manual_seed(0))
    values = (drawn.images * 255).round().flatten(1)
    assert torch.equal(values.amin(1), values.amax(1)), "no crop shows two frames"
    seen, counts = np.unique(values[:, 0].numpy(), return_counts=True)
    assert seen.tolist() == [10 * index + 9 for index in range(len(SIZES))]
    assert counts.min() > 20, "each frame as often as any other, whatever its size"


def test_consecutive_frames_of_other_sizes_end_objects(tmp_path: Path) -> None:
    from cellab.data.writer import DatasetWriter

    tall, wide = np.ones((20, 10), np.uint8), np.ones((10, 20), np.uint8)
    with DatasetWriter(tmp_path / "x.h5", {1.0: (20, 20)}, 4) as writer:
        for index, each in enumerate((tall, tall, wide, wide)):
            writer.append(str(index), "train", {1.0: each}, {1.0: each})
    with Dataset.open(tmp_path / "x.h5") as data:
        assert find_objects(data, np.arange(4)).count == 2


def test_a_lineage_is_trained_and_scored_on_them(imported: Path, study: Callable[..., Study], tmp_path: Path) -> None:
    from cellab.executors.inline import Inline
    from cellab.executors.protocol import Nobody
    from cellab.store import Store

    made = study("unet.width", [4], f"data.path={imported}", "evaluation.overlays=9")
    store = Store(str(tmp_path / "store"))
    endings = Inline().run(made.lineages, store, made.data_path, Nobody()).endings
    assert [ending.status for ending in endings.values()] == ["completed"], endings
    last = made.trials[0].lineage.generations[-1].evaluation
    with h5py.File(store.fetch(last) / "overlays.h5") as pictures, Dataset.open(imported) as data:
        for split in ("validation", "test"):
            for index in data.indices(split):
                shown = pictures[f"{split}/{index}"]
                np.testing.assert_array_equal(shown["image"], frame(index))
                assert shown["probability"].shape == SIZES[index]
