"""What the tests of components share: the YAMLs that there are, a door to build them, and quiet random numbers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

import cellab_components

CONFIG = Path(cellab_components.__file__).parent / "config"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test in `test_<kind>.py` that takes `name` runs for every component of the kind that there is."""
    if "name" in metafunc.fixturenames and "test_" in metafunc.module.__name__:
        kind = Path(metafunc.module.__file__).stem.removeprefix("test_")
        metafunc.parametrize("name", sorted(path.stem for path in (CONFIG / kind).glob("*.yaml")))


@pytest.fixture(scope="session")
def config() -> Path:
    return CONFIG


@pytest.fixture(scope="session")
def build() -> Callable[..., Any]:
    """Builds the component of a kind and name; keyword arguments replace the YAML's defaults."""

    def build(kind: str, name: str, **arguments: Any) -> Any:
        return instantiate(OmegaConf.merge(OmegaConf.load(CONFIG / kind / f"{name}.yaml"), arguments))

    return build


@pytest.fixture(autouse=True)
def _quiet_random_numbers() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture
def _deterministic() -> Any:
    """PyTorch raises on an operation that has no deterministic form."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)
