"""The plotly figures of a report."""

from collections.abc import Iterator
from typing import Any

import plotly.graph_objects as go
import polars as pl

from cellab_dashboards.study_files import StudyFiles

# Okabe and Ito's colours, which colour-blind people tell apart
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#6B6B6B", "#A6761D")
METRICS = ("dice", "jaccard", "precision", "recall", "hidden_recall")
SPLITS = ("test", "validation", "train")
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"


def arm_colours(study: StudyFiles) -> dict[str, str]:
    """One colour an arm, the same everywhere."""
    names = sorted(arm["arm"] for arm in study.arms)
    return {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}


def views(study: StudyFiles) -> list[tuple[str, str, str]]:
    """The combinations of metric, split and reference that have results; the ranking's own first."""
    found = study.results.filter(pl.col("average") == "micro")
    have = set(found.select("metric", "split", "reference").unique().rows())
    first = (study.ranking["rank_by"], "test", study.reference)
    ordered = [(m, s, r) for r in ("truth", "given") for s in SPLITS for m in METRICS]
    return sorted((view for view in ordered if view in have), key=lambda view: view != first)


def view_name(view: tuple[str, str, str]) -> str:
    """A view in words."""
    metric, split, reference = view
    against = "the truth" if reference == "truth" else "the given masks"
    return f"{metric.replace('_', ' ')} · {split} · against {against}"


def curves(study: StudyFiles) -> go.Figure:
    """Each metric by generation: a thin line for each seed, a bold one for an arm's mean; a menu chooses the view."""
    figure = go.Figure()
    shown = views(study)
    colours = arm_colours(study)
    owners: list[int] = []
    for number, view in enumerate(shown):
        for trace in _view_traces(study, view, colours, visible=number == 0):
            figure.add_trace(trace)
            owners.append(number)
    figure.update_layout(**_layout(), xaxis=_generations(), yaxis={"title": _title(shown), "gridcolor": "#e8e8e8"})
    if len(shown) > 1:
        figure.update_layout(updatemenus=[_menu(shown, owners)])
    return figure


def _title(shown: list[tuple[str, str, str]]) -> str:
    return shown[0][0].replace("_", " ") if shown else ""


def _view_traces(
    study: StudyFiles, view: tuple[str, str, str], colours: dict[str, str], *, visible: bool
) -> Iterator[go.Scatter]:
    metric, split, reference = view
    rows = study.results.filter(
        (pl.col("average") == "micro")
        & (pl.col("metric") == metric)
        & (pl.col("split") == split)
        & (pl.col("reference") == reference)
    )
    for arm in sorted(colours):
        mine = rows.filter(pl.col("arm") == arm).sort("seed", "generation")
        for (seed,), one in mine.group_by("seed", maintain_order=True):
            yield go.Scatter(
                x=one["generation"].to_list(),
                y=one["value"].to_list(),
                name=f"{arm} seed {seed}",
                legendgroup=arm,
                showlegend=False,
                visible=visible,
                mode="lines+markers",
                line={"color": colours[arm], "width": 1},
                marker={"size": 4},
                opacity=0.45,
                hovertemplate=f"{arm}<br>seed {seed}, generation %{{x}}<br>{metric} %{{y:.4f}}<extra></extra>",
            )
        mean = mine.group_by("generation").agg(pl.col("value").mean(), pl.len().alias("n")).sort("generation")
        if mean.height:
            yield go.Scatter(
                x=mean["generation"].to_list(),
                y=mean["value"].to_list(),
                customdata=mean["n"].to_list(),
                name=arm,
                legendgroup=arm,
                visible=visible,
                mode="lines+markers",
                line={"color": colours[arm], "width": 3},
                marker={"size": 8},
                hovertemplate=(
                    f"{arm}<br>mean of %{{customdata}} seeds, generation %{{x}}<br>{metric} %{{y:.4f}}<extra></extra>"
                ),
            )


def _menu(shown: list[tuple[str, str, str]], owners: list[int]) -> dict[str, Any]:
    buttons = [
        {
            "label": view_name(view),
            "method": "update",
            "args": [
                {"visible": [owner == number for owner in owners]},
                {"yaxis.title.text": view[0].replace("_", " ")},
            ],
        }
        for number, view in enumerate(shown)
    ]
    return {
        "buttons": buttons,
        "x": 0,
        "xanchor": "left",
        "y": 1.16,
        "yanchor": "top",
        "bgcolor": "white",
        "bordercolor": "#bbbbbb",
        "font": {"size": 13},
    }


def _layout() -> dict[str, Any]:
    return {
        "template": "plotly_white",
        "font": {"family": FONT, "size": 14, "color": "#222222"},
        "height": 470,
        "margin": {"l": 70, "r": 20, "t": 70, "b": 60},
        "legend": {"orientation": "h", "y": -0.2, "x": 0},
        "hoverlabel": {"align": "left"},
    }


def _generations() -> dict[str, Any]:
    return {"title": "generation", "tickmode": "linear", "dtick": 1, "gridcolor": "#f2f2f2"}


def thresholds(study: StudyFiles) -> go.Figure | None:
    """The entropy gate's threshold over time, for each arm's first member of its first seed; None without a gate."""
    figure = go.Figure()
    colours = arm_colours(study)
    dashes = {"real": "solid", "generated": "dot"}
    for row in (
        study.counters.sort("seed")
        .unique(["arm", "generation", "source"], keep="first", maintain_order=True)
        .rows(named=True)
    ):
        if row["member"] != 0 or not row["threshold"]:
            continue
        name = f"{row['arm']}, generation {row['generation']}, {row['source']}"
        figure.add_trace(
            go.Scatter(
                y=row["threshold"],
                name=name,
                mode="lines",
                line={"color": colours[row["arm"]], "dash": dashes.get(row["source"], "dash"), "width": 1.5},
                hovertemplate=f"{name}<br>threshold %{{y:.1f}}<extra></extra>",
            )
        )
    if not figure.data:
        return None
    figure.update_layout(**{**_layout(), "height": 380, "margin": {"l": 70, "r": 20, "t": 20, "b": 60}})
    figure.update_layout(
        showlegend=False,
        xaxis={"title": "labelled batches (thinned)", "gridcolor": "#f2f2f2"},
        yaxis={"title": "entropy threshold", "gridcolor": "#e8e8e8"},
    )
    return figure
