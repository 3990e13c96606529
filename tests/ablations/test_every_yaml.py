"""Every YAML is composed and run at smoke scale: ablations through the command line, components in a lineage."""

import json
from pathlib import Path

import polars as pl
import pytest

from cellab import components
from cellab.ablation import Ablation, load
from cellab.compose import SCALES
from cellab.executors import inline
from cellab.executors.monitor import Monitor
from cellab.store import Store
from cellab.study import build_study

ABLATIONS = Path(__file__).parents[2] / "ablations"
QUICK = ["scale=smoke", "training.steps=2", "gan.steps=2", "members=1", "evaluation.train_frames=2"]


def test_the_ablations_that_there_are():
    assert sorted(path.stem for path in ABLATIONS.glob("*.yaml")) == ["gan_loss", "unet_width"]


@pytest.mark.parametrize("name", sorted(path.stem for path in ABLATIONS.glob("*.yaml")))
def test_every_ablation_runs(cellab, phantom, tmp_path, name):
    done = cellab(
        "ablate", name, f"data.path={phantom}", *QUICK, "acceptance=none", "seeds=[0]", "executor=inline",
        "--ablations", ABLATIONS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    ablation = load(name, [], ABLATIONS)
    assert ablation.question.endswith("?"), "an ablation file opens with its question"
    arms = json.loads((tmp_path / "runs" / name / "arms.json").read_text())["arms"]
    assert {arm["arm"] for arm in arms} == {arm.name for arm in ablation.arms()}
    assert all(arm["completed"] == arm["planned"] == 1 for arm in arms)
    results = pl.read_parquet(tmp_path / "runs" / name / "results.parquet")
    assert set(results["arm"]) == {arm.name for arm in ablation.arms()}
    assert (tmp_path / "runs" / name / "report.html").is_file()


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    """One for all: what lineages have in common is computed once."""
    return Store(str(tmp_path_factory.mktemp("store")))


@pytest.mark.parametrize(("kind", "name"), list(components.catalogue()))
def test_every_component_runs_in_a_lineage(phantom, store, kind, name):
    content = {"baseline": {kind: name}, "factors": {kind: [name]}}
    overrides = [f"data.path={phantom}", *QUICK, *([] if kind == "acceptance" else ["acceptance=none"])]
    study = build_study("one", Ablation("one", "?", "one_factor", content, [0], "dice", overrides))
    endings = inline.run_study(study, store, Monitor.of(study.stages.values(), 1))
    assert [ending.status for ending in endings.values()] == ["completed"], endings


@pytest.mark.parametrize("scale", SCALES)
def test_every_scale_suits_its_data(tmp_path, scale):
    """Sizes of crops, networks and GANs of a preset fit one another; the paper's need its scales of large frames."""
    from cellab.checks import check_trial
    from cellab.compose import compose_trial
    from cellab.data.dataset import Dataset
    from cellab.data.synthetic import Phantom, synthesise

    scales = (0.25, 0.125) if scale == "paper" else (1.0, 0.5)
    size = 1024 if scale == "paper" else 96
    path = tmp_path / "data.h5"
    synthesise(path, Phantom(n_frames=6, size=size, scales=scales))
    with Dataset.open(path) as data:
        assert check_trial(compose_trial([f"data.path={path}", f"scale={scale}"]), data) == []
