"""Fingerprints of code: what changes them and what does not."""

import pkgutil
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import cellab.stages
import cellab_components
from cellab import components
from cellab.fingerprint import _closure, _target_modules

BOOTSTRAPPED = "cellab_components.segmentation_loss.bootstrapped"


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "thing"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "main.py").write_text("from thing import part\nfrom thing.other import f\nimport json\n")
    (folder / "part.py").write_text("X = 1\n")
    (folder / "other.py").write_text("def f():\n    from thing import late\n    return late\n")
    (folder / "late.py").write_text("Y = 1\n")
    (folder / "apart.py").write_text("Z = 1\n")
    return folder


def fingerprint(package: Path, module: str = "thing.main") -> str:
    """In a fresh interpreter: sources are read once a process."""
    code = f"from cellab.fingerprint import fingerprint; print(fingerprint([{module!r}]))"
    done = subprocess.run([sys.executable, "-c", code], cwd=package.parent, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_what_counts(package):
    first = fingerprint(package)
    assert first == fingerprint(package)
    (package / "part.py").write_text("# why\nX   =  1\n")
    (package / "apart.py").write_text("Z = 2\n")
    assert fingerprint(package) == first, "comments, formatting and modules that are not imported do not count"
    (package / "part.py").write_text("X = 2\n")
    second = fingerprint(package)
    assert second != first
    (package / "late.py").write_text("Y = 2\n")
    assert fingerprint(package) not in (first, second), "imports inside functions count"


LOSS = """'Losses.'
from thing.errors import LossError

def loss(x):
    'The loss.'
    if x < 0:
        raise ValueError(f"x: {x} is not allowed")
    return 2 * x

def refusal(path):
    return LossError(path, f"{path} is damaged")
"""


@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [
        ("'Losses.'", "'Losses of segmentation, each with its reference.'", False),
        ("    'The loss.'\n", "", False),
        ("    return 2", "    # as in the paper\n    return  2", False),
        ('f"x: {x} is not allowed"', '"x must not be below 0"', False),
        ('f"{path} is damaged"', 'f"{path} is damaged: copy it again"', False),
        ("return 2 * x", "return 3 * x", True),
        ("x < 0", "x <= 0", True),
        ("LossError(path, ", "LossError(None, ", True),
    ],
)
def test_prose_does_not_count(package, old, new, counts):
    (package / "part.py").write_text(LOSS)
    first = fingerprint(package)
    assert old in LOSS
    (package / "part.py").write_text(LOSS.replace(old, new))
    assert (fingerprint(package) != first) is counts


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """A copy of our components, and the fingerprint of a loss in it."""
    folder = tmp_path_factory.mktemp("copied")
    shutil.copytree(Path(cellab_components.__file__).parent, folder / "cellab_components")
    return folder / "cellab_components", fingerprint(folder / "cellab_components", BOOTSTRAPPED)


@pytest.mark.parametrize(
    ("module", "old", "new", "counts"),
    [
        ("segmentation_loss/focal.py", "self.alpha * target", "self.alpha + target", False),
        ("segmentation_loss/__init__.py", "Segmentation losses", "Losses", False),
        ("segmentation_loss/bootstrapped.py", "Binary cross-entropy with a target", "Cross-entropy of a target", False),
        ("checks.py", "it must be a finite number above 0.", "give a finite number above 0.", False),
        ("segmentation_loss/bootstrapped.py", "1 - self.beta", "2 - self.beta", True),
        ("segmentation_loss/bce.py", 'reduction="sum"', 'reduction="mean"', True),
        ("segmentation_loss/averages.py", "total > 0, total, 1.0", "total > 0, total, 2.0", True),
    ],
)
def test_a_loss_depends_on_itself_and_on_what_it_calls(copied, module, old, new, counts):
    package, first = copied
    source = (package / module).read_text()
    assert old in source
    (package / module).write_text(source.replace(old, new))
    try:
        assert (fingerprint(package, BOOTSTRAPPED) != first) is counts
    finally:
        (package / module).write_text(source)


def test_a_new_loss_concerns_no_other(copied):
    package, first = copied
    (package / "segmentation_loss" / "boundary.py").write_text("class Boundary: ...\n")
    assert fingerprint(package, BOOTSTRAPPED) == first


STAGES = sorted(f"cellab.stages.{found.name}" for found in pkgutil.iter_modules(cellab.stages.__path__))
TOLD = ("cli", "components", "contracts", "documentation", "errors", "executors", "names", "results", "signatures")


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_no_catalogue_and_on_no_prose(stage):
    covered = _closure((stage,), {"cellab"})
    assert stage in covered
    assert not [name for name in covered if name.startswith(tuple(f"cellab.{each}" for each in TOLD))]


def test_a_member_depends_on_crops_and_pseudo_labels():
    covered = _closure(("cellab.stages.train_member",), {"cellab"})
    assert {"cellab.building", "cellab.training.crops", "cellab.training.pseudo_labels"} <= covered


@pytest.mark.parametrize(("kind", "name"), list(components.catalogue()))
def test_a_component_depends_on_nothing_of_another_kind(kind, name):
    """But for the parts that its YAML names; and on nothing of the engine."""
    modules = tuple(_target_modules(components.get(kind, name).config))
    covered = _closure(modules, {"cellab", *(module.partition(".")[0] for module in modules)})
    named = {module.rpartition(".")[0] for module in modules}
    assert set(modules) <= covered
    assert all(module.rpartition(".")[0] in named | {"cellab_components"} for module in covered), covered


def test_of_a_kind_only_what_is_called_counts():
    kinds = Path(cellab_components.__file__).parent
    losses = {path.stem for path in (kinds / "segmentation_loss").glob("[a-z]*.py")}
    covered = _closure(("cellab_components.segmentation_loss.bootstrapped",), {"cellab_components"})
    ours = {name.removeprefix("cellab_components.segmentation_loss.") for name in covered}
    assert ours & losses == {"bootstrapped", "bce", "averages"}
