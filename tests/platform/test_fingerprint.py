"""Fingerprints of code: what changes them and what does not."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest


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


def fingerprint(package: Path) -> str:
    """In a fresh interpreter: sources are read once a process."""
    code = "from cellab.fingerprint import fingerprint; print(fingerprint(['thing.main']))"
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


def test_a_stage_depends_on_its_components_and_not_on_the_command_line():
    module = importlib.import_module("cellab.fingerprint")
    covered = module._closure(("cellab.stages.train_member", "cellab_components.unet"), {"cellab", "cellab_components"})
    assert {"cellab.training.crops", "cellab.training.pseudo_labels", "cellab_components.unet"} <= covered
    assert not [name for name in covered if name.startswith(("cellab.cli", "cellab.executors", "cellab.results"))]
    assert "cellab_components.gan_loss" not in covered
