"""Plug-ins: somebody else's distribution takes part in a study; broken ones are told, and never silently absent."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

PLUGIN = Path(__file__).with_name("plugin")
QUICK = ("scale=smoke", "training.steps=2", "gan.steps=2", "members=1", "acceptance=none", "evaluation.train_frames=2")
ABLATION = """# Do another laboratory's parts earn their keep?
design: one_factor
baseline: {unet: paper, gan_loss: ns_gp}
factors: {unet: [paper, two_scales], gan_loss: [ns_gp, smoothed]}
seeds: [0]
rank_by: dice
overrides: []
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path) -> Run:
    """Runs `cellab ARGUMENTS` with a folder of installed distributions besides the environment's own."""

    def run(site: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
        environment = os.environ | {"PYTHONPATH": path, "COLUMNS": "160", "NO_COLOR": "1"}
        command = [sys.executable, "-m", "cellab", *map(str, arguments)]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
        )

    return run


@pytest.fixture(scope="module")
def nuclei_lab(tmp_path_factory) -> Path:
    """The example's distribution, built and installed by pip, as its users would."""
    site = tmp_path_factory.mktemp("site")
    offline = ("--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check")
    command = [sys.executable, "-m", "pip", "install", "--quiet", *offline, "--target", str(site), str(PLUGIN)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (site / "nuclei_lab-1.2.0.dist-info" / "entry_points.txt").is_file()
    return site


def test_its_components_are_listed_and_shown(run, nuclei_lab):
    rows = json.loads(run(nuclei_lab, "components", "list", "--json").stdout)
    theirs = {f"{row['kind']}/{row['name']}": row["summary"] for row in rows if row["origin"] == "nuclei-lab"}
    assert theirs == {
        "gan_loss/smoothed": "Non-saturating loss with one-sided label smoothing and gradient penalty (Salimans 2016).",
        "unet/two_scales": "Convolutions at full and at quarter size, added up.",
    }
    shown = run(nuclei_lab, "components", "show", "gan_loss/smoothed").stdout
    for part in ("nuclei-lab", "loss: nuclei_lab.smoothing.SmoothedLabels(smoothing: float)", "softplus", "1606.03498"):
        assert part in shown


@pytest.mark.slow
def test_an_ablation_runs_with_them_inline_and_on_ray(run, nuclei_lab, phantom, tmp_path):
    (tmp_path / "questions").mkdir()
    (tmp_path / "questions" / "parts.yaml").write_text(ABLATION)
    found = {}
    for executor in ("inline", "ray"):
        arguments = ("parts", "--ablations", "questions", "--runs", executor, f"data.path={phantom}", *QUICK)
        done = run(nuclei_lab, "ablate", *arguments, f"executor={executor}")
        assert done.returncode == 0, done.stderr
        (path,) = (tmp_path / executor).glob("*/results.parquet")
        found[executor] = pl.read_parquet(path)
    assert set(found["inline"]["arm"]) >= {"unet=two_scales", "gan_loss=smoothed"}
    assert found["inline"].equals(found["ray"])
    requests = [json.loads(path.read_text()) for path in (tmp_path / "ray").rglob("request.json")]
    assert any("nuclei_lab.two_scales.TwoScales" in json.dumps(request) for request in requests)
    assert any("nuclei_lab.smoothing.SmoothedLabels" in json.dumps(request) for request in requests)


def install(site: Path, name: str, files: dict[str, str], package: str | None = None) -> None:
    """What pip leaves of a distribution that offers the components of a package."""
    package = package or name.replace("-", "_")
    about = site / f"{name.replace('-', '_')}-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[cellab.components]\nparts = {package}\n")
    for path, text in ({"__init__.py": ""} | files).items():
        (site / package / path).parent.mkdir(parents=True, exist_ok=True)
        (site / package / path).write_text(text)


def refused(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2, done.stderr + done.stdout
    assert done.stdout == ""
    assert "platform/cellab" not in done.stderr, "frames of ours tell nobody anything"
    return done.stderr


UNET = "class Net:\n    def __init__(self, depth, parts):\n        pass\n"


@pytest.mark.parametrize(
    "command", [("components", "list"), ("components", "list", "unet", "--json"), ("plan", "unet")]
)
def test_clashing_names_and_broken_imports_stop_every_command(run, tmp_path, phantom, command):
    site = tmp_path / "site"
    for name in ("one-lab", "other-lab"):
        install(
            site, name, {"config/unet/tiny.yaml": f"_target_: {name}.Net\n", "config/unet/paper.yaml": "_target_: x.y"}
        )
    told = refused(run(site, *command))
    assert len(told.splitlines()) == 3, told
    for name, first, second in (
        ("unet/paper", ("cellab", "cellab_components"), ("one-lab", "one_lab")),
        ("unet/paper", ("cellab", "cellab_components"), ("other-lab", "other_lab")),
        ("unet/tiny", ("one-lab", "one_lab"), ("other-lab", "other_lab")),
    ):
        claims = [rf"{origin} \(\S*/{package}/config/{name}\.yaml\)" for origin, package in (first, second)]
        assert re.search(f"two packages claim the component {name}: {' and '.join(claims)}", told), told

    install(
        site, "broken-lab", {"__init__.py": "from broken_lab import parts\n", "parts.py": "import a_missing_module\n"}
    )
    install(site, "empty-lab", {})
    install(site, "second-lab", {}, package="one_lab")
    told = refused(run(site, *command))
    assert "the plug-in broken-lab (cellab.components: parts = broken_lab) does not import:" in told
    assert told.count("Traceback") == 1
    assert 'parts.py", line 1, in <module>' in told
    assert "ModuleNotFoundError: No module named 'a_missing_module'" in told
    assert "the plug-in empty-lab (cellab.components: parts = empty_lab) has no folder of configs" in told
    assert "two distributions offer the package of components one_lab" in told
    assert "one-lab and second-lab" in told


@pytest.fixture
def misfits(tmp_path) -> Path:
    """Components whose YAML and class do not fit."""
    yamls = {
        "gone": "_target_: misfits.nets.Nett\ndepth: 1\nparts: 1\n",
        "nowhere": "_target_: misfits.netz.Net\n",
        "plain": "_target_: Net\n",
        "failing": "_target_: misfits.failing.Net\n",
        "unfit": "_target_: misfits.nets.Net\ndepths: 1\nparts: {a: [{_target_: misfits.nets.Net, depth: 1}]}\n",
    }
    files = {f"config/unet/{name}.yaml": text for name, text in yamls.items()}
    install(tmp_path / "site", "misfits", {"nets.py": UNET, "failing.py": "1 / 0\n", **files})
    return tmp_path / "site"


TOLD = {
    "gone": [
        "`_target_: misfits.nets.Nett` cannot be loaded: misfits.nets has no class or function Nett: did you mean"
    ],
    "nowhere": ["`_target_: misfits.netz.Net` cannot be loaded: there is no module misfits.netz."],
    "plain": [
        "`_target_: Net` cannot be loaded: it must be the full name of a class, e.g. my_package.my_module.MyClass."
    ],
    "failing": ["cannot be loaded: misfits.failing does not import:", "ZeroDivisionError: division by zero"],
    "unfit": [
        "depths: misfits.nets.Net takes no such argument: did you mean 'depth'?",
        "depth: misfits.nets.Net needs it.",
        "parts.a.0.parts: misfits.nets.Net needs it.",
    ],
}


def test_yamls_that_do_not_fit_their_classes_are_told_together(run, misfits, phantom, tmp_path):
    arms = "\n".join(f"  {name}: [unet={name}]" for name in TOLD)
    (tmp_path / "wrong.yaml").write_text(
        f"# What is wrong?\ndesign: arms\nseeds: [0]\nrank_by: dice\noverrides: []\narms:\n  fine: []\n{arms}\n"
    )
    told = refused(run(misfits, "plan", "wrong", "--ablations", ".", f"data.path={phantom}", *QUICK))
    for name, parts in TOLD.items():
        assert f"arm {name}: unet" in told
        for part in parts:
            assert part in told, told
    listed = refused(run(misfits, "components", "list"))
    for name in ("gone", "nowhere", "plain", "failing"):
        assert f"unet/{name} ({misfits}/misfits/config/unet/{name}.yaml): `_target_: " in listed
    assert "'depth'?" in refused(run(misfits, "components", "show", "unet/unfit"))


def test_files_that_are_no_components(run, tmp_path):
    yamls = {"config/unet/torn.yaml": "_target_: [\n", "config/unet/without.yaml": "width: 1\n"}
    install(tmp_path / "site", "careless-lab", yamls)
    told = refused(run(tmp_path / "site", "components", "list", "voting"))
    assert len(told.splitlines()) == 2
    assert "config/unet/torn.yaml) of careless-lab is not readable YAML: " in told
    assert "config/unet/without.yaml) of careless-lab: a component needs a `_target_` that names its class." in told
