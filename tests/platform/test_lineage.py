"""Lineages: what each stage asks for, and so what trials share."""

import itertools
import json
from typing import get_args

import pytest

from cellab import components
from cellab.compose import compose_trial
from cellab.lineage import Rules, build_lineage
from cellab.requests import Request
from cellab.seeding import derive_seed
from cellab.stage import canonical_json
from cellab.stage_kinds import STAGE_KINDS

BASE = ["data.path=x.h5", "scale=smoke", "generations=3"]


def lineage(*overrides: str, arm: str = "arm", seed: int = 0, digest: str = "d"):
    return build_lineage(compose_trial([*BASE, *overrides]), arm, seed, digest, "cpu")


def keys(built, kind: str) -> set[str]:
    return {stage.key for stage in built.stages if stage.kind == kind}


def generation(built, number: int) -> set[str]:
    return set(built.generations[number].members)


def test_every_stage_follows_those_that_it_reads():
    done = set()
    for stage in lineage().stages:
        assert set(stage.needs) <= done
        done.add(stage.key)


def test_the_graph():
    built = lineage()
    by_key = {stage.key: stage for stage in built.stages}
    assert [len(g.members) for g in built.generations] == [2, 2, 2]
    for member in built.generations[0].members:
        assert by_key[member].needs == ()
    for number in (1, 2):
        for member in built.generations[number].members:
            assert by_key[member].needs == (*built.generations[number - 1].members, built.gan)
    for g in built.generations:
        assert by_key[g.evaluation].needs == g.members
    assert len(built.stages) == 1 + 3 * (2 + 1)
    assert len(by_key) == len(built.stages), "members differ by their seeds"


def test_gan_losses_share_generation_0_and_nothing_else():
    one, two = lineage("gan_loss=wgan"), lineage("gan_loss=ns")
    assert generation(one, 0) == generation(two, 0)
    assert one.generations[0].evaluation == two.generations[0].evaluation
    assert one.gan != two.gan
    assert not generation(one, 1) & generation(two, 1)


def test_unet_widths_share_the_gan_and_nothing_else():
    one, two = lineage("unet.width=4"), lineage("unet.width=6")
    assert one.gan == two.gan
    assert not keys(one, "train_member") & keys(two, "train_member")
    assert not keys(one, "evaluate") & keys(two, "evaluate")


def test_gates_share_the_gan_and_generation_0():
    one, two = lineage(), lineage("acceptance=none")
    assert one.gan == two.gan
    assert generation(one, 0) == generation(two, 0)
    assert not generation(one, 1) & generation(two, 1)


def test_a_schedule_that_differs_late_is_shared_until_then():
    one = lineage("prominence_schedule.pseudo_labels=[0.05,0.02]")
    two = lineage("prominence_schedule.pseudo_labels=[0.05,0.01]")
    assert generation(one, 1) == generation(two, 1)
    assert not generation(one, 2) & generation(two, 2)


def test_more_generations_reuse_the_first():
    assert {s.key for s in lineage("generations=2").stages} < {s.key for s in lineage("generations=4").stages}


def test_without_generated_crops_there_is_no_gan():
    built = lineage("data_mix.pseudo=[1.0]", "data_mix.generated=[0.0]")
    assert built.gan is None
    assert keys(built, "train_gan") == set()
    one = lineage("data_mix.pseudo=[1.0]", "data_mix.generated=[0.0]", "gan_loss=wgan")
    assert [stage.key for stage in one.stages] == [stage.key for stage in built.stages]


def test_one_generation_needs_neither_parents_nor_a_gan():
    built = lineage("generations=1")
    assert [stage.kind for stage in built.stages] == ["train_member", "train_member", "evaluate"]


def test_a_mean_teacher_inherits_nothing():
    built = lineage("teacher=ema")
    by_key = {stage.key: stage for stage in built.stages}
    assert generation(built, 0) == generation(lineage(), 0)
    for number in (1, 2):
        for member in built.generations[number].members:
            assert by_key[member].needs == (built.gan,)
            assert by_key[member].request.pseudo_labelling.parents == ()


def test_calibrated_parents_are_cut_where_they_label_and_where_they_are_scored():
    built = lineage("calibration=label_frequency")
    by_key = {stage.key: stage for stage in built.stages}
    for number, generation_ in enumerate(built.generations):
        assert by_key[generation_.evaluation].request.calibrated == generation_.calibration
        assert by_key[generation_.calibration].request.members == generation_.members
        if number:
            labelling = by_key[generation_.members[0]].request.pseudo_labelling
            assert labelling.calibrated == built.generations[number - 1].calibration
    assert generation(lineage(), 0) == generation(built, 0), "nobody learns otherwise in generation 0"
    assert lineage().generations[0].calibration is None


def test_what_is_labelled_once_is_read_by_all_members_who_need_no_parents():
    built = lineage("labelling=frames", "labelling.parts=3", "calibration=pu_score")
    by_key = {stage.key: stage for stage in built.stages}
    for parents, generation_ in itertools.pairwise(built.generations):
        for member in generation_.members:
            labelling = by_key[member].request.pseudo_labelling
            assert labelling.parents == ()
            assert labelling.generated is None, "the images are those of the pool"
            parts = [by_key[key].request for key in labelling.labels.frames]
            assert [(part.part, part.parts, part.members) for part in parts] == [
                (n, 3, parents.members) for n in range(3)
            ]
            assert by_key[labelling.labels.generated].needs == (*parents.members, built.gan, parents.calibration)
            assert set(by_key[member].needs) == {*labelling.labels.keys, parents.calibration}
    assert (
        keys(lineage("labelling=frames", "data_mix.pseudo=[1.0]", "data_mix.generated=[0.0]"), "label_generated")
        == set()
    )


ARGUMENTS = {"data_mix": ["data_mix.pseudo=[0.6]", "data_mix.generated=[0.4]"]}  # of kinds with a single component


@pytest.mark.parametrize("kind", components.kinds())
def test_every_kind_of_component_reaches_a_request(kind):
    """What can be composed changes what some stage is asked: else arms that differ in it would share everything."""
    names = components.names(kind)
    arms = [[f"{kind}={name}"] for name in names[:3]] if len(names) > 1 else [[], ARGUMENTS[kind]]
    asked = [frozenset(stage.key for stage in lineage(*arm).stages) for arm in arms]
    assert len(set(asked)) == len(arms)


def test_every_stage_that_is_planned_is_of_a_kind_in_the_table():
    assert {stage.kind for stage in lineage("labelling=frames", "calibration=pu_score").stages} == {
        kind.name for kind in STAGE_KINDS
    }
    assert {kind.request for kind in STAGE_KINDS} == set(get_args(Request)), "every request has a row"


def test_a_request_as_json_says_all_that_it_holds():
    stage = lineage().stages[-2]
    said = json.loads(canonical_json(stage.identity))
    assert said["stage"] == "train_member"
    assert said["pseudo_labelling"]["parents"] == list(stage.request.pseudo_labelling.parents)
    assert said["settings"]["optimiser"]["_target_"] == "torch.optim.Adam"
    assert said["code"] == stage.code


def test_trials_of_one_arm_are_laid_out_as_each_by_itself():
    config = compose_trial(["data.path=x.h5", "method=calibrated"])
    rules = Rules.of(config)
    for seed in (0, 1):
        shared = build_lineage(config, "arm", seed, "digest", "cpu", rules)
        assert shared == build_lineage(config, "arm", seed, "digest", "cpu")


def test_an_oracle_shares_the_gan_and_nothing_else():
    given, oracle = lineage(), lineage("data.labels=truth")
    assert given.gan == oracle.gan
    assert not generation(given, 0) & generation(oracle, 0)


@pytest.mark.parametrize("change", [{"seed": 1}, {"digest": "e"}])
def test_seed_and_data_change_every_stage(change):
    assert not {s.key for s in lineage().stages} & {s.key for s in lineage(**change).stages}


@pytest.mark.parametrize(
    "override", ["resources.gpu_share=0.5", "resources.stage_seconds=60", "executor=inline", "seed=9", "data.path=y.h5"]
)
def test_what_changes_no_result_changes_no_key(override):
    assert [s.key for s in lineage().stages] == [s.key for s in lineage(override).stages]


def test_without_sharing_trials_ask_the_same_and_have_no_stage_in_common():
    one, two, shared = lineage("sharing=off", arm="a"), lineage("sharing=off", arm="b"), lineage(arm="a")
    assert not {s.key for s in one.stages} & {s.key for s in two.stages}
    assert [s.key for s in lineage("sharing=off", arm="a").stages] == [s.key for s in one.stages]
    assert [s.request.seed for s in one.stages if s.kind == "train_member"] == [
        s.request.seed for s in shared.stages if s.kind == "train_member"
    ]


def test_the_arm_is_a_label_only():
    one, two = lineage(arm="a"), lineage(arm="b")
    assert [s.key for s in one.stages] == [s.key for s in two.stages]
    assert one.stages[0].label == "a seed=0 gen 0 member 0"


def test_threads_are_part_of_a_stage():
    assert not {s.key for s in lineage().stages} & {s.key for s in lineage("resources.threads=2").stages}


def test_the_precision_is_part_of_all_stages_but_the_gan():
    one, two = lineage(), lineage("precision=bfloat16")
    assert one.gan == two.gan
    assert {s.key for s in one.stages} & {s.key for s in two.stages} == {one.gan}


def test_seeds_are_independent():
    seeds = {derive_seed(s, "train_member", g, m) for s in range(5) for g in range(5) for m in range(5)}
    assert len(seeds) == 125
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert derive_seed(0, "a", 12) != derive_seed(0, "a1", 2)


def test_arms_that_compute_the_same_are_told(study):
    alone = ["data_mix.pseudo=[1.0]", "data_mix.generated=[0.0]"]
    assert study("gan_loss", ["wgan", "ns"]).notices == ()
    assert study("gan_loss", ["wgan", "ns"], *alone).notices == (
        "arms gan_loss=wgan, gan_loss=ns compute the same: nothing that they differ in has a part in their lineages.",
    )


@pytest.mark.parametrize(("capable", "told"), [(True, 0), (False, 1)])
def test_a_processor_that_is_slow_at_bfloat16_is_told(study, monkeypatch, capable, told):
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"avx512_bf16": capable, "amx_bf16": False})
    assert len(study("gan_loss", ["wgan", "ns"], "precision=bfloat16", "resources.device=cpu").notices) == told
    assert study("gan_loss", ["wgan", "ns"], "resources.device=cpu").notices == ()
