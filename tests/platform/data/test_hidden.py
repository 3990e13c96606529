"""Hiding while a data set is read: the same masks, truth and splits as the file that `hide` writes."""

from pathlib import Path

import numpy as np
import pytest

from cellab.data.dataset import Dataset
from cellab.data.hidden import HiddenObjects, open_data
from cellab.data.hiding import hide
from cellab.data.hiding_plan import Hiding
from cellab.data.synthetic import Phantom, synthesise
from cellab.data.writer import DatasetWriter
from cellab.errors import ConfigError, DataError
from cellab.executors.inline import Inline
from cellab.executors.protocol import Nobody
from cellab.store import Store


@pytest.fixture(scope="module")
def instances(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "phantom.h5"
    synthesise(path, Phantom(n_frames=18, size=96, seed=3))
    return path


@pytest.fixture(scope="module")
def binary(tmp_path_factory) -> Path:
    """Unrelated frames with binary masks and no truth; one has no mask."""
    path = tmp_path_factory.mktemp("data") / "binary.h5"
    splits = ("train",) * 5 + ("validation", "test")
    with DatasetWriter(path, {1.0: (40, 40), 0.5: (20, 20)}, len(splits), related=False) as writer:
        for index, split in enumerate(splits):
            mask = np.zeros((40, 40), np.uint8)
            for corner in range(index + 2):
                row, column = divmod(corner * 11, 33)
                mask[row + 2 : row + 10, column + 2 : column + 10] = 1
            both = {1.0: mask, 0.5: mask[::2, ::2].copy()}
            writer.append(str(index), split, {s: m * 200 for s, m in both.items()}, both, annotated=index != 3)
    return path


@pytest.mark.parametrize("which", ["instances", "binary"])
@pytest.mark.parametrize("hiding", [Hiding((0.5,), 1), Hiding((0.5, 0.5), 2, bias="size")])
def test_it_reads_as_the_file_that_hide_writes(request, tmp_path, which, hiding):
    source = request.getfixturevalue(which)
    share = hiding.shares if hiding.bias else hiding.shares[0]
    hide(source, tmp_path / "hidden.h5", share, hiding.seed, bias=hiding.bias)
    with Dataset.open(tmp_path / "hidden.h5") as written, open_data(source, hiding) as read:
        assert isinstance(read, HiddenObjects)
        np.testing.assert_array_equal(read.split, written.split)
        assert read.has_truth
        assert written.has_truth
        everything = range(written.n_frames)
        for scale in written.scales:
            for index in everything:
                for name in ("masks", "truth", "frames"):
                    (one,), (other,) = (getattr(data, name)(scale, [index]) for data in (read, written))
                    np.testing.assert_array_equal(one, other, err_msg=f"{name} of {index} at {scale}")
        digest = read.digest
    with Dataset.open(source) as data:
        assert digest == data.digest


def test_nothing_hidden_is_the_data_set_itself(instances):
    with open_data(instances, None) as data:
        assert type(data) is Dataset


def test_hiding_is_a_factor_of_one_data_set(study, tmp_path):
    made = study("data.hidden_share", [0.0, 0.6], "generations=1")
    by_arm = [{stage.key for stage in lineage.stages} for lineage in made.lineages]
    assert not by_arm[0] & by_arm[1]
    store = Store(str(tmp_path))
    endings = Inline().run(made.lineages, store, made.data_path, Nobody()).endings
    assert [ending.status for ending in endings.values()] == ["completed"] * 2
    with pytest.raises((ConfigError, DataError), match=r"hidden_share|objects 0\.0001"):
        study("data.hidden_share", [0.0001], "generations=1")
