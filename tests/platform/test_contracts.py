"""Contracts: every kind has one, every component that we ship keeps it, and what another lacks is told in words."""

import ast
import inspect
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import cellab
from cellab import components, contracts
from cellab.compose import compose_trial
from cellab.conformity import is_network, lacks, members
from cellab.contracts import CONTRACTS
from cellab.documentation import Documentation
from cellab.errors import ConfigError
from cellab.rehearsal import build_all

SHIPPED = sorted((kind, name) for (kind, name), found in components.catalogue().items() if found.origin == "cellab")


def test_there_is_a_contract_for_each_kind_and_no_other():
    assert list(CONTRACTS) == components.kinds()
    classes = {n.name for n in ast.parse(inspect.getsource(contracts)).body if isinstance(n, ast.ClassDef)}
    assert classes - {"Network"} == {contract.__name__ for contract in CONTRACTS.values()}


@pytest.mark.parametrize(("kind", "name"), SHIPPED)
def test_what_we_ship_keeps_its_contract_and_calls_arguments_by_its_names(kind, name):
    with torch.device("meta"):
        built = components.build(kind, name)
    contract = CONTRACTS[kind]
    assert list(lacks(built, contract)) == []
    for member in members(contract):
        if not member.is_attribute and member.is_had_by(built):
            found = list(inspect.signature(member.of(built)).parameters)
            wanted = [each.name for each in member.parameters]
            assert found[: len(wanted)] == wanted, member.name


@pytest.mark.parametrize("kind", sorted(CONTRACTS))
def test_a_contract_says_what_each_member_is_given_and_gives(kind):
    contract = CONTRACTS[kind]
    assert Documentation.of(contract).summary.endswith(".")
    for member in members(contract):
        assert member.documentation.endswith("."), member.name
        signature = inspect.signature(member.function)
        assert signature.return_annotation is not signature.empty
        assert all(each.annotation is not each.empty for each in member.parameters), member.name
        if "Tensor" in str(signature) and not is_network(contract):
            assert "(" in member.documentation or "scalar" in member.documentation, f"{member.name} tells no shape"


@pytest.mark.parametrize("path", sorted(Path(cellab.__file__).parent.rglob("*.py")), ids=lambda path: path.name)
def test_the_engine_builds_no_component_without_its_contract(path):
    """What is built of torch's own, optimisers and schedules, has none."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("instantiate", "components.instantiate"):
            named = ast.unparse(node.args[1])
            assert len(node.args) == 3 or "training." in named or (path.name, named) == ("rehearsal.py", "where"), named


class Mute:
    """Has nothing."""


class Hasty:
    """A vote whose `target` takes other arguments."""

    def votes(self, members, images, weight=1.0): ...

    def target(self): ...


class Alone:
    """A teacher that nobody can begin with."""

    lone_generation, pairs_age = 1, True

    def parents(self, members): ...

    def shares(self, shares, progress): ...

    labellers = kept = state_dict = update = load_state_dict = print


class Scheduled:
    """Offers the method by its name, but for an argument that is called by name."""

    critic_steps = regularisation_interval = 1

    def regularisation(self, discriminator, real, fake, rng): ...

    discriminator_loss = generator_loss = constrain = discriminator_optimiser = generator_optimiser = print


class Net(nn.Module):
    """Needs neither a `stride` nor `in_channels`."""

    def forward(self, image): ...


def measure(probability):
    """A function is as good as a class with `__call__`."""


@pytest.mark.parametrize(
    ("kind", "component", "told"),
    [
        ("voting", Mute(), ["has no method votes(members, images)", "has no method target(votes)"]),
        ("voting", Hasty(), ["has target(), which cannot be called as target(votes)"]),
        ("entropy", Mute(), ["has no method __call__(probability)"]),
        ("entropy", measure, []),
        ("teacher", Alone(), ["has no method start(member, parents)"]),
        ("discriminator_ensemble", torch.amax, ["has no attribute size"]),
        ("unet", Net(), []),
        ("unet", measure, ["is no torch.nn.Module", "has no method forward(image)"]),
        (
            "segmentation_loss",
            nn.BCEWithLogitsLoss(),
            ["has __call__(input, target), which cannot be called as __call__(logits, target, weight)"],
        ),
        ("segmentation_loss", nn.GaussianNLLLoss(), []),
        (
            "gan_loss",
            Scheduled(),
            [
                "has regularisation(discriminator, real, fake, rng), "
                "which cannot be called as regularisation(discriminator, real, fake, generator=)"
            ],
        ),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__) if not isinstance(value, str) else value,
)
def test_what_a_component_lacks(kind, component, told):
    assert list(lacks(component, CONTRACTS[kind])) == told


def test_a_trials_components_are_held_to_their_contracts_before_any_compute(tmp_path, monkeypatch):
    (tmp_path / "careless_lab.py").write_text("class Mute:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    config = compose_trial(["data.path=x.h5", "scale=smoke"])
    mute = {"_target_": "careless_lab.Mute"}
    parts, evaluation = config.components | {"entropy": mute}, replace(config.evaluation, voting=mute)
    built, mistakes = build_all(replace(config, components=parts, evaluation=evaluation))
    told = "careless_lab.Mute has no method"
    assert mistakes == [
        f"entropy: {told} __call__(probability); cellab.contracts.Entropy asks for it.",
        f"evaluation.voting: {told} votes(members, images); cellab.contracts.Voting asks for it.",
        f"evaluation.voting: {told} target(votes); cellab.contracts.Voting asks for it.",
    ]
    assert not {"entropy", "evaluation.voting"} & set(built)
    with pytest.raises(ConfigError, match=r"^entropy: careless_lab\.Mute has no method"):
        components.instantiate(mute, "entropy", contracts.Entropy)


def test_what_a_teacher_says_of_itself_may_be_known_only_once_it_is_built(tmp_path, monkeypatch):
    """As of a class that `components new` wrote."""
    source = (
        "from cellab_components.teacher.ema import ExponentialMovingAverage\n\n\n"
        "class Own(ExponentialMovingAverage):\n"
        "    lone_generation = property(lambda self: 1)\n"
    )
    (tmp_path / "own_teacher.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    own = ("teacher=ema", "teacher._target_=own_teacher.Own")
    assert compose_trial(["data.path=x.h5", "equal_compute=true", *own], trust=True).lineage.generations == 2
