"""Writes a study's report: one HTML file that works offline."""

import json
import os
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from cellab_dashboards import figures, pictures, tables
from cellab_dashboards.study_files import StudyFiles, read_study

REPORT = "report.html"


def write_report(study_dir: Path) -> Path:
    """Builds `report.html` in a study's folder from the files there.

    Args:
        study_dir: e.g. ``runs/gan_loss``.

    Returns:
        The report's path.

    Raises:
        CellabError: a file of the study is missing or damaged.
    """
    study = read_study(study_dir)
    environment = Environment(loader=PackageLoader("cellab_dashboards"), autoescape=True, undefined=StrictUndefined)
    page = environment.get_template("report.html.j2").render(_content(study))
    path = study_dir / REPORT
    beside = path.with_name(f".{REPORT}.{os.getpid()}")
    try:
        beside.write_text(page, encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return path


def _content(study: StudyFiles) -> dict[str, Any]:
    thresholds = figures.thresholds(study)
    return {
        "study": study,
        "summary": _summary(study),
        "significance": _significance(study),
        "has_hidden": any("hidden_recall" in arm["test"] for arm in study.arms),
        "metrics": tables.METRICS,
        "ranking": tables.ranking(study),
        "troubles": tables.troubles(study),
        "by_generation": tables.by_generation(study),
        "pseudo_labels": tables.pseudo_labels(study),
        "generated": pictures.generated(study),
        "overlays": pictures.overlays(study),
        "curves": _div(figures.curves(study), "curves"),
        "thresholds": None if thresholds is None else _div(thresholds, "thresholds"),
        "plotlyjs": get_plotlyjs(),
        "settings": yaml.safe_dump(study.description, sort_keys=False),
        "provenance": json.dumps(study.provenance, indent=2),
        "against": "the truth" if study.reference == "truth" else "the given masks",
    }


def _div(figure: Any, name: str) -> str:
    html: str = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        div_id=name,
        default_width="100%",
        config={"responsive": True, "displaylogo": False, "modeBarButtonsToRemove": ["lasso2d", "select2d"]},
    )
    return html


def _summary(study: StudyFiles) -> str:
    states = [trial["status"] for trial in study.trials]
    counts = [
        f"{states.count(state)} {state}" for state in ("completed", "diverged", "failed", "stopped") if state in states
    ]
    arms = len(study.arms)
    seeds = study.description["seeds"]
    return (
        f"{arms} {'arm' if arms == 1 else 'arms'} × {len(seeds)} {'seed' if len(seeds) == 1 else 'seeds'} "
        f"({', '.join(map(str, seeds))}): {', '.join(counts)}. Generations 0 to {study.ranking['generation']}. "
        f"Data: {Path(study.provenance['data']['path']).name}."
    )


def _significance(study: StudyFiles) -> str:
    """What so many seeds can show at all, by the two-sided sign-flip test."""
    seeds = len(study.description["seeds"])
    least = 2 / 2**seeds
    if least >= 0.05:
        return (
            f"With {seeds} paired {'seed' if seeds == 1 else 'seeds'} no difference between arms can be significant: "
            f"the smallest p that a two-sided sign-flip test can reach is 2/2^{seeds} = {min(1.0, least):.2g}. "
            "Read the order as an order, not as a verdict."
        )
    return (
        f"Every seed is one paired replication; with {seeds} of them a two-sided sign-flip test can reach "
        f"p = 2/2^{seeds} = {least:.2g}. This report tests nothing: the order is an order, not a verdict."
    )
