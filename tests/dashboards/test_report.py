"""The report: everything that it promises is there, and nothing comes from elsewhere."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest

from cellab.errors import CellabError
from cellab_dashboards import figures, tables
from cellab_dashboards.report import write_report
from cellab_dashboards.study_files import read_study

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Collects text, ids and loaded addresses; sees that tags are closed in order."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: set[str] = set()
        self.loads: list[str] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.ids.add(found.get("id", ""))
        self.loads += [found[name] for name in ("src", "href") if name in found]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "script" not in self.open and "style" not in self.open:
            self.text += data + " "


def words(page: Page) -> str:
    return " ".join(page.text.split())


def test_every_section_is_there(fabricate):
    page = Page(write_report(fabricate()))
    assert page.ids >= {
        "ranking",
        "generations",
        "pseudo-labels",
        "generated",
        "overlays",
        "settings",
        "curves",
        "thresholds",
    }
    text = words(page)
    for part in (
        "Which loss <wins> & why?",
        "2 arms × 3 seeds (0, 1, 2): 6 completed",
        "cells.h5",
        "baseline",
        "2/2^3 = 0.25",
    ):
        assert part in text


def test_nothing_is_loaded_from_elsewhere(fabricate):
    path = write_report(fabricate())
    page = Page(path)
    assert page.loads
    assert all(address.startswith("data:image/png;base64,") for address in page.loads)
    without_plotly = re.sub(r"<script>/\*.*?</script>", "", path.read_text(), flags=re.DOTALL, count=1)
    style = "".join(re.findall(r"<style>.*?</style>", without_plotly, flags=re.DOTALL))
    assert "url(" not in style
    assert "@import" not in style


def test_the_curves_hold_every_seed_of_every_arm_and_the_means(fabricate):
    study = read_study(fabricate())
    figure = figures.curves(study)
    shown = [trace for trace in figure.data if trace.visible]
    for arm in ("gan_loss=ns_gp", "gan_loss=wgan"):
        expected = study.results.filter(
            (pl.col("arm") == arm)
            & (pl.col("split") == "test")
            & (pl.col("metric") == "dice")
            & (pl.col("reference") == "truth")
            & (pl.col("average") == "micro")
        )
        for seed in (0, 1, 2):
            (trace,) = [trace for trace in shown if trace.name == f"{arm} seed {seed}"]
            assert list(trace.y) == expected.filter(pl.col("seed") == seed).sort("generation")["value"].to_list()
        (mean,) = [trace for trace in shown if trace.name == arm]
        by_generation = expected.group_by("generation").agg(pl.col("value").mean()).sort("generation")
        assert list(mean.y) == pytest.approx(by_generation["value"].to_list())
    buttons = figure.layout.updatemenus[0].buttons
    assert len(buttons) == 4 * 3 * 2 + 1
    assert all(sum(button.args[0]["visible"]) == len(shown) for button in buttons)


def test_the_tables_numbers_are_those_of_the_results(fabricate):
    study = read_study(fabricate())
    (row,) = [r for r in tables.by_generation(study) if (r["arm"], r["generation"]) == ("gan_loss=wgan", 1)]
    chosen = study.results.filter(
        (pl.col("arm") == "gan_loss=wgan")
        & (pl.col("generation") == 1)
        & (pl.col("split") == "test")
        & (pl.col("metric") == "precision")
        & (pl.col("reference") == "truth")
        & (pl.col("average") == "micro")
    )["value"]
    assert row["cells"][2] == f"{chosen.mean():.3f} ± {chosen.std():.3f}"
    assert row["seeds"] == 3
    text = words(Page(write_report(study.folder)))
    for row in tables.by_generation(study):
        for cell in row["cells"]:
            assert cell in text


def test_counters_are_pooled(fabricate):
    (row, *_) = tables.pseudo_labels(read_study(fabricate()))
    assert (row["tried"], row["accepted"], row["acceptance"]) == (300, 90, "50%")


def test_diverged_arms_stay_with_their_step(fabricate):
    page = Page(write_report(fabricate(diverged=frozenset({"gan_loss=wgan"}))))
    text = words(page)
    assert "3 completed, 3 diverged" in text
    assert "gan_loss=wgan, seed 2: diverged in generator, step 417" in text
    assert "– gan_loss=wgan 0 of 3 –" in text


@pytest.mark.parametrize(
    "made",
    [
        {"truth": False},
        {"gan": False},
        {"arms": ("baseline",), "seeds": (4,), "generations": 1, "gan": False},
        {"diverged": frozenset({"gan_loss=ns_gp", "gan_loss=wgan"})},
        {"arms": tuple(f"unet.width={i}" for i in range(11)), "seeds": (0,)},
    ],
)
def test_what_may_be_missing(fabricate, made):
    page = Page(write_report(fabricate(**made)))
    assert {"ranking", "generations", "settings"} <= page.ids
    assert ("generated" in page.ids) == (made.get("gan", True) and not made.get("diverged"))
    assert "test dice" in words(page)


def test_arm_names_are_escaped(fabricate):
    path = write_report(fabricate(arms=("loss=<script>alert(1)</script>", "loss=b")))
    assert "<script>alert(1)" not in path.read_text()
    assert "loss=<script>alert(1)</script>" in words(Page(path))


@pytest.mark.parametrize("name", ["study.yaml", "arms.json", "provenance.json", "results.parquet", "images.h5"])
def test_missing_files_are_named(fabricate, name):
    folder = fabricate()
    (folder / name).unlink()
    with pytest.raises(CellabError, match=rf"{re.escape(name)} is missing"):
        write_report(folder)
    assert not (folder / "report.html").exists()


@pytest.mark.parametrize("name", ["arms.json", "results.parquet", "pseudo_labels.parquet", "images.h5", "study.yaml"])
def test_damaged_files_are_named(fabricate, name):
    folder = fabricate()
    (folder / name).write_bytes(b"{[")
    with pytest.raises(CellabError, match=rf"{re.escape(name)} is damaged"):
        write_report(folder)
    assert [path.name for path in folder.iterdir() if "report" in path.name] == []


@pytest.mark.slow
def test_a_browser_draws_it_without_errors(fabricate, tmp_path):
    """In headless Chromium every figure is drawn, and the choice of overlays switches them."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    path = write_report(fabricate())
    probe = """<script>
      const errors = []; window.addEventListener("error", event => errors.push(event.message));
      window.addEventListener("load", () => setTimeout(() => {
        const choice = document.getElementById("choice");
        choice.value = "1"; choice.dispatchEvent(new Event("change"));
        const shown = [...document.querySelectorAll(".choice")].map(part => !part.hidden);
        const lines = [...document.querySelectorAll("#curves .scatterlayer .trace")].length;
        const images = [...document.images].every(image => image.loading === "lazy" || image.naturalWidth > 0);
        document.title = JSON.stringify({errors, shown, lines, images});
      }, 500));
    </script></head>"""
    tested = tmp_path / "tested.html"
    tested.write_text(path.read_text(encoding="utf-8").replace("</head>", probe, 1), encoding="utf-8")
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    flags += " --disable-component-update --disable-sync --virtual-time-budget=8000 --dump-dom"
    command = [chromium, *flags.split(), f"--user-data-dir={tmp_path / 'profile'}", tested.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r"<title>(\{.*?\})</title>", done.stdout)
    assert found, done.stderr[-2000:]
    state = json.loads(found.group(1))
    assert state["errors"] == []
    assert state["images"]
    assert state["lines"] == 2 * (3 + 1)
    assert state["shown"].count(True) == 1
    assert state["shown"][1]
