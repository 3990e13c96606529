"""Calibrations in a report: what given masks told of each generation, and how the score of the cuts runs."""

import html

import plotly.graph_objects as go
import polars as pl

from cellab.evaluation.names import PU_SCORE
from cellab_dashboards.colours import arm_colours, arm_dashes
from cellab_dashboards.figures import Line, Properties, SwitchedFigure, View, axis, filled, layout, view
from cellab_dashboards.study_files import StudyFiles
from cellab_dashboards.tables import Row, mean_sd


def calibrations(study: StudyFiles) -> list[Row]:
    """For each arm and generation, over seeds: the label frequency, the cut, and how far members are apart."""
    order = [arm.arm for arm in study.arms]
    rows: list[Row] = []
    for arm in order:
        of_arm = study.calibrations.filter(pl.col("arm") == arm)
        for generation in of_arm["generation"].unique().sort().to_list():
            found = of_arm.filter(pl.col("generation") == generation)
            votes, members = found.filter(pl.col("member").is_null()), found.filter(pl.col("member").is_not_null())
            spreads = members.group_by("seed").agg(pl.col("cut").max() - pl.col("cut").min())["cut"]
            rows.append(
                {
                    "arm": arm,
                    "generation": generation,
                    "n": votes["seed"].n_unique(),
                    "label_frequency": mean_sd(votes["label_frequency"].to_list()),
                    "cut": mean_sd(votes["cut"].to_list()),
                    "spread": mean_sd(spreads.to_list()),
                }
            )
    return rows


def score_curves(study: StudyFiles) -> SwitchedFigure | None:
    """The score of every cut of the vote, by generation: a line for each seed; None where nothing was calibrated."""
    votes = study.calibrations.filter(pl.col("member").is_null())
    if votes.is_empty():
        return None
    colours, dashes = arm_colours(study), arm_dashes(study)
    places = [(trial.arm, trial.seed) for trial in study.trials if trial.arm in set(votes["arm"].to_list())]
    views = [
        _view(votes.filter(pl.col("generation") == generation), generation, places)
        for generation in votes["generation"].unique().sort().to_list()
    ]
    lines = [_line(arm, seed, colours[arm], dashes[arm]) for arm, seed in places]
    figure = go.Figure(filled(lines, views[0]))
    figure.update_layout(
        **{**layout(height=330), "margin": {"l": 64, "r": 24, "t": 24, "b": 52}},
        showlegend=False,
        xaxis={**axis("probability from which on a pixel is a cell"), "range": [-0.01, 1.01]},
        yaxis={**axis(views[0]["title"]), "range": views[0]["range"]},
    )
    return SwitchedFigure(figure, views)


def _view(votes: pl.DataFrame, generation: int, places: list[tuple[str, int]]) -> View:
    found = {(row["arm"], row["seed"]): row["scores"] for row in votes.rows(named=True)}
    lines = [_course(found.get(place, [])) for place in places]
    return view({"generation": str(generation)}, "score of given masks alone", lines, floor=0)


def _course(scores: list[float]) -> Line:
    parts = max(1, len(scores) - 1)
    return Line([i / parts for i in range(len(scores))], [float(f"{score:.5g}") for score in scores], [])


def _line(arm: str, seed: int, colour: str, dash: str) -> Properties:
    return {
        "name": f"{html.escape(arm)}, seed {seed}",
        "meta": {"arm": arm, "seed": seed},
        "mode": "lines",
        "line": {"color": colour, "width": 1.6, "dash": dash},
        "opacity": 0.8,
        "hovertemplate": f"{html.escape(arm)}<br>seed {seed}, cut %{{x:.2f}}: %{{y:.3f}}<extra></extra>",
    }


def other_order(study: StudyFiles) -> str | None:
    """A sentence where there is no truth and the score of given masks alone would order the arms otherwise."""
    scored = [arm for arm in study.arms if PU_SCORE in arm.validation and study.ranking.rank_by in arm.validation]
    if study.reference == "truth" or len(scored) < 2 or study.ranking.rank_by == PU_SCORE:
        return None
    by_score = sorted(scored, key=lambda arm: -arm.validation[PU_SCORE].mean)
    if [arm.arm for arm in by_score] == [arm.arm for arm in scored]:
        return None
    told = ", ".join(f"{arm.arm} ({arm.validation[PU_SCORE].mean:.3f})" for arm in by_score)
    return (
        f"There is no truth here: {study.ranking.rank_by} is against given masks, which may miss cells. The score of "
        f"given masks alone, which is not misled by that where cells are missed at random, orders the arms otherwise: "
        f"{told}."
    )
