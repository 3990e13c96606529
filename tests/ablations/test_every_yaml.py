"""Every YAML is composed and run at smoke scale: ablations through the command line, components in a lineage."""

import json
from pathlib import Path

import polars as pl
import pytest

from cellab import components
from cellab.ablation import Ablation, load
from cellab.compose import SCALES, compose_trial
from cellab.executors.inline import Inline
from cellab.executors.protocol import Nobody
from cellab.store import Store
from cellab.study import build_study

ABLATIONS = Path(__file__).parents[2] / "ablations"
QUICK = ["scale=smoke", "training.steps=2", "gan.steps=2", "members=1", "acceptance=none", "evaluation.train_frames=2"]
PROMISED = {
    "acceptance", "augmentation", "controls", "data_mix", "discriminator", "discriminator_ensemble", "gan_loss",
    "gan_regulariser", "generations", "generator", "knock_out", "members", "prominence", "recombination",
    "segmentation_loss", "teacher", "unet", "unet_width", "voting",
}  # fmt: skip


def test_the_ablations_that_there_are():
    assert {path.stem for path in ABLATIONS.glob("*.yaml")} >= PROMISED


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.stem for path in ABLATIONS.glob("*.yaml")))
def test_every_ablation_plans_and_runs(cellab, phantom, tmp_path, shared_store, name):
    ablation = load(name, [], ABLATIONS)
    assert ablation.question.endswith("?"), "an ablation file opens with its question"
    factors = ablation.content.get("factors", {})
    quick = [override for override in QUICK if override.partition("=")[0] not in factors]
    asked = [name, f"data.path={phantom}", *quick, "seeds=[0]", "--ablations", ABLATIONS, "--store", shared_store]
    planned = cellab("plan", *asked, "--json")
    assert planned.returncode == 0, planned.stderr
    assert json.loads(planned.stdout)["trials"] == len(ablation.arms())
    done = cellab("ablate", *asked, "executor=inline")
    assert done.returncode == 0, done.stderr
    arms = json.loads((tmp_path / "runs" / name / "arms.json").read_text())["arms"]
    assert {arm["arm"] for arm in arms} == {arm.name for arm in ablation.arms()}
    assert all(arm["completed"] == arm["planned"] == 1 for arm in arms)
    results = pl.read_parquet(tmp_path / "runs" / name / "results.parquet")
    assert set(results["arm"]) == {arm.name for arm in ablation.arms()}
    assert (tmp_path / "runs" / name / "report.html").is_file()


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory) -> Path:
    """One for all: what lineages have in common is computed once."""
    return tmp_path_factory.mktemp("store")


@pytest.mark.parametrize(("kind", "name"), list(components.catalogue()))
def test_every_component_runs_in_a_lineage(phantom, shared_store, kind, name):
    store = Store(str(shared_store))
    content = {"baseline": {kind: name}, "factors": {kind: [name]}}
    overrides = [f"data.path={phantom}", *(override for override in QUICK if not override.startswith(f"{kind}="))]
    study = build_study("one", Ablation("one", "?", "one_factor", content, [0], "dice", overrides))
    endings = Inline().run(study.lineages, store, study.data_path, Nobody()).endings
    assert [ending.status for ending in endings.values()] == ["completed"], endings


@pytest.mark.parametrize("scale", SCALES)
def test_every_scale_suits_its_data(tmp_path, scale):
    """Sizes of crops, networks and GANs of a preset fit one another; the paper's need its scales of large frames."""
    from cellab.checks import check_trial
    from cellab.crop_checks import CropChecks
    from cellab.data.dataset import Dataset
    from cellab.data.synthetic import Phantom, synthesise

    scales = (0.25, 0.125) if scale == "paper" else (1.0, 0.5)
    size = 1024 if scale == "paper" else 96
    path = tmp_path / "data.h5"
    synthesise(path, Phantom(n_frames=6, size=size, scales=scales))
    with Dataset.open(path) as data:
        assert check_trial(compose_trial([f"data.path={path}", f"scale={scale}"]), data, CropChecks(data)) == []


def test_arms_of_gan_regulariser_differ_in_loss_and_regulariser_alone():
    ablation = load("gan_regulariser", [], ABLATIONS)
    trained = {}
    for arm in ablation.arms():
        trained[arm.name] = compose_trial(["data.path=x.h5", *ablation.overrides, *arm.overrides]).plain["gan_loss"]
    alike = {json.dumps({**config, "loss": None, "regulariser": None}, sort_keys=True) for config in trained.values()}
    assert len(alike) == 1
    assert len({json.dumps(config) for config in trained.values()}) == 20
    assert (
        trained["gan_loss=ns,gan_regulariser=gradient_penalty"] == compose_trial(["data.path=x.h5"]).plain["gan_loss"]
    )
