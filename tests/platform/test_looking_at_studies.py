"""`cellab show`, `cellab diff` and `cellab ablate --from`: what a study left, looked at and repeated."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import yaml

from cellab.cli.comparing import ABSENT, differences
from cellab.cli.diff import in_rows
from cellab.study_files.folder import StudyFolder
from cellab.study_files.tables import RESULTS, table

QUICK = (
    *("scale=smoke", "training.steps=2", "gan.steps=2", "members=1", "acceptance=none", "generations=1"),
    *("evaluation.train_frames=2", "executor=inline", "seeds=[0,1]", "unet.blocks=1"),
)
ROW = {"arm": "a", "seed": 0, "generation": 1, "split": "test", "reference": "truth", "average": "micro"}


@pytest.fixture(scope="module")
def runs(phantom, tmp_path_factory):
    """The folder of a finished study of U-Net widths, run in this process."""
    folder = tmp_path_factory.mktemp("finished")
    arguments = [
        "ablate",
        "unet_width",
        f"data.path={phantom}",
        *QUICK,
        "factors.unet.width=[2,4]",
        "baseline.unet.width=4",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "cellab", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "What each arm takes" in done.stdout
    return folder / "runs"


def shown(done) -> str:
    assert done.returncode == 0, done.stderr
    return " ".join(done.stdout.split())


def refused(done, told: str) -> None:
    assert (done.returncode, done.stdout) == (2, "")
    assert told in " ".join(done.stderr.split()), done.stderr


def test_show(runs, cellab):
    folder = runs / "unet_width"
    said = shown(cellab("show", folder, "unet.width=2", "seed=1"))
    assert said.startswith("unet.width=2 seed=1: completed differs in baseline here unet.width 4 2 stage how")
    row = (
        StudyFolder(folder).read_stages().filter(arm="unet.width=2", seed=1, stage="gen 0 member 0").row(0, named=True)
    )
    assert f"gen 0 member 0 ran cpu {row['key'][:12]} " in said
    assert "unet: _target_: cellab_components.unet" in said
    assert "It is the baseline." in shown(cellab("show", folder, "unet.width=4"))
    told = json.loads(cellab("show", folder, "unet.width=2 seed=1", "--json").stdout)
    assert told["differences"] == {"unet.width": {"baseline": "4", "here": "2"}}
    assert told["became"] == {"status": "completed", "message": None}
    assert told["config"]["unet"]["width"] == 2
    assert [each["how"] for each in told["stages"]] == ["ran", "ran"]


@pytest.mark.parametrize(
    ("trial", "told"),
    [
        ("unet.width=3", "there is no arm 'unet.width=3': did you mean 'unet.width="),
        ("unet.width=2 seed=7", "seed=7: the study has no such seed; there are 0, 1."),
        ("seed=1", "there is no arm ''"),
    ],
)
def test_show_what_is_not_there(runs, cellab, trial, told):
    refused(cellab("show", runs / "unet_width", trial), told)


def test_show_a_study_that_has_no_results_yet(runs, cellab, tmp_path):
    for name in ("study.yaml", "configurations.json"):
        shutil.copy(runs / "unet_width" / name, tmp_path / name)
    said = shown(cellab("show", tmp_path, "unet.width=2"))
    assert "not known yet" in said
    assert "No stage of it is known to have ended." in said


def test_a_study_is_repeated_exactly_elsewhere(runs, cellab, tmp_path):
    """From its folder or its file, under its name or another; the ablation's file is not looked at."""
    shutil.copytree(runs / "unet_width", tmp_path / "old")
    done = cellab("ablate", "--from", tmp_path / "old" / "study.yaml", "--name", "again", "--store", runs / "store")
    assert done.returncode == 0, done.stderr
    one, two = StudyFolder(tmp_path / "old"), StudyFolder(tmp_path / "runs" / "again")
    assert two.read_results().equals(one.read_results())
    assert two.read_configurations() == one.read_configurations()
    assert set(two.read_stages()["how"]) == {"reused"}, "all was stored"
    said = shown(cellab("diff", one.path, two.path))
    assert "configurations of the 2 arms that both have: no difference" in said
    assert f"All {len(one.read_results())} rows of results that both have are equal." in said
    assert "name unet_width again" in said


def edited(runs: Path, to: Path, **values: object) -> Path:
    """A copy of the study's folder whose `study.yaml` says something else."""
    shutil.copytree(runs / "unet_width", to)
    said = yaml.safe_load((to / "study.yaml").read_text())
    (to / "study.yaml").write_text(yaml.safe_dump({key: v for key, v in (said | values).items() if v is not None}))
    return to


@pytest.mark.parametrize(
    ("values", "arguments", "told"),
    [
        ({}, ["seeds=[0]"], "seeds=[0]: --from repeats a study as it was; only data.path and executor may differ."),
        ({"overrides": None}, [], "describes no study that can be repeated: it lacks overrides."),
        ({"design": "guess"}, [], "it lacks a design, one of one_factor, "),
        ({"data_digest": "0" * 64}, [], "is not the data set of"),
    ],
)
def test_what_cannot_be_repeated_exactly(runs, cellab, tmp_path, values, arguments, told):
    refused(cellab("ablate", "--from", edited(runs, tmp_path / "old", **values), *arguments), told)
    assert not (tmp_path / "runs").exists()


def test_a_default_that_changed_since_is_told(runs, cellab, tmp_path):
    folder = StudyFolder(edited(runs, tmp_path / "old"))
    said = json.loads(folder.configurations.read_text())
    said["arms"]["unet.width=2"]["training"]["max_tries"] = 1
    folder.configurations.write_text(json.dumps(said))
    told = f"unet.width=2: training.max_tries was 1, and is {said['arms']['unet.width=4']['training']['max_tries']} in"
    refused(cellab("ablate", "--from", folder.path), told)


def test_which_ablation(cellab):
    refused(cellab("ablate"), "which ablation? Name one")


def test_diff_of_what_differs(runs, cellab, tmp_path):
    folder = StudyFolder(edited(runs, tmp_path / "old", seeds=[0, 1, 2]))
    said = json.loads(folder.configurations.read_text())
    for config in said["arms"].values():
        config["training"]["steps"] = 3
    said["arms"]["unet.width=2"]["precision"] = "bfloat16"
    folder.configurations.write_text(json.dumps(said))
    folder.write_results(folder.read_results().with_columns(pl.col("value") * 0.5))
    told = shown(cellab("diff", runs / "unet_width", folder.path))
    assert "seeds [0, 1] [0, 1, 2]" in told
    assert "training.steps all 2 3" in told
    assert "precision unet.width=2 float32 bfloat16" in told
    assert "rows of results that both have differ, most by 0." in told
    refused(cellab("diff", runs / "unet_width", tmp_path), f"{tmp_path} holds no study")


def test_differences_of_mappings():
    one = {"a": {"b": 1, "c": [1]}, "text": "x", "same": None}
    other = {"a": {"b": 2, "c": [1]}, "same": None, "new": {}}
    assert differences(one, other) == [("a.b", "1", "2"), ("text", "x", ABSENT), ("new", ABSENT, "{}")]
    assert differences(one, one) == []


def test_rows_are_compared_one_by_one():
    def rows(**values: float) -> pl.DataFrame:
        return table([{**ROW, "metric": name, "value": value} for name, value in values.items()], RESULTS)

    assert in_rows(rows(dice=0.5, recall=1.0), rows(dice=0.5)) == "All 1 rows of results that both have are equal."
    assert in_rows(rows(dice=0.5), rows(recall=0.5)) == "They have no row of results in common."
    assert in_rows(rows(dice=0.5, recall=0.5, jaccard=0), rows(dice=0.75, recall=0.4, jaccard=0)) == (
        "2 of 3 rows of results that both have differ, most by 0.2500 (a seed=0 gen 1 test dice)."
    )
