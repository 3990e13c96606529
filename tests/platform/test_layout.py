"""Guards of the repository's layout: folders that would hide modules, and imports that would double classes."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("folder", ["platform", "components", "dashboards", "ablations", "tests"])
def test_top_level_folders_are_no_packages(folder):
    assert (ROOT / folder).is_dir()
    assert not (ROOT / folder / "__init__.py").exists()


def ask(code: str) -> str:
    """What a fresh interpreter, started in the root, prints."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_standard_library_platform_is_found_from_the_root():
    assert ask("import platform; print(platform.system())") in {"Linux", "Darwin", "Windows"}


def test_one_copy_of_each_class():
    assert ask("import cellab, cellab_components, cellab_dashboards, hydra_plugins; print(cellab.__name__)") == "cellab"


@pytest.mark.parametrize(
    "module", ["cellab.executors.driver", "cellab.executors.on_ray", "cellab.lineage", "cellab.cli.app"]
)
def test_drivers_and_the_command_line_start_without_torch(module):
    """A trial's driver is light, and `cellab --help` does not wait for torch."""
    assert ask(f"import sys, {module}; print('torch' in sys.modules)") == "False"


def test_the_command_line_starts_without_ray():
    assert ask("import sys, cellab.cli.app; print('ray' in sys.modules)") == "False"
