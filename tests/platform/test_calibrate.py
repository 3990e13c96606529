"""Calibrated lineages: what they read, what they write, and what they refuse."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest

from cellab import stages
from cellab.compose import compose_trial
from cellab.data.dataset import Dataset
from cellab.data.hidden import DataFile
from cellab.errors import ConfigError
from cellab.executors.inline import Inline
from cellab.executors.protocol import Nobody
from cellab.outcomes import Outcome
from cellab.requests import Calibrated, Evaluated
from cellab.results import write_results
from cellab.stage import Stage
from cellab.stages.calibrate import _positives
from cellab.store import Store
from cellab.study_files.folder import StudyFolder

GENERATED = ("data_mix.pseudo=[0.9]", "data_mix.generated=[0.1]")
CALIBRATED = ("method=calibrated", "calibration=label_frequency", "members=2", *GENERATED)


@pytest.fixture
def calibrated(study):
    return study("segmentation_loss", ["bce"], *CALIBRATED)


def test_the_method_labels_real_frames_once_and_needs_no_generator(study):
    made = study("segmentation_loss", ["bce"], "method=calibrated")
    assert {stage.kind for stage in made.lineages[0].stages} == {
        "train_member",
        "calibrate",
        "label_frames",
        "evaluate",
    }
    (calibration,) = {stage.request.calibration["_target_"] for stage in of_kind(made, "calibrate")}
    assert calibration.endswith("Propensity")


def outcomes_of(study, path: Path, store: Store) -> dict[str, Outcome]:
    """Every stage of a lineage, run against a data set that may be another."""
    found: dict[str, Outcome] = {}

    class Silent(Nobody):
        begin = end = progress = lambda *_: None

    for stage in study.lineages[0].stages:
        found[stage.key] = stages.obtain(stage, store, path, [found[key] for key in stage.needs], Silent())
    return found


def of_kind(study, kind: str) -> list[Stage]:
    return [stage for stage in study.lineages[0].stages if stage.kind == kind]


@pytest.mark.parametrize("calibration", ["label_frequency", "propensity"])
def test_truth_that_is_garbage_changes_no_byte_of_what_is_calibrated_labelled_and_learned(
    study, tmp_path, monkeypatch, calibration
):
    """Only evaluations read it: the file keeps its digest, so that every key is the same, and nobody checks it."""
    calibrated = study("segmentation_loss", ["bce"], *CALIBRATED, f"calibration={calibration}")
    monkeypatch.setattr(stages, "checked_file", lambda path, *_: DataFile(path))
    spoilt = tmp_path / "spoilt.h5"
    shutil.copy(calibrated.data_path, spoilt)
    with h5py.File(spoilt, "r+") as file:
        rng = np.random.default_rng(0)
        for scale in file["scales"].values():
            scale["truth"][:] = rng.integers(0, 2, scale["truth"].shape)
    with Dataset.open(spoilt) as data:
        assert data.digest == calibrated.data_digest
    stores = [Store(str(tmp_path / name)) for name in ("right", "wrong")]
    found = [
        outcomes_of(calibrated, path, store) for path, store in zip((calibrated.data_path, spoilt), stores, strict=True)
    ]
    told = dict.fromkeys(("calibrate", "label_frames", "label_generated", "train_member"), 0)
    for stage in calibrated.lineages[0].stages:
        if stage.kind == "evaluate":
            assert found[0][stage.key] != found[1][stage.key], "it was garbage"
            continue
        told[stage.kind] = told.get(stage.kind, 0) + 1
        for path in sorted(stores[0].fetch(stage.key).glob("*.*5")) + sorted(
            stores[0].fetch(stage.key).glob("*.safe*")
        ):
            assert path.read_bytes() == (stores[1].fetch(stage.key) / path.name).read_bytes(), (stage, path.name)
        if stage.kind == "calibrate":
            assert found[0][stage.key] == found[1][stage.key]
    assert all(told.values())


def test_calibrations_are_gathered_and_cut_what_is_scored(calibrated, tmp_path):
    store = Store(str(tmp_path / "store"))
    endings = Inline().run(calibrated.lineages, store, calibrated.data_path, Nobody()).endings
    assert [ending.status for ending in endings.values()] == ["completed"]
    write_results(calibrated, store, endings, StudyFolder(tmp_path))
    counted = pl.read_parquet(tmp_path / "pseudo_labels.parquet").group_by("source").agg(pl.col("member").sort())
    assert dict(counted.rows()) == {"pseudo": [0, 1], "generated": [0]}, "the pool is one for both members"
    found = pl.read_parquet(tmp_path / "calibrations.parquet")
    assert found.group_by("generation").len().sort("generation").rows() == [(0, 3), (1, 3)], "a vote, and two members"
    estimate = store.outcome(of_kind(calibrated, "calibrate")[0]).of(Calibrated).vote
    assert estimate.cut == pytest.approx(max(estimate.label_frequency / 2, 0.0005), abs=1e-9)
    assert len(estimate.scores) == 101
    assert estimate.scores[0] == pytest.approx(1.0), "where everything is a cell"

    plain = compose_trial([f"data.path={calibrated.data_path}"])
    assert plain.components["calibration"]["_target_"].endswith("NoCalibration")
    recalls = [
        next(
            row.value
            for row in store.outcome(stage).of(Evaluated).rows
            if row.metric == "recall" and row.split == "test"
        )
        for stage in of_kind(calibrated, "evaluate")
    ]
    assert recalls[0] > 0, "an untrained network says little, and is cut low"


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["labelling=frames", "acceptance=agreement"], "labelling: .*Agreement looks at the vote of each parent"),
        (["labelling=frames", "teacher=ema"], "labelling: .*ExponentialMovingAverage labels otherwise as each member"),
    ],
)
def test_what_cannot_go_together_is_told(study, overrides, told):
    with pytest.raises(ConfigError, match=told):
        study("segmentation_loss", ["bce"], *overrides)


def test_losses_that_are_no_proper_score_are_told_beside_a_calibration(study):
    made = study("segmentation_loss", ["bce", "tversky"], "calibration=label_frequency")
    (notice,) = made.notices
    assert notice.startswith(
        "arm segmentation_loss=tversky: calibration: cellab_components.calibration.label_frequency"
    )
    assert "Tversky does not make them any: bce does." in notice
    assert study("segmentation_loss", ["bce", "tversky"]).notices == ()


class Weighted:
    """Counts an object whose mean is 0.1 ten times, and one whose mean is 0.5 twice."""

    def weights(self, probabilities):
        return 1 / probabilities


def test_given_objects_are_weighted_by_their_means():
    given = np.zeros((8, 12), bool)
    given[1:3, 1:4] = given[5:7, 8:12] = True  # 6 and 8 pixels
    probability = np.where(np.arange(12) < 6, 0.1, 0.5) * np.ones((8, 1))
    found = _positives(Weighted(), probability, given)
    assert found[100] == pytest.approx(6 * 10)
    assert found[500] == pytest.approx(8 * 2)
    assert float(found.sum()) == pytest.approx(76)
    assert float(_positives(Weighted(), probability, ~given & given).sum()) == 0
    assert int(_positives(object(), probability, given).sum()) == 14, "each once"
