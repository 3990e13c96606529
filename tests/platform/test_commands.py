"""The command line as a person types it: good input, bad input, interruption."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest

from cellab import stages

ROOT = Path(__file__).parents[2]
QUICK = (
    "scale=smoke",
    "training.steps=2",
    "gan.steps=2",
    "members=1",
    "acceptance=none",
    "evaluation.train_frames=2",
)


def ok(done):
    assert done.returncode == 0, done.stderr + done.stdout
    return done


def refused(done, *told: str) -> str:
    """One clear message and status 2: no traceback, nothing on stdout."""
    assert done.returncode == 2, (done.returncode, done.stderr, done.stdout)
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    for part in told:
        assert part in done.stderr, done.stderr
    return done.stderr


@pytest.mark.parametrize(
    "command",
    [
        *("", "data", "data synth", "data import", "data hide", "data info", "components", "components list"),
        *("components show", "plan", "ablate", "train", "report", "status", "show", "diff"),
    ],
)
def test_help_of_every_command_shows_an_example(cellab, command):
    done = ok(cellab(*command.split(), "--help"))
    if command not in ("", "data", "components"):
        assert "Example: " in done.stdout
        assert f"cellab {command} " in done.stdout


def test_components_list(cellab):
    listed = json.loads(ok(cellab("components", "list", "--json")).stdout)
    assert all(set(row) == {"kind", "name", "origin", "summary"} for row in listed)
    found = {f"{row['kind']}/{row['name']}" for row in listed}
    assert found >= {
        *("unet/paper", "generator/paper", "discriminator/plain", "discriminator/parallel_resampler"),
        *("gan_loss/wgan", "gan_loss/wgan_gp", "gan_loss/ns", "gan_loss/ns_gp"),
        *("segmentation_loss/bce", "segmentation_loss/bce_dice", "voting/mean", "entropy/paper"),
        *("acceptance/running_mean", "acceptance/none", "recombination/replace", "recombination/union"),
    }
    assert all(row["summary"] and row["origin"] for row in listed)
    table = ok(cellab("components", "list", "gan_loss")).stdout
    assert "wgan_gp" in table
    assert "unet" not in table


def test_components_show(cellab):
    shown = ok(cellab("components", "show", "gan_loss/ns_gp")).stdout
    for part in ("gan_loss/ns_gp", "_target_", "AdversarialLoss", "critic_steps"):
        assert part in shown
    assert json.loads(ok(cellab("components", "show", "unet/paper", "--json")).stdout)["name"] == "paper"
    refused(cellab("components", "show", "gan_loss/wgann"), "'wgann'", "did you mean 'wgan'")
    refused(cellab("components", "show", "gan_los/wgan"), "'gan_los'", "did you mean 'gan_loss'")
    refused(cellab("components", "show", "wgan"), "'wgan' is not KIND/NAME")


def test_plan_as_json(cellab, phantom):
    done = ok(cellab("plan", "gan_loss", f"data.path={phantom}", "scale=smoke", "seeds=[0,1]", "--json"))
    planned = json.loads(done.stdout)
    assert planned["study"] == "gan_loss"
    assert [arm["name"] for arm in planned["arms"]] == [
        f"gan_loss={name}" for name in ("wgan", "wgan_gp", "ns", "ns_gp")
    ]
    assert (planned["seeds"], planned["trials"]) == ([0, 1], 8)
    assert planned["stages"]["train_gan"] == {"asked": 8, "distinct": 8, "stored": 0}
    # generation 0 of two members is shared by four arms
    assert planned["stages"]["train_member"] == {"asked": 8 * 4, "distinct": 2 * 2 + 8 * 2, "stored": 0}
    assert planned["stages"]["evaluate"] == {"asked": 16, "distinct": 2 + 8, "stored": 0}


def test_the_gan_is_planned_and_trained_once_a_seed_for_unet_widths(cellab, phantom, tmp_path):
    arguments = ("unet_width", f"data.path={phantom}", *QUICK, "seeds=[0,1]", "executor=inline")
    planned = json.loads(ok(cellab("plan", *arguments, "--json")).stdout)
    assert planned["stages"]["train_gan"] == {"asked": 6, "distinct": 2, "stored": 0}
    assert not (tmp_path / "runs").exists(), "planning writes nothing"
    ok(cellab("ablate", *arguments))
    requests = [json.loads(path.read_text()) for path in (tmp_path / "runs" / "store").rglob("request.json")]
    assert sum(request["stage"] == "train_gan" for request in requests) == 2
    planned = json.loads(ok(cellab("plan", *arguments, "--json")).stdout)
    assert all(count["stored"] == count["distinct"] for count in planned["stages"].values())


@pytest.fixture(scope="module")
def finished(tmp_path_factory, phantom):
    """A finished study on Ray, as the command line leaves it."""
    folder = tmp_path_factory.mktemp("finished")
    command = [sys.executable, "-m", "cellab", "ablate", "gan_loss", f"data.path={phantom}", *QUICK, "seeds=[0]"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder, done


def test_ablate_leaves_what_it_says(finished):
    folder, done = finished
    left = {path.name for path in (folder / "runs" / "gan_loss").iterdir()}
    assert left >= {
        *("study.yaml", "plan.json", "results.parquet", "pseudo_labels.parquet", "arms.json"),
        *("images.h5", "provenance.json", "report.html"),
    }
    assert not [name for name in left if name.startswith(".")]
    assert "runs/gan_loss/report.html" in done.stdout
    assert "gan_loss=wgan_gp" in done.stdout
    assert "left" in done.stderr
    assert "generator" in done.stderr
    assert "Configuration for experiment" not in done.stdout, "Tune's own table"
    provenance = json.loads((folder / "runs" / "gan_loss" / "provenance.json").read_text())
    assert {"git", "packages", "hardware", "data", "seeds", "durations"} <= set(provenance)
    assert provenance["packages"]["torch"]


@pytest.mark.slow
def test_more_seeds_compute_only_what_is_missing(finished, phantom, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(finished[0], folder)
    command = [sys.executable, "-m", "cellab", "ablate", "gan_loss", f"data.path={phantom}", *QUICK, "seeds=[0,1]"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "28 distinct stages, 14 of them finished before and reused" in done.stderr
    results = pl.read_parquet(folder / "runs" / "gan_loss" / "results.parquet")
    assert set(results["seed"]) == {0, 1}


def test_a_study_that_lacks_trials_is_written_and_says_so_by_its_status(cellab, phantom, tmp_path, monkeypatch):
    whole = stages.run

    def running(stage, *arguments, **options):
        if "gan_loss=wgan seed" in stage.label:
            raise RuntimeError("the disk is on fire")
        return whole(stage, *arguments, **options)

    monkeypatch.setattr(stages, "run", running)
    factors = ("factors.gan_loss=[ns,wgan]", "baseline.gan_loss=ns", "seeds=[0]", "executor=inline")
    done = cellab("ablate", "gan_loss", f"data.path={phantom}", *QUICK, *factors)
    assert done.returncode == 3, done.stderr
    told = done.stderr[done.stderr.index("error: ") :]
    assert "1 of 2 trials did not complete; the same command tries them again" in told
    assert "gan_loss=wgan seed=0 failed: RuntimeError: the disk is on fire" in told
    assert "gan_loss=ns seed" not in told
    assert (tmp_path / "runs" / "gan_loss" / "report.html").is_file()
    monkeypatch.setattr(stages, "run", whole)
    ok(cellab("ablate", "gan_loss", f"data.path={phantom}", *QUICK, *factors))


def test_a_trial_that_diverges_by_itself_is_a_result(cellab, phantom):
    diverging = ("training.optimiser.lr=1e30", "training.learning_rate_schedule=null", "training.steps=5")
    ok(cellab("train", f"data.path={phantom}", *QUICK, *diverging, "executor=inline"))


def test_report_again(finished, cellab, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(finished[0] / "runs" / "gan_loss", folder)
    (folder / "report.html").unlink()
    ok(cellab("report", folder))
    assert (folder / "report.html").stat().st_size > 1_000_000
    refused(cellab("report", tmp_path / "cop"), "cop holds no study", "did you mean 'copy'")
    (folder / "arms.json").write_text("{")
    refused(cellab("report", folder), "arms.json is damaged")


def test_another_study_is_not_overwritten(finished, cellab, phantom, tmp_path):
    shutil.copytree(finished[0] / "runs", tmp_path / "runs")
    before = (tmp_path / "runs" / "gan_loss" / "results.parquet").read_bytes()
    done = cellab("ablate", "gan_loss", f"data.path={phantom}", *QUICK, "seeds=[0]", "unet.width=5", "executor=inline")
    refused(done, "runs/gan_loss holds another study", "unet.width: 4 there, 5 here", "--name")
    assert (tmp_path / "runs" / "gan_loss" / "results.parquet").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["seeds=[1]"], "seeds there, not here: 0"),
        (["seeds=[0,1]", "factors.gan_loss=[ns_gp,wgan]"], "arms there, not here: gan_loss=wgan_gp, gan_loss=ns"),
    ],
)
def test_results_that_would_vanish_are_not_overwritten(finished, cellab, phantom, tmp_path, arguments, told):
    shutil.copytree(finished[0] / "runs" / "gan_loss", tmp_path / "runs" / "gan_loss")
    before = contents(tmp_path / "runs")
    done = cellab("ablate", "gan_loss", f"data.path={phantom}", *QUICK, *arguments, "executor=inline")
    refused(done, "runs/gan_loss holds another study", told, "--name")
    assert contents(tmp_path / "runs") == before, "no store was made either"


def test_two_ablations_of_one_design_are_two_studies(finished, cellab, phantom, tmp_path):
    shutil.copytree(finished[0] / "runs" / "gan_loss", tmp_path / "runs" / "gan_loss")
    arguments = (f"data.path={phantom}", *QUICK, "seeds=[0]", "executor=inline", "--name", "gan_loss")
    refused(cellab("ablate", "gan_augmentation", *arguments), "holds another study", "ablation: gan_loss there")


@pytest.mark.parametrize("content", ["a: [", "[1, 2]", "name: gan_loss\n"])
def test_a_damaged_description_is_no_free_folder(cellab, phantom, tmp_path, content):
    folder = tmp_path / "runs" / "gan_loss"
    folder.mkdir(parents=True)
    (folder / "study.yaml").write_text(content)
    refused(cellab("ablate", "gan_loss", f"data.path={phantom}", *QUICK), "study.yaml is damaged", "--name")
    assert contents(tmp_path / "runs") == {"gan_loss/study.yaml": content.encode()}


def test_content_that_is_not_what_the_digest_says_is_never_trained_on(cellab, phantom, tmp_path):
    edited = tmp_path / "edited.h5"
    shutil.copy(phantom, edited)
    with h5py.File(edited, "r+") as file:
        file["scales/1/masks"][0] ^= 1
    done = cellab("ablate", "gan_loss", f"data.path={edited}", *QUICK, "seeds=[0]", "executor=inline")
    assert done.returncode == 2
    assert "its content is not what its digest says" in done.stderr
    assert not (tmp_path / "runs" / "gan_loss").exists()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_train_one_lineage(cellab, phantom, tmp_path):
    done = ok(cellab("train", f"data.path={phantom}", *QUICK, "gan_loss=wgan_gp", "generations=3", "executor=inline"))
    (study,) = [path for path in (tmp_path / "runs").iterdir() if path.name.startswith("train-")]
    results = pl.read_parquet(study / "results.parquet")
    assert set(results["generation"]) == {0, 1, 2}
    assert set(results["arm"]) == {"baseline"}
    assert "report.html" in done.stdout
    refused(cellab("train", f"data.path={phantom}", "seeds=[0,1]"), "seeds=[0,1]", "Use seed=0")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["gan_los"], ["there is no ablation 'gan_los'", "did you mean 'gan_loss'"]),
        (["gan_loss", "unet=papr"], ["there is no unet 'papr'", "did you mean 'paper'"]),
        (["gan_loss", "trainin.steps=5"], ["trainin.steps: there is no such key"]),
        (
            ["gan_loss", "factors.gan_loss=[wgan,nss]", "baseline.gan_loss=wgan"],
            ["arm gan_loss=nss", "did you mean 'ns'"],
        ),
        (["gan_loss", "gan_loss=ns"], ["gan_loss is a factor"]),
        (
            ["gan_loss", "training.crop_size=128", "generator.size=64"],
            ["128 is larger than the frames, which are 96 × 96 at scale 1: at most 96 fits all"],
        ),
        (["gan_loss", "training.crop_size=40"], ["training.crop_size: 40 is not divisible", "stride of 16"]),
        (
            ["gan_loss", "generator.size=32"],
            ["generator.size: 32 pixels at scale 0.5", "training.crop_size=64, or generator.size=16"],
        ),
        (["gan_loss", "training.crop_size=34", "unet.blocks=1"], ["set training.crop_size=32."]),
        (["gan_loss", "unet.blocks=9"], ["no crop of the frames is: choose fewer blocks"]),
        (["gan_loss", "training.optimiser.lr=-1"], ["training.optimiser", "Invalid learning rate: -1"]),
        (["gan_loss", "gan_loss.optimiser.lr=-1"], ["gan_loss.optimiser", "Invalid learning rate: -1"]),
        (["gan_loss", "seed=7"], ["seed=7", "seeds=[7]"]),
        (["gan_loss", "overrides=['gan_loss=ns']"], ["gan_loss is a factor"]),
        (["gan_loss", "overrides=[3]"], ["overrides: [3] is not a list of Hydra overrides"]),
        (["gan_loss", "--name", "../evil"], ["--name '../evil'", "one plain folder name"]),
        (["gan_loss", "--name", "store"], ["--name 'store'"]),
        (["gan_loss", "--name", ""], ["--name ''"]),
        (["controls", "arms={a:[],b:['seed=3']}"], ["arm b: seed: it is one for all arms"]),
        (["controls", "arms={a:[],b:['executor=inline']}"], ["arm b: executor: it is one for all arms"]),
        (["gan_loss", "factors.gan_loss=[ns_gp,nss]", "data.path=no.h5"], ["did you mean 'ns'", "no data set"]),
        (["gan_loss", "data.scale=0.25"], ["data.scale", "no frames at scale 0.25", "it has 1, 0.5"]),
        (["gan_loss", "unet.width=0"], ["unet", "width: 0 is not allowed"]),
        (["gan_loss", "resources.device=cuda"], ["resources.device: cuda was asked for"]),
        (["gan_loss", "--ablations", "nowhere"], ["--ablations nowhere: there is no such folder"]),
    ],
)
def test_bad_studies_are_refused_before_anything_is_written(cellab, phantom, tmp_path, arguments, told):
    if "resources.device=cuda" in arguments:
        torch = pytest.importorskip("torch")
        if torch.cuda.is_available():
            pytest.skip("this machine has a GPU")
    refused(cellab("ablate", arguments[0], f"data.path={phantom}", "scale=smoke", *arguments[1:]), *told)
    assert list(tmp_path.iterdir()) == []


def test_mistakes_of_several_arms_are_told_together(cellab, phantom):
    arguments = ["factors={unet.width:[0,8,-3]}", "baseline={unet.width:8}"]
    told = refused(cellab("plan", "unet_width", f"data.path={phantom}", "scale=smoke", *arguments))
    assert "arm unet.width=0" in told
    assert "arm unet.width=-3" in told
    assert "arm unet.width=8" not in told


def test_three_mistakes_of_three_kinds_in_three_arms_are_told_at_once(cellab, phantom, tmp_path):
    (tmp_path / "ablations").mkdir()
    (tmp_path / "ablations" / "wrong.yaml").write_text(
        "# What is wrong?\ndesign: arms\nseeds: [0]\nrank_by: dice\noverrides: []\narms:\n"
        "  fine: []\n  misspelt: [unet=papr]\n  impossible: [unet.width=0]\n  unfit: [training.crop_size=40]\n"
    )
    told = refused(cellab("plan", "wrong", f"data.path={phantom}", "scale=smoke"))
    assert "arm misspelt: unet: there is no unet 'papr'" in told
    assert "arm impossible: unet.width: 0 is not allowed" in told
    assert "arm unfit: training.crop_size: 40 is not divisible" in told
    assert "fine" not in told


@pytest.fixture
def damaged(phantom, tmp_path):
    """Data sets with one thing wrong with each."""

    def changed(name, change):
        path = tmp_path / name
        shutil.copy(phantom, path)
        with h5py.File(path, "r+") as file:
            change(file)

    def resplit(file, codes):
        file["split"][...] = np.array(codes, np.uint8)[file["split"][:]]

    def unlabel(file):
        for group in file["scales"].values():
            group["masks"][...] = group["masks"][:] * (file["split"][:] != 0)[:, None, None]

    changed("version.h5", lambda file: file.attrs.modify("version", 99))
    changed("foreign.h5", lambda file: file.attrs.modify("format", "other"))
    changed("novalidation.h5", lambda file: resplit(file, [0, 3, 2, 3]))
    changed("notrain.h5", lambda file: resplit(file, [3, 1, 2, 3]))
    changed("zeros.h5", unlabel)
    (tmp_path / "text.h5").write_text("not HDF5")
    (tmp_path / "truncated.h5").write_bytes(phantom.read_bytes()[:20_000])
    return tmp_path


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("missing.h5", "no data set"),
        ("text.h5", "HDF5"),
        ("truncated.h5", "truncated"),
        ("version.h5", "version 99"),
        ("foreign.h5", "cellab"),
        ("novalidation.h5", "no validation frame"),
        ("notrain.h5", "no training frame"),
        ("zeros.h5", "zeros"),
    ],
)
def test_bad_data_sets(cellab, damaged, name, told):
    refused(cellab("ablate", "gan_loss", f"data.path={name}", "scale=smoke"), name, told)
    assert not (damaged / "runs").exists()


def test_a_plan_refuses_a_store_that_is_a_file_and_makes_none(cellab, phantom, tmp_path):
    arguments = ("plan", "gan_loss", f"data.path={phantom}", "scale=smoke", "--store")
    (tmp_path / "file").write_text("")
    refused(cellab(*arguments, "file"), "file", "--store")
    ok(cellab(*arguments, "none"))
    assert {path.name for path in tmp_path.iterdir()} == {"file"}


def test_a_store_that_cannot_be_written(cellab, phantom, tmp_path):
    (tmp_path / "file").write_text("")
    done = cellab("ablate", "gan_loss", f"data.path={phantom}", "scale=smoke", "--store", "file/store")
    refused(done, "file/store is not writable", "--store")
    assert not (tmp_path / "runs").exists()


def test_a_cluster_that_does_not_answer(cellab_process, phantom, tmp_path):
    arguments = ("ablate", "gan_loss", f"data.path={phantom}", *QUICK, "--address")
    refused(cellab_process(*arguments, "127.0.0.1:1"), "no Ray cluster answers at 127.0.0.1:1", "ray start")
    refused(cellab_process(*arguments, "nonsense"), "--address nonsense", "HOST:PORT")
    refused(cellab_process(*arguments, "127.0.0.1:1", "executor=inline"), "--address 127.0.0.1:1", "executor=inline")
    assert not (tmp_path / "runs" / "gan_loss").exists()
