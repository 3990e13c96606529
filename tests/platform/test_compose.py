"""Composition of trials: what overrides do, and what mistyped ones say."""

from dataclasses import asdict

import pytest

from cellab.compose import SCALES, Composer, compose_trial
from cellab.errors import ConfigError
from cellab.overrides import parse, render
from cellab.stage import canonical_json

DATA = "data.path=x.h5"


def mistakes(*overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        compose_trial([DATA, *overrides])
    return caught.value.mistakes


@pytest.mark.parametrize("scale", ["smoke", "laptop", "paper"])
def test_every_scale_composes_and_drops_no_mechanism(scale):
    config = compose_trial([DATA, f"scale={scale}"]).plain
    laptop = compose_trial([DATA]).plain
    assert set(config) == set(laptop)
    for kind in ("acceptance", "entropy", "recombination", "voting", "gan_loss", "data_mix", "prominence_schedule"):
        assert config[kind] == laptop[kind]
    assert sorted(SCALES) == ["laptop", "paper", "smoke"]


def test_the_papers_sizes():
    config = compose_trial([DATA, "scale=paper"]).plain
    assert config["training"]["crop_size"] == 256
    assert config["generator"]["size"] == 128
    assert config["unet"]["blocks"] == 4
    assert config["pseudo_labels"]["capacity"] == 1024
    assert (config["data"]["scale"], config["data"]["gan_scale"]) == (0.25, 0.125)


def test_of_several_overrides_for_a_key_the_last_counts():
    config = compose_trial([DATA, "scale=paper", "scale=smoke", "training.steps=7", "training.steps=9"]).plain
    assert config["training"]["steps"] == 9
    assert config["unet"]["width"] == 4


def test_overrides_win_over_scales():
    assert compose_trial([DATA, "scale=smoke", "unet.width=6"]).plain["unet"]["width"] == 6


def test_equal_compute_gives_the_steps_of_all_generations_to_one():
    config = compose_trial([DATA, "training.steps=50", "generations=4", "equal_compute=true"]).plain
    assert config["generations"] == 1
    assert config["training"]["steps"] == 200
    assert config["training"]["learning_rate_schedule"]["total_steps"] == 200


def test_what_is_composed_can_be_composed_again():
    once = compose_trial([DATA, "training.steps=50", "generations=4", "equal_compute=true"])
    lineage, training = asdict(once.lineage), {"training.steps": once.training.steps}
    again = compose_trial([DATA, *(render(key, value) for key, value in (lineage | training).items())])
    assert again == once


def test_equal_compute_of_a_teacher_without_parents_is_in_the_generation_that_it_teaches():
    config = compose_trial([DATA, "training.steps=50", "generations=4", "equal_compute=true", "teacher=ema"]).plain
    assert (config["generations"], config["training"]["steps"]) == (2, 200)


def test_a_chosen_regulariser_replaces_the_losss_own():
    config = compose_trial([DATA, "gan_loss=wgan", "gan_regulariser=r1", "gan_regulariser.gamma=3"]).plain
    assert "gan_regulariser" not in config
    assert config["gan_loss"]["regulariser"]["_target_"].endswith("R1")
    assert config["gan_loss"]["regulariser"]["gamma"] == 3
    untouched = compose_trial([DATA, "gan_loss=wgan"]).plain["gan_loss"]
    assert compose_trial([DATA, "gan_loss=wgan", "gan_regulariser=null"]).plain["gan_loss"] == untouched
    assert "limit" in untouched["regulariser"]


def test_interpolations_follow_overrides():
    config = compose_trial([DATA, "training.steps=123", "training.optimiser.lr=0.5"]).plain
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
        ("training.optimiser.betas=[0.5,0.9]", ["torch.optim.Adam takes it", "+training.optimiser.betas=[0.5,0.9]"]),
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


def test_numbers_and_booleans_in_quotation_marks_are_what_they_say():
    plain = ["training.steps=50", "members=2", "equal_compute=true", "training.optimiser.lr=0.01", "unet.width=4"]
    written = [
        'training.steps="50"',
        "members=2.0",
        "equal_compute=yes",
        "training.optimiser.lr='1e-2'",
        'unet.width="4"',
    ]
    assert canonical_json(compose_trial([DATA, *written]).plain) == canonical_json(compose_trial([DATA, *plain]).plain)
    config = compose_trial([DATA, *written]).plain
    assert config["training"]["steps"] == 150, "equal compute multiplies numbers"
    schedule = config["training"]["learning_rate_schedule"]
    assert (schedule["total_steps"], schedule["max_lr"]) == (150, 0.01)
    assert type(config["members"]) is int


@pytest.mark.parametrize("word", ["yes", "on", "1", "True", '"true"'])
def test_words_for_true(word):
    assert compose_trial([DATA, f"equal_compute={word}", "generations=2"]).plain["training"]["steps"] == 1000


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("training.optimiser.lr=fast", "training.optimiser.lr: 'fast' is not allowed; it must be a finite number."),
        ("training.optimiser.lr=nan", "training.optimiser.lr: nan is not allowed"),
        ("training.optimiser.lr=1e400", "training.optimiser.lr: inf is not allowed"),
        ("+training.optimiser.betas=[x,1]", "training.optimiser.betas: ['x', 1] is not allowed"),
        ("training.crop_size=0", "training.crop_size: 0 is not allowed"),
        ("unet.width=true", "unet.width: true is not allowed; it must be a whole number."),
        ("voting.threshold=.inf", "voting.threshold: '.inf' is not allowed; it must be a finite number."),
        ("equal_compute=maybe", "equal_compute: 'maybe' is not allowed; it must be true or false."),
        ("executor=inlin", "did you mean 'inline'?"),
        ("generations=1e9", "at most 1000"),
        ("seed=1.5", "seed: 1.5 is not allowed"),
        ("seed=-1", "seed: -1 is not allowed"),
        ("resources.stage_seconds=0", "a finite number in (0, 1e+09] or null"),
        ("resources.gpu_share=0", "a finite number in (0, 1]"),
        ("resources.threads=1e6", "at most 1024"),
        ("training.steps=${gan.stepz}", "training.steps"),
        ("data.path=a${b.h5", "begins a reference to another key"),
        ("~unet._target_", "unet: it needs a `_target_`"),
        ("~training.optimiser._target_", "a mapping with a `_target_`"),
        ("prominence_schedule.pseudo_labels=[é]", """'prominence_schedule.pseudo_labels=["é"]'"""),
    ],
)
def test_impossible_values_are_told_once_with_their_key(override, told):
    (found,) = mistakes(override)
    assert told in found


@pytest.mark.parametrize(
    "name",
    [
        "a=b.h5",
        "a,b.h5",
        "c (1).h5",
        "a#b.h5",
        "Zélle.h5",
        "日本.h5",
        "C:\\x.h5",
        "it's.h5",
        'a"b.h5',
        "[1].h5",
        "{a}.h5",
        "~/x.h5",
        "a:b.h5",
        "$x.h5",
        "a b;c&d!.h5",
        "1.10",
        "true",
        "range(0,5)",
        "-1",
    ],
)
def test_a_data_set_may_be_called_anything(name):
    assert compose_trial([f"data.path={name}"]).plain["data"]["path"] == name


def test_paths_may_refer_to_the_environment(monkeypatch):
    monkeypatch.setenv("CELLS", "/mnt/é")
    assert compose_trial(["data.path=${oc.env:CELLS}/c (1).h5"]).plain["data"]["path"] == "/mnt/é/c (1).h5"


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


@pytest.mark.parametrize(
    "values", [["training.steps=7"], ["+gan_loss.optimiser.alpha=0.9", "~gan_loss.optimiser._convert_"], []]
)
def test_trials_that_choose_alike_are_composed_as_each_by_itself(values):
    """What one of them sets is not set in the next."""
    composer = Composer()
    for overrides in (values, ["members=2"], values):
        chosen = ["data.path=x.h5", "gan_loss=wgan", *overrides]
        assert compose_trial(chosen, composer) == compose_trial(chosen)
