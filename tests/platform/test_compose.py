"""Composition of trials: what overrides do, and what mistyped ones say."""

import pytest

from cellab.compose import SCALES, compose_trial
from cellab.errors import ConfigError
from cellab.overrides import parse, render

DATA = "data.path=x.h5"


def mistakes(*overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        compose_trial([DATA, *overrides])
    return caught.value.mistakes


@pytest.mark.parametrize("scale", ["smoke", "laptop", "paper"])
def test_every_scale_composes_and_drops_no_mechanism(scale):
    config = compose_trial([DATA, f"scale={scale}"])
    laptop = compose_trial([DATA])
    assert set(config) == set(laptop)
    for kind in ("acceptance", "entropy", "recombination", "voting", "gan_loss", "data_mix", "prominence_schedule"):
        assert config[kind] == laptop[kind]
    assert sorted(SCALES) == ["laptop", "paper", "smoke"]


def test_the_papers_sizes():
    config = compose_trial([DATA, "scale=paper"])
    assert config["training"]["crop_size"] == 256
    assert config["generator"]["size"] == 128
    assert config["unet"]["blocks"] == 4
    assert config["pseudo_labels"]["capacity"] == 1024
    assert (config["data"]["scale"], config["data"]["gan_scale"]) == (0.25, 0.125)


def test_of_several_overrides_for_a_key_the_last_counts():
    config = compose_trial([DATA, "scale=paper", "scale=smoke", "training.steps=7", "training.steps=9"])
    assert config["training"]["steps"] == 9
    assert config["unet"]["width"] == 4


def test_overrides_win_over_scales():
    assert compose_trial([DATA, "scale=smoke", "unet.width=6"])["unet"]["width"] == 6


def test_equal_compute_gives_the_steps_of_all_generations_to_one():
    config = compose_trial([DATA, "training.steps=50", "generations=4", "equal_compute=true"])
    assert config["generations"] == 1
    assert config["training"]["steps"] == 200
    assert config["training"]["learning_rate_schedule"]["total_steps"] == 200


def test_equal_compute_of_a_teacher_without_parents_is_in_the_generation_that_it_teaches():
    config = compose_trial([DATA, "training.steps=50", "generations=4", "equal_compute=true", "teacher=ema"])
    assert (config["generations"], config["training"]["steps"]) == (2, 200)


def test_a_chosen_regulariser_replaces_the_losss_own():
    config = compose_trial([DATA, "gan_loss=wgan", "gan_regulariser=r1", "gan_regulariser.gamma=3"])
    assert "gan_regulariser" not in config
    assert config["gan_loss"]["regulariser"]["_target_"].endswith("R1")
    assert config["gan_loss"]["regulariser"]["gamma"] == 3
    untouched = compose_trial([DATA, "gan_loss=wgan"])["gan_loss"]
    assert compose_trial([DATA, "gan_loss=wgan", "gan_regulariser=null"])["gan_loss"] == untouched
    assert "limit" in untouched["regulariser"]


def test_interpolations_follow_overrides():
    config = compose_trial([DATA, "training.steps=123", "training.optimiser.lr=0.5"])
    assert config["training"]["learning_rate_schedule"]["total_steps"] == 123
    assert config["training"]["learning_rate_schedule"]["max_lr"] == 0.5


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("gan_los=ns", ["gan_los", "did you mean 'gan_loss'"]),
        ("gan_loss=wgann", ["'wgann'", "did you mean 'wgan'", "ns_gp"]),
        ("training.step=5", ["training.step", "did you mean 'training.steps'"]),
        ("unet.widht=5", ["unet.widht", "did you mean 'unet.width'"]),
        ("+unet.widht=5", ["unet.widht", "PaperUNet takes no such argument", "did you mean 'width'"]),
        ("training.steps=many", ["training.steps", "many"]),
        ("training.steps=0", ["training.steps", "0 is not allowed", "at least 1"]),
        ("training.batch_size=1", ["training.batch_size", "at least 2"]),
        ("evaluation.overlap=1", ["evaluation.overlap", "[0, 1)"]),
        ("pseudo_labels.refresh_probability=2", ["pseudo_labels.refresh_probability", "[0, 1]"]),
        ("pseudo_labels.minimum=9999", ["pseudo_labels.minimum", "capacity"]),
        ("data.labels=true", ["data.labels", "given, truth"]),
        ("gan_regulariser=r2", ["'r2'", "did you mean 'r1'"]),
        ("executor=slurm", ["executor", "'slurm'", "ray, inline"]),
        ("resources.device=tpu", ["resources.device", "'tpu'", "auto, cpu, cuda"]),
        ("generations=0", ["generations", "at least 1"]),
        ("scale=huge", ["scale", "'huge'", "laptop"]),
        ("+foo=1", ["foo: there is no such key"]),
        ("++foo=1", ["foo: there is no such key"]),
        ("training=5", ["training holds several settings", "training.steps"]),
        ("training=null", ["training holds several settings"]),
        ("gan_loss.loss=3", ["gan_loss.loss holds several settings", "gan_loss.loss._target_"]),
        ("~unet", ["every lineage has a unet", "vanilla"]),
        ("~training", ["training cannot be removed"]),
        ("~data.path", ["data.path cannot be removed"]),
        ("~unet.width", ["unet.width", "needs it"]),
        ("+training.optimiser.foo=1", ["training.optimiser.foo", "Adam takes no such argument"]),
        ("+gan.crop_augmentation.foo=1", ["gan.crop_augmentation.foo", "Flips takes no such argument"]),
        ("no override", ["'no override' is not an override", "key=value"]),
        ("unet.width=1,2", ["unet.width=1,2: it sweeps", "list"]),
    ],
)
def test_bad_overrides(override, told):
    found = mistakes(override)
    assert len(found) == 1
    for part in told:
        assert part in found[0]


def test_all_mistakes_at_once():
    found = mistakes("training.steps=0", "members=0", "evaluation.batch_size=0", "+voting.loud=true")
    assert len(found) == 4
    found = mistakes("gan_loss=wgn", "training.stps=3", "generations=0", "gan_loss.limit=3")
    assert len(found) == 2, "what depends on a choice that is none cannot be told"
    assert "did you mean 'training.steps'" in found[1]
    assert len(mistakes("generations=0", "members=0", "executor=slurm")) == 3


def test_a_missing_data_path():
    with pytest.raises(ConfigError, match=r"data\.path is not set.*data\.path=cells\.h5"):
        compose_trial([])


@pytest.mark.parametrize(
    "value",
    [
        1,
        2.5,
        True,
        None,
        "wgan",
        "with space",
        "a=b",
        [1, 2],
        [],
        {"a": 1},
        "runs/a.h5",
        "x,y",
        "",
        "null",
        "1e3",
        "True",
    ],
)
def test_rendered_overrides_parse_to_the_same_value(value):
    (parsed,) = parse([render("key", value)])
    assert parsed.value == value
