"""The schema of a study's files: what is written is what is read; what is damaged is one message."""

import json
import subprocess
import sys
from dataclasses import fields, replace

import h5py
import polars as pl
import pytest

from cellab.errors import CellabError
from cellab.evaluation.metrics import METRICS
from cellab.evaluation.names import METRIC_NAMES
from cellab.executors.inline import Inline
from cellab.results import write_results
from cellab.run import Nobody, run_study
from cellab.store import Store
from cellab.study import plan
from cellab.study_files import folder as files
from cellab.study_files.claim import alone, claim_folder, describe
from cellab.study_files.folder import StudyFolder
from cellab.study_files.records import STATUSES, ArmSummary, Ranking, Score, TrialSummary
from cellab.study_files.tables import PSEUDO_LABELS, RESULTS, read_table, table, write_table

SCORES = {"dice": Score(0.8, 0.01, 2), "hidden_recall": Score(0.5, None, 1)}
ARM = ArmSummary(
    rank=1,
    arm="gan_loss=wgan",
    baseline=True,
    overrides=("gan_loss=wgan",),
    generation=2,
    best=1,
    planned=4,
    completed=1,
    diverged=1,
    failed=1,
    stopped=1,
    validation=SCORES,
    test={},
    trials=(
        TrialSummary(0, "completed"),
        TrialSummary(1, "diverged", "generator", 417, "the loss of discriminator 0 became nan at step 417"),
        TrialSummary(2, "failed", message="what a path is called: \udcff"),
        TrialSummary(3, "stopped", "gen 1 member 0", message="it was stopped before its end"),
    ),
)
NOTHING = replace(ARM, rank=None, arm="gan_loss=ns", baseline=False, validation={}, trials=())
RANKING = Ranking("mine", "Which loss <wins>? é", "dice", "validation", "truth", "micro", 2, (ARM, NOTHING))
ROW = {"arm": "a", "seed": 0, "generation": 1, "split": "test", "reference": "truth", "average": "micro"}
ROW |= {"metric": "dice", "value": 0.5}
COUNTED = {"arm": "a", "seed": 0, "generation": 1, "member": 2, "source": "pseudo", "tried": 9, "accepted": 4}
COUNTED |= {"rejected_by_prominence": 3, "rejected_by_entropy": 2, "rejected_as_empty": 0, "refreshes": 1}
COUNTED |= {"gave_up": 0, "dice_accepted": 0.9, "dice_rejected": None, "threshold": [0.1, 0.2]}


def test_a_ranking_is_read_as_it_was_written(tmp_path):
    folder = StudyFolder(tmp_path)
    folder.write_ranking(RANKING)
    assert folder.read_ranking() == RANKING
    assert [path.name for path in tmp_path.iterdir()] == ["arms.json"]


def test_what_arms_json_is_called_and_holds(tmp_path):
    """The names that people's own scripts know."""
    said = json.loads(RANKING.to_json())
    assert list(said) == [
        *("study", "question", "rank_by", "rank_split", "rank_reference", "rank_average", "generation", "arms")
    ]
    assert list(said["arms"][0]) == [
        *("rank", "arm", "baseline", "overrides", "generation", "best", "planned"),
        *("completed", "diverged", "failed", "stopped", "validation", "test", "trials"),
    ]
    assert said["arms"][0]["trials"][0] == {
        **{"seed": 0, "status": "completed"},
        **{"stage": None, "step": None, "message": None},
    }
    assert said["arms"][0]["validation"]["dice"] == {"mean": 0.8, "sd": 0.01, "n": 2}


def test_every_status_is_counted():
    assert set(STATUSES) <= {field.name for field in fields(ArmSummary)}
    assert [ARM.count(status) for status in STATUSES] == [1, 1, 1, 1]


def without(key):
    """The ranking, its first arm without a key."""
    said = json.loads(RANKING.to_json())
    del said["arms"][0][key]
    return said


def with_trial(**values):
    """The ranking, its first trial with other values."""
    said = json.loads(RANKING.to_json())
    said["arms"][0]["trials"][0] |= values
    return said


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({}, "it lacks study, question, rank_by, rank_split, rank_reference, rank_average, generation, arms"),
        (without("stopped"), "it lacks stopped"),
        (with_trial(status="lost"), r"arms\.0\.trials\.0\.status: Input should be 'completed', 'diverged', "),
        (with_trial(seed="first"), r"arms\.0\.trials\.0\.seed: Input should be a valid integer"),
        ({**json.loads(RANKING.to_json()), "arms": []}, "it names no arm"),
        ("a ranking", "."),
    ],
)
def test_a_ranking_that_is_none_is_damage(tmp_path, said, told):
    folder = StudyFolder(tmp_path)
    folder.ranking.write_text(json.dumps(said))
    with pytest.raises(CellabError, match=rf"arms\.json is damaged \({told}.*\): run the study again") as raised:
        folder.read_ranking()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("schema", "row"), [(RESULTS, ROW), (PSEUDO_LABELS, COUNTED)])
@pytest.mark.parametrize("count", [0, 2])
def test_tables_are_read_as_they_were_written(tmp_path, schema, row, count):
    content = table([row] * count, schema)
    write_table(content, tmp_path / "some.parquet")
    found = read_table(tmp_path / "some.parquet", schema)
    assert found.equals(content)
    assert dict(found.schema) == dict(schema)
    assert found.rows(named=True) == [row] * count


def test_what_the_columns_are_called():
    assert list(RESULTS) == ["arm", "seed", "generation", "split", "reference", "average", "metric", "value"]
    assert list(PSEUDO_LABELS) == [
        *("arm", "seed", "generation", "member", "source", "tried"),
        *("rejected_by_prominence", "rejected_by_entropy", "rejected_as_empty", "accepted", "refreshes", "gave_up"),
        *("dice_accepted", "dice_rejected", "threshold"),
    ]


def test_a_column_of_another_type_is_damage(tmp_path):
    folder = StudyFolder(tmp_path)
    folder.write_results(table([ROW], RESULTS).cast({"seed": pl.String}))
    with pytest.raises(CellabError, match=r"results\.parquet is damaged \(the columns seed have another type\)"):
        folder.read_results()
    folder.write_pseudo_labels(table([COUNTED], PSEUDO_LABELS).drop("gave_up", "threshold"))
    with pytest.raises(CellabError, match=r"pseudo_labels\.parquet is damaged \(it lacks the columns gave_up, thresh"):
        folder.read_pseudo_labels()


def test_mappings_are_read_as_they_were_written(tmp_path):
    folder, said = StudyFolder(tmp_path), {"data": {"path": "\udcff.h5"}, "seeds": [0, 1]}
    folder.write_provenance(said)
    folder.write_plan(said)
    assert folder.read_provenance() == folder.read_plan() == said


READERS = {
    "study.yaml": StudyFolder.read_description,
    "plan.json": StudyFolder.read_plan,
    "provenance.json": StudyFolder.read_provenance,
    "arms.json": StudyFolder.read_ranking,
    "results.parquet": StudyFolder.read_results,
    "pseudo_labels.parquet": StudyFolder.read_pseudo_labels,
    "calibrations.parquet": StudyFolder.read_calibrations,
    "stages.parquet": StudyFolder.read_stages,
    "configurations.json": StudyFolder.read_configurations,
    "status.json": StudyFolder.read_status,
}


@pytest.mark.parametrize("name", READERS)
def test_a_missing_and_a_damaged_file_are_told(tmp_path, name):
    with pytest.raises(CellabError, match=rf"{name} is missing: run the study again, finished stages are reused"):
        READERS[name](StudyFolder(tmp_path))
    (tmp_path / name).write_bytes(b"[1, 2")
    with pytest.raises(CellabError, match=rf"{name} is damaged \(.+\): run the study again, finished stages"):
        READERS[name](StudyFolder(tmp_path))


def test_a_study_that_was_run_is_read_as_it_was_written(study, tmp_path):
    """Writer and reader agree, on what the engine computed."""
    made = study("gan_loss", ["ns", "wgan"], "members=2", seeds=(0, 1))
    store, folder = Store(str(tmp_path / "store")), StudyFolder(tmp_path)
    planned = plan(made, store)
    claim_folder(made, planned, folder)
    endings = Inline().run(made.lineages, store, made.data_path, Nobody()).endings
    ranking = write_results(made, store, endings, folder)
    assert folder.read_description().content == describe(made)
    assert folder.read_plan() == planned
    assert folder.read_ranking() == ranking
    assert [trial.status for trial in ranking.trials] == ["completed"] * 4
    results, counters = folder.read_results(), folder.read_pseudo_labels()
    assert {*METRIC_NAMES, "hidden_recall", "pu_score"} == set(results["metric"])
    assert len(counters) == 2 * 2 * 2 * 2, "arms, seeds, members and sources, in one generation"
    for arm in ranking.arms:
        mine = results.filter(arm=arm.arm, generation=1, split="validation", average="micro", reference="truth")
        counted = {name: score.n for name, score in arm.validation.items()}
        assert counted == dict.fromkeys((*METRIC_NAMES, "pu_score"), 2)
        assert arm.validation["dice"].mean == pytest.approx(mine.filter(metric="dice")["value"].mean())
    with h5py.File(folder.images) as images:
        for arm in made.arms:
            assert set(images[files.generated_images(arm.name)]) == {"0", "1"}
            assert set(images[files.overlays(arm.name)]["1"]) == {"0", "1"}
        assert images[files.REAL_IMAGES].ndim == 3


def test_stages_are_counted(study, tmp_path):
    """First all are computed, then all are found; `provenance.json` says so."""
    made = study("unet.width", [4], "generations=1", "executor=inline")
    store, folder = Store(str(tmp_path / "store")), StudyFolder(tmp_path / "runs")
    for how in ("finished", "reused"):
        with alone(folder):
            ran = run_study(made, store, folder, Inline(), Nobody())
        assert {name: count for name, count in ran.stages.items() if count} == {how: 2}
        assert folder.read_provenance()["stages"] == ran.stages
        assert folder.read_ranking() == ran.ranking


def test_each_metric_has_its_name():
    assert {name: metric.__name__ for name, metric in METRICS.items()} == {name: name for name in METRIC_NAMES}


def test_the_schema_is_read_without_the_engine():
    """Who only reads a study waits for no torch, no Ray and no Hydra."""
    code = "import sys, cellab.study_files.folder; print([m for m in ('torch', 'ray', 'hydra') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
