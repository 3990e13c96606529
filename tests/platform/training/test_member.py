"""Members: stepped from outside, in turn, on shared frames, each learns as it would alone."""

import copy
from pathlib import Path

import pytest
import torch

from cellab import stages
from cellab.compose import compose_trial
from cellab.data.dataset import Dataset
from cellab.data.hidden import DataFile
from cellab.lineage import Lineage, build_lineage
from cellab.stage import CheckpointFile, Stage, Workplace
from cellab.store import Store
from cellab.training.determinism import deterministic
from cellab.training.frames import Frames
from cellab.training.member import Member

CPU = torch.device("cpu")
OVERRIDES = ["scale=smoke", "generations=2", "training.steps=4", "gan.steps=2", "evaluation.train_frames=1"]


class Nobody:
    """Does not watch."""

    def begin(self, stage): ...

    def progress(self, key, step, steps): ...

    def warn(self, stage, text): ...

    def end(self, stage, how): ...


def lineage(phantom: Path, *overrides: str) -> Lineage:
    with Dataset.open(phantom) as data:
        digest = data.digest
    return build_lineage(compose_trial([f"data.path={phantom}", *OVERRIDES, *overrides]), "", 0, digest, "cpu")


@pytest.fixture(scope="module")
def trained(phantom, tmp_path_factory):
    """A lineage whose stages are all in a store."""
    made, store = lineage(phantom, "acceptance=none"), Store(str(tmp_path_factory.mktemp("store")))
    outcomes = {}
    for stage in made.stages:
        outcomes[stage.key] = stages.obtain(stage, store, phantom, [outcomes[key] for key in stage.needs], Nobody())
    return made, store, outcomes


def start(stage: Stage, frames: Frames, store: Store, path: Path) -> Member:
    """As the stage begins."""
    inputs = {key: store.fetch(key) for key in stage.needs}
    nowhere = CheckpointFile(stage.key, lambda: None, lambda _content: None, lambda _why: None, seconds=1e9)
    member = Member(stage.request, frames, Workplace(DataFile(path), path, inputs, lambda step, steps: None, nowhere))
    member.prepare(lambda step, steps: None)
    return member


def weights(member: Member) -> torch.Tensor:
    return torch.cat([value.double().flatten() for value in member.network().state_dict().values()])


def test_members_in_turn_on_shared_frames_are_those_that_stages_trained(trained, phantom):
    made, store, outcomes = trained
    of_generation = [stage for stage in made.stages if stage.key in made.generations[1].members]
    request = of_generation[0].request
    frames = Frames.of_labelled(DataFile(phantom), request.data, request.labels, CPU, with_truth=True)
    pixels = frames.planes.pixels.clone()
    with deterministic(1):
        members = [start(stage, frames, store, phantom) for stage in of_generation]
        for _ in range(request.settings.steps):
            for member in members:
                member.learn()
    assert len(members) > 1
    for stage, member in zip(of_generation, members, strict=True):
        assert outcomes[stage.key].result == member.result()
        assert not torch.equal(weights(member), weights(members[0])) or member is members[0]
    assert torch.equal(frames.planes.pixels, pixels), "nobody changes them"


def test_a_member_goes_on_from_its_state(trained, phantom):
    made, store, _ = trained
    stage = next(stage for stage in made.stages if stage.key in made.generations[1].members)
    frames = Frames.of_labelled(DataFile(phantom), stage.request.data, stage.request.labels, CPU, with_truth=True)
    with deterministic(1):
        one, two = (start(stage, frames, store, phantom) for _ in range(2))
        one.learn()
        one.learn()
        two.load_state_dict(copy.deepcopy(one.state_dict()))
        one.learn()
        two.learn()
    assert one.step == two.step == 3
    assert torch.equal(weights(one), weights(two))


def test_labelled_crops_do_not_depend_on_what_the_gate_lets_pass(trained, phantom):
    """Arms that differ in how they label see the same labelled crops."""
    _, store, _ = trained
    drawn = []
    for acceptance in ("acceptance=none", "acceptance=quantile"):
        made = lineage(
            phantom, acceptance, "data_mix.labelled=[0.5]", "data_mix.pseudo=[0.5]", "data_mix.generated=[0]"
        )
        stage = next(stage for stage in made.stages if stage.key in made.generations[1].members)
        frames = Frames.of_labelled(DataFile(phantom), stage.request.data, stage.request.labels, CPU, with_truth=True)
        with deterministic(1):
            member = start(stage, frames, store, phantom)
            member.learn()
        drawn.append(torch.rand(1, generator=member.streams["labelled crops"]).item())
    assert drawn[0] == drawn[1]


def test_a_member_that_corrects_for_itself_learns_the_given_masks_first(trained, phantom):
    _, store, _ = trained
    arm = (
        "teacher=adele",
        "recombination=add_objects",
        "acceptance=none",
        "data_mix.pseudo=[1]",
        "data_mix.generated=[0]",
    )
    made = lineage(phantom, *arm)
    stage = next(stage for stage in made.stages if stage.key in made.generations[1].members)
    frames = Frames.of_labelled(DataFile(phantom), stage.request.data, stage.request.labels, CPU, with_truth=True)
    with deterministic(1):
        one, two = (start(stage, frames, store, phantom) for _ in range(2))
        one.learn()
        seen = one.teacher.state_dict()["early_learning"]
        assert seen["either"] > 0, "it is told how the member fits the masks"
        assert one.result().pseudo_labels["pseudo"].counters.tried == 0
        state = copy.deepcopy(one.state_dict())
        state["parts"]["teacher"]["early_learning"]["over"] = True
        two.load_state_dict(state)
        two.learn()
    assert two.result().pseudo_labels["pseudo"].counters.tried > 0


def test_what_a_loss_remembers_is_part_of_a_members_state(trained, phantom):
    _, store, _ = trained
    made = lineage(
        phantom, "segmentation_loss=pu", "segmentation_loss.prior=auto", "segmentation_loss.warm_up=3", "generations=1"
    )
    stage = made.stages[0]
    frames = Frames.of_labelled(DataFile(phantom), stage.request.data, stage.request.labels, CPU, with_truth=True)
    with deterministic(1):
        one, two = (start(stage, frames, store, phantom) for _ in range(2))
        one.learn()
        one.learn()
        two.load_state_dict(copy.deepcopy(one.state_dict()))
        for member in (one, two):
            member.learn()
            member.learn()
    assert one.criterion.prior == two.criterion.prior is not None
    assert torch.equal(weights(one), weights(two))


def test_a_lineage_in_bfloat16_runs_and_repeats(phantom, tmp_path):
    made = lineage(
        phantom, "method=calibrated", "precision=bfloat16", "data_mix.pseudo=[0.9]", "data_mix.generated=[0.1]"
    )
    results = []
    for turn in ("one", "two"):
        store, outcomes = Store(str(tmp_path / turn)), {}
        for stage in made.stages:
            outcomes[stage.key] = stages.obtain(stage, store, phantom, [outcomes[key] for key in stage.needs], Nobody())
        results.append([outcomes[stage.key].result for stage in made.stages])
    assert results[0] == results[1]
