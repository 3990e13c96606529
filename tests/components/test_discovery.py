"""Every YAML names a class, fits it, says what it is, and is tested."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

import cellab_components

CONFIG = Path(cellab_components.__file__).parent / "config"
YAMLS = sorted(CONFIG.glob("*/*.yaml"))
NAMES = {
    "unet": {"paper", "vanilla", "residual", "attention", "nested"},
    "generator": {"paper", "dcgan", "style"},
    "discriminator": {"plain", "dilated", "parallel", "resampler", "parallel_resampler"},
    "discriminator_ensemble": {"mean", "max", "softmax"},
    "gan_loss": {"wgan", "wgan_gp", "ns", "ns_gp", "hinge", "lsgan"},
    "gan_regulariser": {"none", "clip", "gradient_penalty", "dragan", "r1"},
    "gan_augmentation": {"none", "diffaugment"},
    "segmentation_loss": {"bce", "bce_dice", "focal", "tversky", "pu", "bootstrapped", "partial"},
    "voting": {"mean", "majority", "soft", "tta_mean"},
    "entropy": {"paper", "binary", "mean_binary"},
    "acceptance": {"running_mean", "quantile", "fixed", "agreement", "none"},
    "recombination": {"replace", "union", "keep_labelled_positives", "disagreement_is_ignored"},
    "augmentation": {"none", "flips", "paper", "strong"},
    "prominence_schedule": {"constant", "linear", "by_generation"},
    "data_mix": {"by_generation"},
    "teacher": {"previous_generation", "ema"},
}


@pytest.fixture(params=YAMLS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def path(request):
    return request.param


def target_of(path):
    module, _, name = OmegaConf.load(path)._target_.rpartition(".")
    return getattr(importlib.import_module(module), name)


def test_the_promised_components_are_there():
    found = {kind: {path.stem for path in YAMLS if path.parent.name == kind} for kind in NAMES}
    assert all(NAMES[kind] <= found[kind] for kind in NAMES), found


def test_every_yaml_lies_in_the_folder_of_a_kind():
    assert sorted(CONFIG.rglob("*.y*ml")) == YAMLS


@pytest.mark.parametrize("kind", sorted({path.parent.name for path in YAMLS}))
def test_every_kind_has_a_contract_test(kind):
    module = Path(__file__).with_name(f"test_{kind}.py")
    assert module.exists(), (
        f"components of kind {kind} need tests/components/{module.name} with test_contract(name, ...)"
    )
    functions = [node for node in ast.parse(module.read_text()).body if isinstance(node, ast.FunctionDef)]
    contract = next((node for node in functions if node.name == "test_contract"), None)
    assert contract is not None
    assert "name" in [argument.arg for argument in contract.args.args]


def test_yaml_as_it_is_builds_its_component(path, build):
    # Named presets of one class (gan_loss) are composed: all of their parts are built too.
    assert isinstance(build(path.parent.name, path.stem), target_of(path))


def test_yaml_gives_every_number_of_its_class(path):
    parameters = set(inspect.signature(target_of(path)).parameters)
    given = {str(key) for key in OmegaConf.load(path)} - {"_target_"}
    assert given == parameters - {"self", "args", "kwargs"}


def test_summary_is_one_sentence(path):
    first = path.read_text().partition("\n")[0]
    sharing = [other for other in YAMLS if target_of(other) is target_of(path)]
    summary = first.lstrip("# ") if first.startswith("#") else inspect.getdoc(target_of(path)).partition("\n")[0]
    assert summary.endswith(".")
    assert len(sharing) == 1 or first.startswith("#"), "presets of one class open with a comment that tells them apart"


def targets_in(config):
    """Every `_target_` of ours in a YAML, nested ones too."""
    values = config.values() if isinstance(config, dict) else config if isinstance(config, list) else ()
    own = [config["_target_"]] if isinstance(config, dict) and "_target_" in config else []
    found = [*own, *(target for value in values for target in targets_in(value))]
    return {target for target in found if target.startswith("cellab_components.")}


def test_each_component_has_a_module_of_its_own():
    """A stage depends on whole modules: a neighbour in one would be recomputed with it."""
    found = {target for path in YAMLS for target in targets_in(OmegaConf.to_container(OmegaConf.load(path)))}
    modules = [target.rpartition(".")[0] for target in found]
    assert sorted(modules) == sorted(set(modules))


@pytest.mark.parametrize("kind", ["prominence_schedule", "data_mix", "teacher"])
def test_planning_needs_no_torch(kind):
    modules = sorted({target_of(path).__module__ for path in YAMLS if path.parent.name == kind})
    code = f"import sys, {', '.join(modules)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
