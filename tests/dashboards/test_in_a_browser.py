"""The report in headless Chromium: no JavaScript error, figures are drawn, menus switch what they should."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cellab_dashboards.report import write_report

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=8000",
    "--dump-dom",
]
CATCH = """<script>
  window.troubles = [];
  window.addEventListener("error", event => troubles.push(event.message));
  window.addEventListener("unhandledrejection", event => troubles.push(String(event.reason)));
  console.error = (...what) => troubles.push(what.join(" "));
</script></head>"""
PROBE = """<script>
  const choose = (part, name, value) => {
    const menu = document.querySelector(`[data-for="${part}"] [data-menu="${name}"]`);
    const control = menu.tagName === "SELECT" ? menu : menu.querySelector(`input[value="${value}"]`);
    if (menu.tagName === "SELECT") menu.value = value; else control.checked = true;
    control.dispatchEvent(new Event("change", { bubbles: true }));
  };
  const lines = id => document.querySelectorAll(`#${id} .scatterlayer .trace`).length;
  const checked = part => [...document.querySelectorAll(`[data-for="${part}"] input:checked`)].map(i => i.value);
  const over = () => document.querySelector("#overlays img.over").src;
  window.addEventListener("load", () => setTimeout(async () => {
    const found = { lines: lines("curves"), thresholds: lines("thresholds"), first: over() };
    choose("curves", "metric", "hidden_recall");
    choose("overlays", "arm", "gan_loss=wgan");
    choose("grids", "seed", "2");
    await new Promise(done => setTimeout(done, 500));
    found.blank = [...document.images].filter(image => !image.complete || !image.naturalWidth).map(i => i.alt);
    found.checked = checked("curves");
    found.title = document.querySelector("#curves .ytitle").textContent;
    found.shown = document.getElementById("curves").data.map(line => [...line.y]);
    found.switched = over() !== found.first;
    found.grids = [...document.querySelectorAll("figure.grid")].filter(grid => !grid.hidden).map(g => g.dataset.seed);
    found.buttons = [...document.querySelectorAll(".modebar-btn")].map(button => button.dataset.title);
    found.wide = document.documentElement.scrollWidth > window.innerWidth;
    found.troubles = troubles;
    document.title = JSON.stringify(found);
  }, 500));
</script></body>"""


@pytest.fixture(scope="module")
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    return found


def look(chromium: str, path: Path, folder: Path, width: int) -> dict:
    """What the probe finds in a report; `choose` and so on have been done."""
    page = path.read_text(encoding="utf-8").replace("</head>", CATCH, 1)
    before, _, after = page.rpartition("</body>")
    tested = folder / "tested.html"
    tested.write_text(before + PROBE + after, encoding="utf-8")
    command = [chromium, *FLAGS, f"--window-size={width},1000", f"--user-data-dir={folder / 'profile'}"]
    done = subprocess.run([*command, tested.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r"<title>(\{.*?\})</title>", done.stdout)
    assert found, done.stderr[-2000:]
    return json.loads(found.group(1))


def test_a_browser_draws_it_without_errors(fabricate, chromium, tmp_path):
    state = look(chromium, write_report(fabricate()), tmp_path, width=700)
    assert state["troubles"] == []
    assert state["lines"] == 2 * (3 + 1)
    assert state["thresholds"] == 2 * 3 * 2
    assert state["checked"] == ["hidden_recall", "train", "truth"]
    assert state["title"] == "hidden recall, train, against the truth"
    assert all(len(line) == 3 for line in state["shown"])
    assert state["switched"]
    assert state["blank"] == []
    assert state["grids"] == ["2", "2"]
    assert not state["wide"]
    assert not [title for title in state["buttons"] if title and "hare" in title]
