"""The plotly figures of a report: curves by generation and the entropy gate's threshold, each with menus of views."""

import html
import itertools
import json
import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, TypedDict

import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from cellab.evaluation.names import HIDDEN_RECALL, METRIC_NAMES, PU_SCORE
from cellab.plain import Plain
from cellab.training.names import GENERATED, PSEUDO
from cellab_dashboards.colours import arm_colours, arm_dashes
from cellab_dashboards.study_files import StudyFiles

METRICS = (*METRIC_NAMES, HIDDEN_RECALL, PU_SCORE)
SPLITS = ("test", "validation", "train")  # in the order of the menu
REFERENCES = {"truth": "the truth", "given": "the given masks"}
SOURCES = (PSEUDO, GENERATED)
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"
GRID, AXIS, INK = "#e9ebee", "#b6bbc2", "#1b1f24"

Key = dict[str, str]
Properties = dict[str, object]  # of something that plotly draws


class Line(NamedTuple):
    """The points of a line, and what is told of each besides."""

    x: list[float]
    y: list[float]
    customdata: list[int]


class View(TypedDict):
    """What a figure shows of one choice in its menus.

    `keys` is what the menus say, e.g. ``{"metric": "dice", "split": "test"}``, `title` and `range` are the vertical
    axis's, and `x`, `y` and `customdata` each line's, in the order of the figure's lines.
    """

    keys: Key
    title: str
    range: list[float]
    x: list[list[float]]
    y: list[list[float]]
    customdata: list[list[int]]


class Payload(TypedDict):
    """A figure as the page gets it, in JSON."""

    data: list[Plain]
    layout: Plain
    views: list[View]


@dataclass(frozen=True)
class SwitchedFigure:
    """A figure with the same lines in every view; the page's menus put another view's numbers into them.

    Args:
        figure: shows the first view.
        views: all of them.
    """

    figure: go.Figure
    views: list[View]

    @property
    def menus(self) -> dict[str, list[str]]:
        """What each menu offers, in the order of the views."""
        names = self.views[0]["keys"] if self.views else {}
        return {name: list(dict.fromkeys(view["keys"][name] for view in self.views)) for name in names}

    def payload(self) -> Payload:
        """All of it as plain JSON values."""
        figure = json.loads(self.figure.to_json())
        return {"data": figure["data"], "layout": figure["layout"], "views": self.views}


def view_keys(study: StudyFiles) -> list[Key]:
    """The combinations of metric, split and reference that have results."""
    have = set(study.results.select("metric", "split", "reference").unique().rows())
    ordered = itertools.product(METRICS, SPLITS, REFERENCES)
    return [{"metric": m, "split": s, "reference": r} for m, s, r in ordered if (m, s, r) in have]


def curves(study: StudyFiles) -> SwitchedFigure | None:
    """Each metric by generation: a thin line for each seed, a bold one for an arm's mean; None without any result."""
    keys = view_keys(study)
    if not keys:
        return None
    seeds = [(trial.arm, trial.seed) for trial in study.trials]
    views = [_curve_view(study, key, seeds) for key in keys]
    ranking = {"metric": study.ranking.rank_by, "split": "test", "reference": study.reference}
    first = next((view for view in views if view["keys"] == ranking), views[0])
    colours, dashes = arm_colours(study), arm_dashes(study)
    lines = [_seed_line(arm, seed, colours[arm]) for arm, seed in seeds]
    lines += [_mean_line(arm, colours[arm], dashes[arm]) for arm in _arms(study)]
    figure = go.Figure(filled(lines, first))
    last = study.ranking.generation
    figure.update_layout(
        **layout(height=455 + 22 * math.ceil(len(study.arms) / 4)),
        xaxis={**axis("generation"), "dtick": max(1, math.ceil(last / 12)), "range": [-0.15, last + 0.15]},
        yaxis={**axis(first["title"]), "range": first["range"]},
    )
    return SwitchedFigure(figure, sorted(views, key=lambda view: view is not first))


def _arms(study: StudyFiles) -> list[str]:
    return [arm.arm for arm in study.arms]


def _curve_view(study: StudyFiles, key: Key, seeds: list[tuple[str, int]]) -> View:
    chosen = [pl.col(name) == value for name, value in {**key, "average": "micro"}.items()]
    scores: dict[str, dict[int, dict[int, float]]] = {}
    for row in study.results.filter(*chosen).sort("generation").rows(named=True):
        if row["value"] is not None and math.isfinite(row["value"]):
            scores.setdefault(row["arm"], {}).setdefault(row["seed"], {})[row["generation"]] = row["value"]
    each = [_points(scores.get(arm, {}).get(seed, {})) for arm, seed in seeds]
    means = [_means(scores.get(arm, {}).values()) for arm in _arms(study)]
    title = f"{key['metric'].replace('_', ' ')}, {key['split']}, against {REFERENCES[key['reference']]}"
    return view(key, title, each + means)


def view(keys: Key, title: str, lines: list[Line], floor: float | None = None) -> View:
    """What a figure shows of some lines; its vertical axis begins at the floor, where there is one."""
    xs, ys = [line.x for line in lines], [line.y for line in lines]
    told = [line.customdata for line in lines]
    return {"keys": keys, "title": title, "range": _range(ys, floor), "x": xs, "y": ys, "customdata": told}


def _range(lines: list[list[float]], floor: float | None) -> list[float]:
    """What a vertical axis spans: all values and some air, from the floor where there is one."""
    values = [value for line in lines for value in line] or [0.0, 1.0]
    air = max(0.06 * (max(values) - min(values)), 0.02)
    return [min(values) - air if floor is None else floor, max(values) + air]


def _points(values: dict[int, float]) -> Line:
    return Line(list(values), list(values.values()), [1] * len(values))


def _means(seeds: Iterable[dict[int, float]]) -> Line:
    pooled: dict[int, list[float]] = {}
    for values in seeds:
        for generation, value in values.items():
            pooled.setdefault(generation, []).append(value)
    ordered = dict(sorted(pooled.items()))
    means = [statistics.fmean(values) for values in ordered.values()]
    return Line(list(ordered), means, [len(values) for values in ordered.values()])


def _seed_line(arm: str, seed: int, colour: str) -> Properties:
    return {
        "name": f"{html.escape(arm)}, seed {seed}",
        "meta": {"arm": arm, "seed": seed},
        "legendgroup": arm,
        "showlegend": False,
        "mode": "lines+markers",
        "line": {"color": colour, "width": 1.1},
        "marker": {"size": 4},
        "opacity": 0.5,
        "hovertemplate": f"{html.escape(arm)}<br>seed {seed}, generation %{{x}}: %{{y:.4f}}<extra></extra>",
    }


def _mean_line(arm: str, colour: str, dash: str) -> Properties:
    return {
        "name": html.escape(arm),
        "meta": {"arm": arm, "seed": None},
        "legendgroup": arm,
        "showlegend": True,
        "mode": "lines+markers",
        "line": {"color": colour, "width": 3, "dash": dash},
        "marker": {"size": 7},
        "hovertemplate": (
            f"<b>{html.escape(arm)}</b><br>generation %{{x}}, mean of %{{customdata}}: %{{y:.4f}}<extra></extra>"
        ),
    }


def thresholds(study: StudyFiles) -> SwitchedFigure | None:
    """The entropy gate's threshold while each seed's first member is trained, by source; None without a gate."""
    rows = study.counters.filter(pl.col("member") == 0, pl.col("threshold").list.len() > 0)
    if rows.is_empty():
        return None
    sources = [source for source in SOURCES if source in rows["source"].unique().to_list()]
    colours, dashes = arm_colours(study), arm_dashes(study)
    places = [(trial.arm, trial.seed, source) for trial in study.trials for source in sources]
    views = [
        _threshold_view(rows.filter(pl.col("generation") == generation), generation, places)
        for generation in rows["generation"].unique().sort().to_list()
    ]
    figure = make_subplots(
        1, len(sources), shared_yaxes=True, horizontal_spacing=0.07, subplot_titles=[f"{s} crops" for s in sources]
    )
    lines = [_threshold_line(arm, seed, source, colours[arm], dashes[arm]) for arm, seed, source in places]
    for line, (_, _, source) in zip(filled(lines, views[0]), places, strict=True):
        figure.add_trace(line, row=1, col=1 + sources.index(source))
    figure.update_layout(**{**layout(height=350), "margin": {"l": 64, "r": 24, "t": 60, "b": 52}}, showlegend=False)
    figure.update_xaxes(**axis("labelled so far"), tickformat=".0%", range=[-0.01, 1.01])
    figure.update_yaxes(**axis(""), range=views[0]["range"])
    figure.update_layout(yaxis_title=views[0]["title"])
    return SwitchedFigure(figure, views)


def _threshold_view(rows: pl.DataFrame, generation: int, places: list[tuple[str, int, str]]) -> View:
    found = {(row["arm"], row["seed"], row["source"]): row["threshold"] for row in rows.rows(named=True)}
    lines = [_course(found.get(place, [])) for place in places]
    return view({"generation": str(generation)}, "entropy threshold", lines, floor=0)


def _course(values: list[float]) -> Line:
    last = max(1, len(values) - 1)
    xs = [round(i / last, 4) for i in range(len(values))]
    return Line(xs, [float(f"{value:.5g}") for value in values], [])


def _threshold_line(arm: str, seed: int, source: str, colour: str, dash: str) -> Properties:
    return {
        "name": f"{html.escape(arm)}, seed {seed}, {source}",
        "meta": {"arm": arm, "seed": seed},
        "mode": "lines",
        "line": {"color": colour, "width": 1.4, "dash": dash},
        "opacity": 0.8,
        "hovertemplate": f"{html.escape(arm)}<br>seed {seed}, %{{x:.0%}}: %{{y:.4g}}<extra></extra>",
    }


def filled(lines: list[Properties], shown: View) -> list[go.Scatter]:
    """Lines with the points of a view."""
    return [
        go.Scatter(x=x, y=y, customdata=custom, **line)
        for line, x, y, custom in zip(lines, shown["x"], shown["y"], shown["customdata"], strict=True)
    ]


def layout(height: int) -> Properties:
    """What all figures have in common."""
    return {
        "template": "none",
        "font": {"family": FONT, "size": 13, "color": INK},
        "height": height,
        "margin": {"l": 64, "r": 12, "t": 34, "b": 56},
        "legend": {"orientation": "h", "x": 0, "y": -0.16, "yanchor": "top"},
        "hovermode": "closest",
        "hoverlabel": {"align": "left", "font": {"family": FONT}},
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
    }


def axis(title: str) -> Properties:
    """What all axes have in common."""
    return {
        "title": {"text": title, "standoff": 10},
        "automargin": True,
        "gridcolor": GRID,
        "zeroline": False,
        "linecolor": AXIS,
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": AXIS,
    }
