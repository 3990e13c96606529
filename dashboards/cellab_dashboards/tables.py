"""The tables of a report: rows of text, ready for the template."""

import statistics
from collections.abc import Iterator
from typing import Any

import polars as pl

from cellab_dashboards.study_files import StudyFiles

METRICS = ("dice", "jaccard", "precision", "recall")
DASH = "–"

Row = dict[str, Any]


def mean_sd(values: list[float]) -> str:
    """``"0.873 ± 0.004"``; without a spread where there is one value; a dash where there is none."""
    if not values:
        return DASH
    mean = statistics.fmean(values)
    return f"{mean:.3f} ± {statistics.stdev(values):.3f}" if len(values) > 1 else f"{mean:.3f}"


def _summary(summaries: dict[str, Any], metric: str) -> str:
    if metric not in summaries:
        return DASH
    found = summaries[metric]
    return f"{found['mean']:.3f}" + ("" if found["sd"] is None else f" ± {found['sd']:.3f}")


def ranking(study: StudyFiles) -> list[Row]:
    """The arms by rank: validation ranks, test is shown."""
    return [
        {
            "rank": DASH if arm["rank"] is None else arm["rank"],
            "arm": arm["arm"],
            "baseline": arm["baseline"] and len(study.arms) > 1,
            "trials": f"{arm['completed']} of {arm['planned']}",
            "validation": _summary(arm["validation"], study.ranking["rank_by"]),
            "test": [_summary(arm["test"], metric) for metric in METRICS],
            "hidden": _summary(arm["test"], "hidden_recall"),
        }
        for arm in study.arms
    ]


def troubles(study: StudyFiles) -> list[Row]:
    """Every trial that did not complete, with its stage and step."""
    return [trial for trial in study.trials if trial["status"] != "completed"]


def by_generation(study: StudyFiles) -> list[Row]:
    """For each arm and generation: scores on test, and recall on hidden objects of the training frames."""
    rows = []
    scored = study.results.filter((pl.col("average") == "micro") & (pl.col("reference") == study.reference))
    for arm in study.arms:
        mine = scored.filter(pl.col("arm") == arm["arm"])
        for generation in mine["generation"].unique().sort().to_list():
            one = mine.filter(pl.col("generation") == generation)
            cells = [mean_sd(_values(one, "test", metric)) for metric in METRICS]
            rows.append(
                {
                    "arm": arm["arm"],
                    "generation": generation,
                    "seeds": one["seed"].n_unique(),
                    "cells": [*cells, mean_sd(_values(one, "train", "hidden_recall"))],
                }
            )
    return rows


def _values(rows: pl.DataFrame, split: str, metric: str) -> list[float]:
    return rows.filter((pl.col("split") == split) & (pl.col("metric") == metric))["value"].to_list()


def pseudo_labels(study: StudyFiles) -> list[Row]:
    """For each arm, generation and source: what became of the crops that were tried, pooled over seeds and members."""
    if study.counters.is_empty():
        return []
    sums = (
        "tried",
        "rejected_by_prominence",
        "rejected_by_entropy",
        "rejected_as_empty",
        "accepted",
        "refreshes",
        "gave_up",
    )
    pooled = (
        study.counters.group_by("arm", "generation", "source")
        .agg(*(pl.col(name).sum() for name in sums), pl.col("dice_accepted").mean(), pl.col("dice_rejected").mean())
        .sort("arm", "generation", "source")
    )
    return list(_counter_rows(pooled))


def _counter_rows(pooled: pl.DataFrame) -> Iterator[Row]:
    for row in pooled.rows(named=True):
        labelled = row["tried"] - row["rejected_by_prominence"]
        yield {
            **row,
            "acceptance": f"{row['accepted'] / labelled:.0%}" if labelled else DASH,
            "dry": row["accepted"] == 0,
            "dice_accepted": DASH if row["dice_accepted"] is None else f"{row['dice_accepted']:.3f}",
            "dice_rejected": DASH if row["dice_rejected"] is None else f"{row['dice_rejected']:.3f}",
        }
