"""The tables of a report: rows of text, ready for the template."""

import math
import statistics
from collections.abc import Iterable, Mapping

import polars as pl

from cellab.evaluation.names import HIDDEN_RECALL, METRIC_NAMES
from cellab.study_files.records import Score
from cellab.training.names import ACCEPTED, AS_EMPTY, BY_ENTROPY, BY_PROMINENCE, COUNTERS, PSEUDO
from cellab_dashboards.study_files import NOT_RUN, PlannedTrial, StudyFiles

DASH = "–"
THIN_SPACE = "\N{NARROW NO-BREAK SPACE}"
FATES = (ACCEPTED, BY_ENTROPY, AS_EMPTY, BY_PROMINENCE)  # in the order of the bars
STOPPED = ("stopped", NOT_RUN)  # what becomes of trials by a Ctrl-C

Row = dict[str, object]


def score(value: float | None) -> str:
    """``"0.873"``; a dash where there is none."""
    return DASH if value is None or not math.isfinite(value) else f"{value:.3f}"


def mean_sd(values: Iterable[float]) -> str:
    """``"0.873 ± 0.004"``; without a spread where there is one value; a dash where there is none."""
    found = [value for value in values if value is not None and math.isfinite(value)]
    if not found:
        return DASH
    mean = statistics.fmean(found)
    return f"{mean:.3f} ± {statistics.stdev(found):.3f}" if len(found) > 1 else f"{mean:.3f}"


def count(number: int) -> str:
    """``"12 345"`` with a narrow space that does not break."""
    return f"{number:,}".replace(",", THIN_SPACE)


def _summary(scores: Mapping[str, Score], metric: str) -> str:
    found = scores.get(metric)
    if found is None:
        return DASH
    return score(found.mean) + ("" if found.sd is None or not math.isfinite(found.sd) else f" ± {found.sd:.3f}")


def ranking(study: StudyFiles) -> list[Row]:
    """The arms by rank: validation ranks, test is shown."""
    return [
        {
            "rank": DASH if arm.rank is None else arm.rank,
            "arm": arm.arm,
            "baseline": arm.baseline and len(study.arms) > 1,
            "generation": arm.generation,
            "best": arm.best,
            "completed": f"{arm.completed} of {arm.planned}",
            "troubles": _troubles_of([trial for trial in _unfinished(study) if trial.arm == arm.arm]),
            "validation": _summary(arm.validation, study.ranking.rank_by),
            "test": [_summary(arm.test, metric) for metric in METRIC_NAMES],
            "hidden": _summary(arm.test, HIDDEN_RECALL),
        }
        for arm in study.arms
    ]


def last_generations(study: StudyFiles) -> list[int]:
    """The arms' last generation; the lowest and the highest where some arms have fewer than others."""
    last = [arm.generation for arm in study.arms]
    return sorted({min(last), max(last)})


def _unfinished(study: StudyFiles) -> list[PlannedTrial]:
    return [trial for trial in study.trials if trial.status != "completed"]


def _troubles_of(trials: list[PlannedTrial]) -> list[str]:
    """``["seed 1 stopped", "seeds 0, 2 diverged at step 417"]``."""
    seeds: dict[str, list[str]] = {}
    for trial in trials:
        seeds.setdefault(_fate(trial), []).append(str(trial.seed))
    return [f"seed{'s' if len(who) > 1 else ''} {', '.join(who)} {fate}" for fate, who in seeds.items()]


def _fate(trial: PlannedTrial) -> str:
    return trial.status + ("" if trial.step is None else f" at step {trial.step}")


def troubles(study: StudyFiles) -> list[Row]:
    """Every trial that did not complete: its arm, what became of it and in which stage, and the message."""
    return [
        {
            "arm": trial.arm,
            "what": f"seed {trial.seed} {_fate(trial)}{_where(trial)}",
            "message": trial.message,
        }
        for trial in _unfinished(study)
    ]


def _where(trial: PlannedTrial) -> str:
    """``" of generator"`` after a step, ``" in generator"``, or nothing."""
    if not trial.stage:
        return ""
    return f" {'in' if trial.step is None else 'of'} {trial.stage}"


def only_stopped(study: StudyFiles) -> bool:
    """Whether nothing went wrong with the trials that did not complete: their study was stopped."""
    return all(trial.status in STOPPED for trial in _unfinished(study))


def by_generation(study: StudyFiles) -> list[Row]:
    """For each arm and generation, over seeds: scores on test, and recall on hidden objects of training frames."""
    return [
        {**where, "n": rows["seed"].n_unique(), "cells": _cells(rows)}
        for where, rows in _groups(study, ["arm", "generation"])
    ]


def by_seed(study: StudyFiles) -> list[Row]:
    """The same for each seed."""
    return [{**where, "cells": _cells(rows)} for where, rows in _groups(study, ["arm", "seed", "generation"])]


def _groups(study: StudyFiles, keys: list[str]) -> list[tuple[Row, pl.DataFrame]]:
    scored = study.results.filter(pl.col("average") == "micro", pl.col("reference") == study.reference)
    order = [arm.arm for arm in study.arms]
    groups = [(dict(zip(keys, where, strict=True)), rows) for where, rows in scored.group_by(keys)]
    known = [(where, rows) for where, rows in groups if where["arm"] in order]
    return sorted(known, key=lambda group: [order.index(group[0]["arm"]), *(group[0][key] for key in keys[1:])])


def _cells(rows: pl.DataFrame) -> list[str]:
    wanted = [("test", metric) for metric in METRIC_NAMES] + [("train", HIDDEN_RECALL)]
    return [
        mean_sd(rows.filter(pl.col("split") == split, pl.col("metric") == metric)["value"].to_list())
        for split, metric in wanted
    ]


def without_results(study: StudyFiles) -> list[str]:
    """The arms of which no generation was evaluated."""
    return [arm.arm for arm in study.arms if arm.arm not in set(study.results["arm"].to_list())]


def pseudo_labels(study: StudyFiles) -> list[Row]:
    """For each arm, generation and source: what became of the crops that were tried, pooled over seeds and members.

    A generation after generation 0 that has results and no counters keeps a row, with `source` None.
    """
    if study.counters.is_empty():
        return []
    pooled = study.counters.group_by("arm", "generation", "source").agg(
        *(pl.col(name).sum() for name in COUNTERS), pl.col("dice_accepted").mean(), pl.col("dice_rejected").mean()
    )
    rows = [_counter_row(row) for row in pooled.rows(named=True)]
    counted = {(row["arm"], row["generation"]) for row in rows}
    evaluated = study.results.filter(pl.col("generation") > 0).select("arm", "generation").unique().rows()
    rows += [{"arm": a, "generation": g, "source": None} for a, g in evaluated if (a, g) not in counted]
    order = {arm.arm: place for place, arm in enumerate(study.arms)}
    known = [row for row in rows if row["arm"] in order]
    return sorted(known, key=lambda row: (order[str(row["arm"])], row["generation"], row["source"] != PSEUDO))


def _counter_row(row: Row) -> Row:
    """Counts as text; `acceptance` among the crops that were labelled; `shares` of the tried crops by fate, in %."""
    counts = {name: int(str(row[name])) for name in COUNTERS}
    tried, accepted = counts["tried"], counts[ACCEPTED]
    labelled = tried - counts[BY_PROMINENCE]
    return {
        **{name: row[name] for name in ("arm", "generation", "source")},
        **{name: count(number) for name, number in counts.items()},
        **{name: score(_number(row[name])) for name in ("dice_accepted", "dice_rejected")},
        "acceptance": f"{accepted / labelled:.1%}" if labelled else DASH,
        "shares": [round(100 * counts[fate] / tried, 2) for fate in FATES] if tried else [],
        "dry": accepted == 0,
    }


def _number(value: object) -> float | None:
    return value if isinstance(value, float) else None
