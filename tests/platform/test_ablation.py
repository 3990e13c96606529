"""Ablation files: designs, overrides of their own keys, and what is wrong with bad ones."""

from pathlib import Path

import pytest

from cellab.ablation import load
from cellab.ablation_files import find
from cellab.errors import ConfigError

GOOD = """# Does it matter?
# Really?
design: one_factor
baseline: {unet.width: 8, gan_loss: ns_gp}
factors: {unet.width: [4, 8], gan_loss: [wgan, ns_gp]}
seeds: [0, 1]
rank_by: dice
overrides: [scale=smoke]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "good.yaml").write_text(GOOD)
    return tmp_path


def mistakes(folder: Path, text: str, *overrides: str) -> list[str]:
    (folder / "bad.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load("bad", list(overrides), folder)
    return caught.value.mistakes


def test_one_factor_at_a_time(folder):
    ablation = load("good", [], folder)
    assert ablation.question == "Does it matter? Really?"
    arms = ablation.arms()
    assert [arm.name for arm in arms] == ["unet.width=8,gan_loss=ns_gp", "unet.width=4", "gan_loss=wgan"]
    assert [arm.is_baseline for arm in arms] == [True, False, False]
    assert arms[1].overrides == ("unet.width=4", "gan_loss=ns_gp")


def test_factorial(folder):
    arms = load("good", ["design=factorial"], folder).arms()
    assert len(arms) == 4
    assert len({arm.name for arm in arms}) == 4
    assert [arm.name for arm in arms if arm.is_baseline] == ["unet.width=8,gan_loss=ns_gp"]


def test_one_factor_keeps_the_order_of_its_values_and_adds_a_baseline_that_they_lack(folder):
    overrides = ["baseline={unet.width:8}", "factors={unet.width:[16,8]}"]
    assert [arm.name for arm in load("good", overrides, folder).arms()] == ["unet.width=16", "unet.width=8"]
    overrides = ["baseline={unet.width:8}", "factors={unet.width:[16]}"]
    assert [arm.name for arm in load("good", overrides, folder).arms()] == ["unet.width=8", "unet.width=16"]


def test_own_keys_and_trial_keys_are_told_apart(folder):
    ablation = load("good", ["seeds=[5]", "training.steps=3", "factors.unet.width=[2,8]"], folder)
    assert ablation.seeds == [5]
    assert ablation.overrides == ["scale=smoke", "training.steps=3"]
    assert ablation.content["factors"]["unet.width"] == [2, 8]


def test_a_factor_cannot_be_overridden(folder):
    with pytest.raises(ConfigError, match=r"gan_loss is a factor of good.*factors\.gan_loss="):
        load("good", ["gan_loss=ns"], folder)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("design: one_factor", "design: one_facto", "did you mean 'one_factor'"),
        ("rank_by: dice", "rank_by: dise", "did you mean 'dice'"),
        ("seeds: [0, 1]", "seed: [0, 1]", "did you mean 'seeds'"),
        ("seeds: [0, 1]", "seeds: [0, 0]", "names a seed twice"),
        ("seeds: [0, 1]", "seeds: 0", "seeds: 0 is no number of seeds"),
        ("seeds: [0, 1]", "seeds: []", "seeds: [] is not a list of at least one seed"),
        ("unet.width: [4, 8]", "unet.width: 4", "not a list of values"),
        ("unet.width: [4, 8]", "unet.width: [4, 4]", "names a value twice"),
        ("baseline: {unet.width: 8, ", "baseline: {", "baseline.unet.width: it is a factor"),
        ("factors: {unet.width: [4, 8], ", "factors: {", "baseline.unet.width: it is not a factor"),
        ("overrides: [scale=smoke]", "overrides: 3", "not a list of Hydra overrides"),
        ("design: one_factor", "design: [", "not readable YAML"),
    ],
)
def test_bad_files(folder, old, new, told):
    assert old in GOOD
    found = mistakes(folder, GOOD.replace(old, new))
    assert any(told in mistake for mistake in found), found
    assert all("bad.yaml" in mistake for mistake in found)


def test_an_unknown_key_of_a_factor(folder):
    with pytest.raises(ConfigError, match=r"there is no factors\.unet\.widht: did you mean 'unet\.width'"):
        load("good", ["factors.unet.widht=[1]"], folder)


@pytest.mark.parametrize(
    ("seeds", "meant"),
    [
        ("5", [0, 1, 2, 3, 4]),
        ('"2"', [0, 1]),
        ("range(0,3)", [0, 1, 2]),
        ("4,7", [4, 7]),
        ('[0,"3"]', [0, 3]),
        ("[20240101]", [20240101]),
    ],
)
def test_seeds_are_named_or_counted(folder, seeds, meant):
    assert load("good", [f"seeds={seeds}"], folder).seeds == meant
    (folder / "filed.yaml").write_text(GOOD.replace("seeds: [0, 1]", f"seeds: {seeds}"))
    assert load("filed", [], folder).seeds == meant


@pytest.mark.parametrize(
    ("seeds", "told"),
    [
        ("0", "0 is no number of seeds"),
        ("-1", "-1 is no number of seeds"),
        ("1.5", "neither a list of seeds nor a number of them"),
        ("0-4", "seeds=3, or seeds=range(0,3)"),
        ("null", "null is neither"),
        ("[0,-1]", "-1 is not allowed"),
        ('[1,"1"]', "names a seed twice"),
        ("20240101", "seeds=[20240101] is the one seed of that number"),
    ],
)
def test_what_names_no_seeds(folder, seeds, told):
    with pytest.raises(ConfigError, match="seeds: ") as caught:
        load("good", [f"seeds={seeds}"], folder)
    assert told in str(caught.value)


def test_values_are_what_their_keys_want(folder):
    text = GOOD.replace("unet.width: 8", 'unet.width: "8", members: "2", equal_compute: off')
    text = text.replace("unet.width: [4, 8]", 'unet.width: ["4", 8.0], members: ["2", 1], equal_compute: [on, no]')
    arms = arms_of(folder, text)
    assert list(arms) == [
        "unet.width=8,members=2,equal_compute=false,gan_loss=ns_gp",
        "unet.width=4",
        "members=1",
        "equal_compute=true",
        "gan_loss=wgan",
    ]
    free = LEAVE_ONE_OUT.replace("members: 1", 'members: "1"')
    assert "members=1" in arms_of(folder, free)["without ensemble"]


@pytest.mark.parametrize("values", ['["4", 4]', "[4, 4.0]", '["4.0", "4"]'])
def test_the_same_value_twice_in_other_words(folder, values):
    found = mistakes(folder, GOOD.replace("[4, 8]", values))
    assert any("factors.unet.width: [4" in mistake and "names a value twice" in mistake for mistake in found), found


def test_an_ablation_is_found_by_its_path(folder, monkeypatch):
    (folder / "sub").mkdir()
    (folder / "sub" / "other.yml").write_text(GOOD)
    monkeypatch.chdir(folder.parent)
    for name in (
        "good",
        "good.yaml",
        "sub/other.yml",
        "sub/other",
        f"{folder}/good.yaml",
        f"./{folder.name}/good.yaml",
    ):
        assert find(name, folder).read_text() == GOOD
        assert load(name, [], folder).name in ("good", "other")
    assert find(f"{folder.name}/sub/other.yml", None).is_file()
    assert find("ablations/gan_loss.yaml", None).is_file(), "the one that comes with cellab"
    with pytest.raises(ConfigError, match=r"there is no file .*godd\.yaml.*did you mean 'good'"):
        find(f"{folder.name}/godd.yaml", None)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "it lacks design"),
        (b"- design\n", "an ablation is a mapping"),
        (b"# caf\xe9\n" + GOOD.encode(), "is not UTF-8 text"),
        (GOOD.replace("baseline:", "baseline:\n\t").encode(), "not readable YAML"),
        (GOOD.replace("rank_by: dice", "rank_by: Dice").encode(), "did you mean 'dice'"),
        (GOOD.replace("[4, 8]", "[4, 8]\n  3: [1]").encode(), "not readable YAML"),
        (GOOD.replace("gan_loss: [wgan, ns_gp]", "2: [1]").encode(), "baseline.2: it is a factor"),
    ],
)
def test_files_that_are_no_ablation(folder, content, told):
    (folder / "odd.yaml").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load("odd", [], folder)
    assert told in str(caught.value)


def test_files_of_other_editors(folder):
    (folder / "windows.yaml").write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    ablation = load("windows", [], folder)
    assert ablation.question == "Does it matter? Really?"
    assert ablation.seeds == [0, 1]


def test_a_list_that_hydra_cannot_read(folder):
    with pytest.raises(ConfigError) as caught:
        load("good", ["overrides=[data.path=a=b.h5]"], folder)
    assert """'overrides=["data.path=a=b.h5"]'""" in str(caught.value)


def test_unknown_ablations_and_folders(folder, tmp_path):
    with pytest.raises(ConfigError, match=r"there is no ablation 'god' .* did you mean 'good'"):
        find("god", folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"there are no ablations in .*empty.*--ablations DIR"):
        find("good", tmp_path / "empty")


def test_ours_are_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find("gan_loss", None).is_file()


LEAVE_ONE_OUT = """# What earns its keep?
design: leave_one_out
baseline: {unet.width: 8}
without:
  gate: {acceptance: none}
  ensemble: {members: 1, voting.threshold: 0.4}
seeds: [0]
rank_by: dice
overrides: []
"""
PAIRS = """# Which of two?
design: pairs
pairs:
  gate: {with: {acceptance: running_mean}, without: {acceptance: none}}
  width: {narrow: {unet.width: 4}, wide: {unet.width: 8, training.optimiser.lr: 1e-3}}
seeds: [0]
rank_by: dice
overrides: []
"""
ARMS = """# Is it worth it?
design: arms
arms:
  whole lineage: []
  generation 0: [generations=1]
  large: [generations=1, members=5, "unet.width=16"]
seeds: [0]
rank_by: dice
overrides: []
"""


def arms_of(folder: Path, text: str, *overrides: str) -> dict[str, tuple[str, ...]]:
    (folder / "this.yaml").write_text(text)
    arms = load("this", list(overrides), folder).arms()
    assert [arm.is_baseline for arm in arms] == [True] + [False] * (len(arms) - 1)
    return {arm.name: arm.overrides for arm in arms}


def test_leave_one_out(folder):
    assert arms_of(folder, LEAVE_ONE_OUT) == {
        "baseline": ("unet.width=8",),
        "without gate": ("unet.width=8", "acceptance=none"),
        "without ensemble": ("unet.width=8", "members=1", "voting.threshold=0.4"),
    }
    changed = arms_of(folder, LEAVE_ONE_OUT, "baseline.unet.width=4", "without.gate={acceptance:fixed}", "members=2")
    assert changed["without gate"] == ("unet.width=4", "acceptance=fixed")


def test_pairs(folder):
    assert arms_of(folder, PAIRS) == {
        "gate: with": ("acceptance=running_mean",),
        "gate: without": ("acceptance=none",),
        "width: narrow": ("unet.width=4",),
        "width: wide": ("unet.width=8", "training.optimiser.lr=0.001"),
    }


def test_free_arms(folder):
    assert arms_of(folder, ARMS, 'arms.large=["members=9"]') == {
        "whole lineage": (),
        "generation 0": ("generations=1",),
        "large": ("members=9",),
    }


@pytest.mark.parametrize(
    ("text", "old", "new", "told"),
    [
        (LEAVE_ONE_OUT, "{acceptance: none}", "[]", "without.gate: [] is not a mapping"),
        (LEAVE_ONE_OUT, "baseline: {unet.width: 8}", "baseline: 3", "baseline: 3 must map"),
        (LEAVE_ONE_OUT, "without:", "factors:", "an ablation of design leave_one_out has no such key"),
        (
            PAIRS,
            "with: {acceptance: running_mean}, ",
            "",
            "pairs.gate: {'without': {'acceptance': 'none'}} must map two",
        ),
        (
            PAIRS,
            "with: {acceptance: running_mean}",
            "with: {acceptance: none}",
            "pairs.gate: both settings are the same",
        ),
        (PAIRS, "narrow: {unet.width: 4}", "narrow: 4", "pairs.width.narrow: 4 is not a mapping"),
        (ARMS, "[generations=1]", "generations=1", "arms.generation 0: 'generations=1' is not a list"),
        (ARMS, "[generations=1]", "[]", "arms.generation 0: it does the same as arms.whole lineage"),
        (ARMS, "[generations=1]", "['generations']", "arms.generation 0: 'generations' is not an override"),
    ],
)
def test_bad_files_of_other_designs(folder, text, old, new, told):
    assert old in text
    found = mistakes(folder, text.replace(old, new, 1))
    assert any(told in mistake for mistake in found), found


def test_what_the_baseline_sets_cannot_be_overridden(folder):
    (folder / "this.yaml").write_text(LEAVE_ONE_OUT)
    with pytest.raises(ConfigError, match=r"unet\.width.*its arms set it: change it with 'baseline\.unet\.width="):
        load("this", ["unet.width=2"], folder)
