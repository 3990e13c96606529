"""A configuration of somebody else's is no program: it names components and parts of torch, or is refused."""

import sys
from pathlib import Path

import pytest

from cellab.compose import compose_trial
from cellab.errors import ConfigError
from cellab.trust import untrusted

OF_A_COLLEAGUE = """# Which loss?
design: arms
arms: {theirs: [], ours: [segmentation_loss._target_=colleague.Loss]}
seeds: [0]
rank_by: dice
overrides: []
"""


@pytest.fixture
def colleague(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that leaves a mark where it is imported; gives the mark."""
    mark = tmp_path / "mark"
    source = (
        f"import pathlib\npathlib.Path({str(mark)!r}).touch()\n"
        'from cellab_components.segmentation_loss.bce import Bce\nclass Loss(Bce):\n    """A loss."""\n'
    )
    (tmp_path / "colleague.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "colleague", raising=False)
    return mark


@pytest.mark.parametrize(
    ("key", "override"),
    [
        ("segmentation_loss", "segmentation_loss._target_=colleague.Loss"),
        ("training.optimiser", "training.optimiser._target_=colleague.Loss"),
        ("gan_loss.regulariser", "gan_loss.regulariser._target_=colleague.Loss"),
        ("augmentation.more.0", "+augmentation.more=[{_target_: colleague.Loss}]"),
        ("unet.width", "unet.width={_target_: colleague.Loss}"),
        ("unet.width", "unet.width='${oc.create:\"{_target_: colleague.Loss}\"}'"),
    ],
)
def test_what_is_no_component_is_refused_before_it_is_imported(colleague: Path, key: str, override: str) -> None:
    told = rf"{key}: `_target_: colleague.Loss` is refused.* cellab_components, torch.nn, torch.optim.* --trust"
    with pytest.raises(ConfigError, match=told):
        compose_trial(["data.path=x.h5", override])
    assert not colleague.exists()


@pytest.mark.parametrize(
    "target",
    ["os.system", "builtins.eval", "cellab.run.run_study", "torch.hub.load", "torch.load", "cellab_componentsx.A"],
)
def test_torch_is_its_networks_and_optimisers_and_a_package_ends_at_a_dot(target: str) -> None:
    assert len(list(untrusted({"a": [{"_target_": target}]}))) == 1


@pytest.mark.parametrize("target", ["torch.nn.L1Loss", "torch.optim.AdamW", "cellab_components.a.B"])
def test_components_and_what_they_are_made_of_are_trusted(target: str) -> None:
    assert list(untrusted({"a": [{"_target_": target}]})) == []


@pytest.mark.parametrize("command", ["plan", "ablate", "train"])
def test_the_option_that_trusts(colleague: Path, cellab, phantom: Path, tmp_path: Path, command: str) -> None:
    (tmp_path / "theirs.yaml").write_text(OF_A_COLLEAGUE)
    own = ["segmentation_loss._target_=colleague.Loss"] if command == "train" else [tmp_path / "theirs.yaml"]
    spoilt = "training.crop_size=33"  # so that it ends before any compute
    refused = cellab(command, *own, f"data.path={phantom}", "scale=smoke", spoilt)
    assert refused.returncode == 2
    assert "segmentation_loss: `_target_: colleague.Loss` is refused" in refused.stderr
    assert not colleague.exists()
    trusted = cellab(command, *own, f"data.path={phantom}", "scale=smoke", spoilt, "--trust")
    assert trusted.returncode == 2
    assert "refused" not in trusted.stderr
    assert "training.crop_size: 33 is not divisible" in trusted.stderr
    assert colleague.exists()


def test_what_hydra_itself_refuses_is_told_without_a_traceback(cellab, phantom: Path) -> None:
    run = cellab("train", f"data.path={phantom}", "segmentation_loss._target_=subprocess.run", "--trust")
    assert run.returncode == 2
    assert "error: segmentation_loss" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("key", ["segmentation_loss.surrogate", "segmentation_loss.prior"])
@pytest.mark.parametrize("value", ["nan", "inf", "[nan]"])
def test_a_number_that_is_none_is_told_by_its_key(cellab, phantom: Path, key: str, value: str) -> None:
    """Of a choice, and of a number."""
    run = cellab("train", f"data.path={phantom}", "scale=smoke", "segmentation_loss=pu", f"{key}={value}")
    assert run.returncode == 2
    assert "Traceback" not in run.stderr
    assert f"error: {key}: " in run.stderr
