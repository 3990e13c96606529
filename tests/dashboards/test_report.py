"""The report as a page: everything that it promises is there, and nothing comes from elsewhere."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import h5py
import polars as pl
import pytest

from cellab.errors import CellabError
from cellab_dashboards.report import write_report

VOID = {"meta", "img", "br", "link", "input", "hr", "wbr"}
SECTIONS = {"summary", "ranking", "generations", "pseudo-labels", "generated", "outputs", "settings"}
EVERY_FILE = (
    "study.yaml",
    "plan.json",
    "arms.json",
    "provenance.json",
    "results.parquet",
    "pseudo_labels.parquet",
    "calibrations.parquet",
)
EVERY_FILE += ("images.h5",)
TINY: dict[str, Any] = {"arms": ("baseline",), "seeds": (0,), "generations": 1, "frame_size": (20, 30)}
PNG = "data:image/png;base64,"


class Page(HTMLParser):
    """Collects text, ids, loaded addresses and embedded data; sees that tags are closed in order."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[tuple[str, str]] = []
        self.ids: list[str] = []
        self.loads: list[str] = []
        self.data: dict[str, Any] = {}
        self.styles = ""
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.ids += [found["id"]] if "id" in found else []
        self.loads += [found[name] for name in ("src", "href", "srcset", "data", "poster", "action") if name in found]
        self.styles += found.get("style", "")
        if tag not in VOID:
            self.open.append((tag, found.get("id", "")))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        tag, name = self.open[-1] if self.open else ("", "")
        if tag == "script" and name:
            self.data[name.removesuffix("-data")] = json.loads(data, parse_constant=pytest.fail)
        elif tag == "style":
            self.styles += data
        elif tag != "script":
            self.text += data + " "

    @property
    def words(self) -> str:
        return " ".join(self.text.split())


def test_every_section_is_there(fabricate):
    page = Page(write_report(fabricate()))
    assert set(page.ids) >= SECTIONS | {"curves", "thresholds", "overlays", "numbers", "counters"}
    assert len(page.ids) == len(set(page.ids))
    assert "made_up Which loss <wins> & why?" in page.words
    assert "trials 6 completed, 0 diverged, 0 failed last generation 2 data set cells.h5" in page.words
    for part in ("baseline", "2/2^3 = 0.25", "no significance is claimed", "train_gan 12 7 0", "c0ffee", "members: 3"):
        assert part in page.words


def test_calibrations_are_told_where_there_are_any(fabricate):
    page = Page(write_report(fabricate(calibrated=True)))
    assert {"calibration", "calibrations", "scores"} <= set(page.ids)
    assert "0.400 ± 0.000 0.200 ± 0.000 0.010 ± 0.000" in page.words, "frequency, cut, and between members"


def test_without_truth_another_order_by_the_score_of_given_masks_is_told(fabricate, tmp_path):
    def told(**scores: float) -> str:
        folder = fabricate(tmp_path / "-".join(map(str, scores.values())), truth=False)
        path = folder / "arms.json"
        ranking = json.loads(path.read_text())
        for arm in ranking["arms"]:
            mean = scores[arm["arm"].partition("=")[2]]
            arm["validation"]["pu_score"] = {"mean": mean, "sd": 0.1, "n": 3}
        path.write_text(json.dumps(ranking))
        return Page(write_report(folder)).words

    first, second = (
        arm["arm"].partition("=")[2] for arm in json.loads((fabricate() / "arms.json").read_text())["arms"]
    )
    assert "orders the arms otherwise" not in told(**{first: 2.5, second: 1.5})
    assert f"orders the arms otherwise: gan_loss={second} (2.500), gan_loss={first}" in told(
        **{first: 1.5, second: 2.5}
    )


def test_arms_of_fewer_generations_are_told_apart(fabricate):
    page = Page(write_report(fabricate(short=frozenset({"gan_loss=wgan"}))))
    assert "last generation 0 to 2 data set" in page.words
    assert "on validation in each arm's last generation" in page.words
    assert "gan_loss=wgan 3 of 3 0 " in page.words
    assert "gan_loss=ns_gp baseline 3 of 3 2 " in page.words


def test_nothing_is_loaded_from_elsewhere(fabricate):
    path = write_report(fabricate())
    page = Page(path)
    assert any(address.startswith(PNG) for address in page.loads)
    assert [address for address in page.loads if not address.startswith((PNG, "#"))] == []
    assert all(url.startswith(PNG) for url in page.data["overlays"]["images"])
    assert not re.search(r"url\(|@import|@font-face", page.styles)
    own = re.sub(r"<script>/\*\*\n\* plotly\.js.*?</script>", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(own) < path.stat().st_size - 1_000_000
    assert not re.search(r"https?://", own)
    assert 'showSendToCloud: false, plotlyServerURL: ""' in own


def test_plotly_is_embedded_once(fabricate):
    assert write_report(fabricate()).read_text(encoding="utf-8").count("* plotly.js v") == 1


def test_the_curves_hold_every_seed_of_every_arm(fabricate):
    folder = fabricate()
    page = Page(write_report(folder))
    results = pl.read_parquet(folder / "results.parquet").filter(pl.col("average") == "micro").sort("generation")
    lines = [line["meta"] for line in page.data["curves"]["data"]]
    views = page.data["curves"]["views"]
    assert [view["keys"] for view in views[:1]] == [{"metric": "dice", "split": "test", "reference": "truth"}]
    assert len(views) == 4 * 3 * 2 + 1
    for view in views:
        shown = results.filter(*(pl.col(name) == value for name, value in view["keys"].items()))
        for arm in ("gan_loss=ns_gp", "gan_loss=wgan"):
            mine = shown.filter(pl.col("arm") == arm)
            for seed in (0, 1, 2):
                one = view["y"][lines.index({"arm": arm, "seed": seed})]
                assert one == mine.filter(pl.col("seed") == seed)["value"].to_list()
            means = mine.group_by("generation", maintain_order=True).agg(pl.col("value").mean())["value"].to_list()
            assert view["y"][lines.index({"arm": arm, "seed": None})] == pytest.approx(means)


def test_diverged_trials_stay_with_their_step(fabricate):
    gone = {("gan_loss=wgan", seed) for seed in (0, 1, 2)} | {("gan_loss=ns_gp", 1)}
    page = Page(write_report(fabricate(diverged=frozenset(gone))))
    assert "2 completed, 4 diverged, 0 failed" in page.words
    assert "– gan_loss=wgan seeds 0, 1, 2 diverged at step 417 0 of 3 –" in page.words
    assert "gan_loss=ns_gp baseline seed 1 diverged at step 417 2 of 3" in page.words
    assert "gan_loss=wgan, seed 2 diverged at step 417 of generator: the loss of discriminator 0" in page.words
    assert "Without any result, and so without a line: gan_loss=wgan." in page.words
    assert "No generated images of: gan_loss=wgan." in page.words


def test_unfinished_studies(fabricate):
    stopped, missing = frozenset({("gan_loss=wgan", 1)}), frozenset({("gan_loss=wgan", 2)})
    page = Page(write_report(fabricate(stopped=stopped, not_run=missing)))
    assert "4 completed, 0 diverged, 0 failed, 1 stopped, 1 not run" in page.words
    assert "gan_loss=wgan seed 1 stopped seed 2 not run 1 of 3" in page.words
    assert "The study was stopped; the same command goes on from there. gan_loss=wgan, seed 1 stopped in" in page.words
    assert "seed 1 stopped in gen 1 member 0: it was stopped before its end" in page.words
    assert "Not every trial completed" not in page.words


def test_a_study_that_was_stopped_after_something_went_wrong(fabricate):
    gone = {"stopped": frozenset({("gan_loss=wgan", 1)}), "diverged": frozenset({("gan_loss=ns_gp", 0)})}
    page = Page(write_report(fabricate(**gone)))
    assert "4 completed, 1 diverged, 0 failed, 1 stopped" in page.words
    assert "Not every trial completed." in page.words
    assert "gan_loss=ns_gp, seed 0 diverged at step 417 of generator" in page.words
    assert "The study was stopped" not in page.words


def test_a_study_without_generated_images(fabricate):
    page = Page(write_report(fabricate(gan=False)))
    assert "No generated images: no trial" in page.words
    assert not any(address.startswith(PNG) for address in page.loads)
    assert set(page.ids) >= SECTIONS | {"counters"}


def test_a_study_without_truth(fabricate):
    page = Page(write_report(fabricate(truth=False)))
    assert {view["keys"]["reference"] for view in page.data["curves"]["views"]} == {"given"}
    assert "hidden" not in page.words
    assert "missing from the given mask" not in page.words
    assert "against the given masks" in page.words


def test_one_trial(fabricate):
    page = Page(write_report(fabricate(arms=("baseline",), seeds=(4,), generations=1, gan=False, truth=False)))
    assert "One arm and 1 seed: there is nothing to compare." in page.words
    assert "No pseudo-labels were counted" in page.words
    assert [line["meta"]["seed"] for line in page.data["curves"]["data"]] == [4, None]


def test_nothing_has_results_yet(fabricate):
    every = frozenset((arm, seed) for arm in ("a", "b") for seed in (0, 1))
    page = Page(write_report(fabricate(arms=("a", "b"), seeds=(0, 1), diverged=every)))
    assert set(page.ids) >= SECTIONS
    assert "0 completed, 4 diverged" in page.words
    assert "No generation has been evaluated yet." in page.words
    assert "No outputs on full frames were kept." in page.words


def test_many_arms(fabricate):
    arms = tuple(f"unet.width={width},gan_loss=ns" for width in range(11))
    page = Page(write_report(fabricate(arms=arms, seeds=(0, 1), generations=2)))
    looks = {(line["line"]["color"], line["line"].get("dash")) for line in page.data["curves"]["data"][-11:]}
    assert len(looks) == 11


def test_arm_names_are_escaped(fabricate):
    path = write_report(fabricate(arms=("loss=<script>alert(1)</script>", "loss=b")))
    assert "<script>alert(1)" not in path.read_text(encoding="utf-8")
    page = Page(path)
    assert "loss=<script>alert(1)</script>" in page.words
    assert page.data["curves"]["data"][0]["name"] == "loss=&lt;script&gt;alert(1)&lt;/script&gt;, seed 0"


def test_writing_again_replaces_the_report_with_the_same_bytes(fabricate):
    folder = fabricate()
    first = write_report(folder).read_bytes()
    (folder / "report.html").write_text("an older report")
    assert write_report(folder).read_bytes() == first
    assert sorted(path.name for path in folder.iterdir() if "report" in path.name) == ["report.html"]


@pytest.mark.parametrize("name", EVERY_FILE)
def test_missing_files_are_named(fabricate, name):
    folder = fabricate(**TINY)
    (folder / name).unlink()
    with pytest.raises(CellabError, match=rf"{re.escape(name)} is missing: run the study again"):
        write_report(folder)
    assert not (folder / "report.html").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (name, content)
        for name in EVERY_FILE
        for content in (b"", b"{[", b"[]", b"{}", b"\xff\xfe\x00")
        if not (content == b"{}" and name in ("plan.json", "provenance.json"))  # what they say may be absent
    ],
)
def test_damaged_files_are_named(fabricate, name, content):
    folder = fabricate(**TINY)
    (folder / "report.html").write_text("an older report")
    (folder / name).write_bytes(content)
    with pytest.raises(CellabError, match=rf"{re.escape(name)} is damaged \(.+\): run the study again") as raised:
        write_report(folder)
    assert "\n" not in str(raised.value)
    assert [path.name for path in folder.iterdir() if "report" in path.name] == ["report.html"]
    assert (folder / "report.html").read_text() == "an older report"


def test_an_arm_without_its_trials_is_damage(fabricate):
    folder = fabricate()
    ranking = json.loads((folder / "arms.json").read_text())
    del ranking["arms"][0]["trials"]
    (folder / "arms.json").write_text(json.dumps(ranking))
    with pytest.raises(CellabError, match=r"arms\.json is damaged \(it lacks trials\)"):
        write_report(folder)


def test_a_table_without_a_column_is_damage(fabricate):
    folder = fabricate()
    results = pl.read_parquet(folder / "results.parquet")
    results.drop("value").write_parquet(folder / "results.parquet")
    with pytest.raises(CellabError, match=r"results\.parquet is damaged \(it lacks the columns value\)"):
        write_report(folder)


def test_a_picture_that_is_not_whole_is_damage(fabricate):
    folder = fabricate()
    with h5py.File(folder / "images.h5", "r+") as file:
        del file["overlays/gan_loss%3Dwgan/0/2/test/7/given"]
    with pytest.raises(CellabError, match=r"images\.h5 is damaged \(.*given.*\)"):
        write_report(folder)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(CellabError, match="nowhere is not a study's folder"):
        write_report(tmp_path / "nowhere")
