"""`cellab components`: what is listed and shown, and new components that run at once."""

import ast
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cellab import components
from cellab.documentation import Documentation, arguments_of, wrapped
from cellab.errors import CellabError
from cellab.scaffold.component import default_name, draft

ROOT = Path(__file__).parents[2]


def run(command, folder, columns=120, path=None):
    environment = os.environ | {"COLUMNS": str(columns), "NO_COLOR": "1"}
    environment |= (
        {} if path is None else {"PYTHONPATH": os.pathsep.join([str(path), os.environ.get("PYTHONPATH", "")])}
    )
    command = [sys.executable, "-m", *map(str, command)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.mark.parametrize("columns", [80, 120])
def test_the_list_groups_by_kind_and_fits_the_terminal(tmp_path, columns):
    lines = run(["cellab", "components", "list"], tmp_path, columns).splitlines()
    assert max(map(len, lines)) <= columns
    headings = [line for line in lines if line and line[0] != " "]
    assert headings == components.kinds()
    below = lines[lines.index("gan_loss") : lines.index("gan_regulariser")]
    for name in components.names("gan_loss"):
        assert any(line.split()[:2] == [name, "cellab"] for line in below)


def test_show_at_80_columns(tmp_path):
    shown = run(["cellab", "components", "show", "segmentation_loss/bce_dice"], tmp_path, 80)
    for part in (
        "\nFormula:\n    L = BCE + dice_weight * ",
        "\nReference:\n    Milletari et al., *V-Net*, https://arxiv",
    ):
        assert part in shown
    assert "segmentation_loss.bce_dice.BceDice(\n    dice_weight: float,\n    smoothing: float,\n)\n" in shown
    assert "\nArgs:\n    dice_weight: of the Dice term.\n" in shown
    assert components.get("segmentation_loss", "bce_dice").path.read_text().rstrip() in shown
    assert (
        "\nContract of every segmentation_loss: cellab.contracts.SegmentationLoss\n"
        "How far a member's logits are from the target.\n"
        "    __call__(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor\n"
        "        A finite scalar, of logits, targets in [0, 1] and weights of at least 0,\n"
    ) in shown
    long = [line for line in shown.splitlines() if len(line) > 80]
    assert all(line.startswith(("/", "    L = ")) for line in long), "only a path and a formula are not broken"


def test_show_as_json_has_the_parts_of_the_documentation(tmp_path):
    shown = json.loads(run(["cellab", "components", "show", "gan_loss/wgan_gp", "--json"], tmp_path))
    assert (shown["kind"], shown["name"], shown["origin"]) == ("gan_loss", "wgan_gp", "cellab")
    assert shown["config"]["critic_steps"] == 5
    assert shown["signature"].startswith("cellab_components.gan_loss.adversarial.AdversarialLoss(loss: Loss, ")
    parts = {part["key"]: part for part in shown["parts"]}
    assert "L_D = E D(fake) - E D(real)" in parts["loss"]["formula"]
    assert parts["regulariser"]["reference"].startswith("Gulrajani et al., *Improved training of Wasserstein GANs*")
    assert parts["optimiser"]["signature"] == "torch.optim.Adam(...)"
    assert shown["contract"]["name"] == "cellab.contracts.GanLoss"
    asked = {member["name"]: member for member in shown["contract"]["members"]}
    assert asked["generator_loss"]["signature"] == "generator_loss(fake_logits: Tensor) -> Tensor"
    assert asked["critic_steps"]["signature"] == "critic_steps: int"
    assert "logits (B,)" in asked["generator_loss"]["documentation"]


class Documented:
    """What it is.

    .. code-block:: text

        a = b
          + c

    Prose of
    two lines.

    Reference:
        Somebody, *Something*,
        https://example.org.

    Args:
        first: is
            long.
        second: is not.
    """

    def __init__(self, first: Path, *, second: str = "x.y") -> None: ...


def test_a_docstring_is_taken_apart():
    found = Documentation.of(Documented)
    assert found.summary == "What it is."
    assert found.formula == "a = b\n  + c"
    assert found.reference == "Somebody, *Something*, https://example.org."
    assert wrapped(found.rest, 18) == (
        "Prose of two\nlines.\n\nArgs:\n    first: is\n      long.\n    second: is\n      not."
    )
    assert arguments_of(Documented)[:2] == ["first: Path", "*"]
    assert Documentation.of(type("Bare", (Documented,), {})) == Documentation("", "", "", "")


@pytest.fixture(scope="module")
def my_lab(tmp_path_factory) -> tuple[Path, Path]:
    """A package with a new component of every kind, and where pip has installed it."""
    folder = tmp_path_factory.mktemp("new")
    for kind in components.kinds():
        draft(kind, "mine", folder / "my-lab", like=None).write()
    offline = ("--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check", "--quiet")
    run(["pip", "install", *offline, "--target", folder / "site", folder / "my-lab"], folder)
    return folder / "my-lab", folder / "site"


@pytest.mark.slow
def test_new_components_of_every_kind_run_and_pass_their_tests(my_lab, phantom, tmp_path):
    package, site = my_lab
    kinds = components.kinds()
    rows = json.loads(run(["cellab", "components", "list", "--json"], tmp_path, path=site))
    assert {row["kind"] for row in rows if (row["name"], row["origin"]) == ("mine", "my-lab")} == set(kinds)
    chosen = [f"{kind}=mine" for kind in kinds]
    run(["cellab", "train", *chosen, "scale=smoke", "executor=inline", f"data.path={phantom}"], tmp_path, path=site)
    (study,) = tmp_path.rglob("study.yaml")
    assert all(f"my_lab.{kind}_mine.Mine" in study.read_text() for kind in kinds)
    run(["pytest", "-q", "-k", "yaml", "-p", "no:cacheprovider", package], tmp_path, path=site)
    run(["pytest", "-q", "-p", "no:cacheprovider", package / "tests" / "test_voting_mine.py"], tmp_path, path=site)


def test_what_is_written_is_clean(my_lab):
    package, _ = my_lab
    rules = ["--isolated", "--line-length=120", "--select=E,F,W,I,UP,B,D1,RUF"]
    run(["ruff", "check", "--no-cache", *rules, "--ignore=D105,D107", package / "src"], package)
    run(
        ["ruff", "check", "--no-cache", "--isolated", "--line-length=120", "--select=E,F,W,I", package / "tests"],
        package,
    )
    run(["ruff", "format", "--no-cache", "--isolated", "--line-length=120", "--check", package], package)


def test_a_new_component_begins_as_another_and_writes_every_method_out(tmp_path):
    drafted = draft("augmentation", "strong_ish", tmp_path / "lab", like="flips")
    assert drafted.files.keys() == {
        tmp_path / "lab" / path
        for path in (
            *("pyproject.toml", "src/lab/__init__.py", "src/lab/augmentation_strong_ish.py"),
            *("src/lab/config/augmentation/strong_ish.yaml", "tests/test_augmentation_strong_ish.py"),
        )
    }
    assert not (tmp_path / "lab").exists()
    content = {path.name: text for path, text in drafted.files.items()}
    assert content["strong_ish.yaml"] == "_target_: lab.augmentation_strong_ish.StrongIsh\nprobability: 0.5\n"
    offered = tomllib.loads(content["pyproject.toml"])["project"]["entry-points"]["cellab.components"]
    assert offered == {"lab": "lab"}
    (cls,) = [n for n in ast.parse(content["augmentation_strong_ish.py"]).body if isinstance(n, ast.ClassDef)]
    assert cls.bases == [], "a plain class"
    assert "self.like = Flips(probability)" in content["augmentation_strong_ish.py"]
    assert {n.name for n in cls.body if isinstance(n, ast.FunctionDef)} >= {"__init__", "linear", "appearance"}
    default = draft("gan_regulariser", "mine", tmp_path / "lab", like=None)
    assert default_name("gan_regulariser") == "none", "a trial has none of its own: the kind's `none`"
    assert any("= NoRegulariser()" in text for text in default.files.values())


def test_new_goes_to_a_package_that_is_there_and_says_what_next(cellab, tmp_path):
    first = cellab("components", "new", "unet", "tiny")
    assert first.returncode == 0, first.stderr
    assert "wrote cellab-tiny/src/cellab_tiny/unet_tiny.py" in first.stdout
    for command in (
        "pip install --editable cellab-tiny",
        "cellab components show unet/tiny",
        "pytest cellab-tiny/tests",
    ):
        assert command in first.stdout
    project = (tmp_path / "cellab-tiny" / "pyproject.toml").read_bytes()
    second = cellab("components", "new", "voting", "tiny", "--package", "cellab-tiny")
    assert second.returncode == 0, second.stderr
    assert (tmp_path / "cellab-tiny" / "pyproject.toml").read_bytes() == project
    assert (tmp_path / "cellab-tiny" / "src" / "cellab_tiny" / "config" / "voting" / "tiny.yaml").is_file()
    before = sorted(tmp_path.rglob("*"))
    third = cellab("components", "new", "voting", "tiny", "--package", "cellab-tiny")
    assert (third.returncode, third.stdout) == (2, "")
    assert len(third.stderr.splitlines()) == 1
    assert "tiny.yaml" in third.stderr
    assert "there already; nothing was written." in third.stderr
    assert sorted(tmp_path.rglob("*")) == before
    assert "Example: cellab components new" in cellab("components", "new", "--help").stdout


def test_new_in_our_own_tree(tmp_path):
    """Beside our own classes, and under our contract tests and lint."""
    for name in ("components", "tests/components"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "platform").symlink_to(ROOT / "platform")  # for ruff, which looks for names of our own
    path = tmp_path / "components"
    out = run(["cellab", "components", "new", "entropy", "mine", "--package", "."], tmp_path, path=path)
    assert "wrote components/cellab_components/entropy/mine.py" in out
    assert "pip install" not in out, "it is found already"
    assert "entropy.mine.Mine" in run(["cellab", "components", "show", "entropy/mine"], tmp_path, path=path)
    run(["ruff", "check", "--no-cache", path, "tests/components/test_entropy_mine.py"], tmp_path)
    run(["ruff", "format", "--no-cache", "--check", path, "tests/components/test_entropy_mine.py"], tmp_path)
    tests = [tmp_path / "tests" / "components" / f"test_{name}.py" for name in ("entropy", "discovery", "entropy_mine")]
    options = ["-q", "-p", "no:cacheprovider", "-k", "mine and not lineage"]
    passed = run(["pytest", *options, *tests], tmp_path, path=path)
    assert int(passed.strip().splitlines()[-1].split()[0]) >= 5, "the contract has found it"


BAD = [
    ("unett", "mine", None, "there is no kind of component 'unett': did you mean 'unet'"),
    ("unet", "Mine", None, "'Mine' cannot name a component"),
    ("unet", "my-net", None, "'my-net' cannot name a component"),
    ("unet", "null", None, "'null' cannot name a component"),
    ("unet", "no", None, "'no' cannot name a component"),
    ("unet", "inf", None, "'inf' cannot name a component"),
    ("unet", "../x", None, "'../x' cannot name a component"),
    ("unet", "paper", None, "there is a unet/paper already, from cellab"),
    ("unet", "mine", "json", "there is a package called json already"),
    ("unet", "mine", "1 2", "cannot be called '1 2'"),
    ("unet", "mine", "full", "full has no pyproject.toml, and is not empty"),
    ("unet", "mine", "other", "offers no components: add the lines"),
    ("unet", "mine", "torn", "is not readable TOML"),
    ("unet", "mine", "hollow", "names the package hollow_lab, but there is no folder"),
]


@pytest.mark.parametrize(("kind", "name", "package", "told"), BAD)
def test_new_refuses_and_writes_nothing(tmp_path, monkeypatch, kind, name, package, told):
    monkeypatch.chdir(tmp_path)
    for path, text in {
        "full/notes.txt": "",
        "other/pyproject.toml": "[project]\nname = 'other'\n",
        "torn/pyproject.toml": "[project\n",
        "hollow/pyproject.toml": "[project.entry-points.'cellab.components']\nx = 'hollow_lab'\n",
    }.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(CellabError) as caught:
        draft(kind, name, Path(package) if package else None, like=None).write()
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_new_that_cannot_be_finished_leaves_nothing(tmp_path):
    draft("voting", "first", tmp_path / "lab", like=None).write()
    shutil.rmtree(tmp_path / "lab" / "tests")
    (tmp_path / "lab" / "tests").write_text("a file where a folder should be")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(CellabError, match=r"cannot be written \(Not a directory\); nothing was"):
        draft("unet", "second", tmp_path / "lab", like=None).write()
    assert sorted(tmp_path.rglob("*")) == before
