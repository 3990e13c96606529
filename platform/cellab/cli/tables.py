"""The plan, the ranking and what it took as tables for the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from rich.console import Group
from rich.text import Text

from cellab.cli.display import duration
from cellab.cli.layout import Column, fits, laid_out
from cellab.evaluation.names import HIDDEN_RECALL, METRIC_NAMES
from cellab.study import Study
from cellab.study_files.records import STATUSES, ArmSummary, Plan, Ranking, Score

WIDE = 140  # columns
NARROW = 90


def plan_table(planned: Plan, study: Study, width: int) -> Group:
    """Arms, seeds and stages of a plan, for a terminal of a width (columns)."""
    head = Text.assemble(
        (study.ablation.question, "italic"),
        f"\n\n{len(planned['arms'])} arms × {len(planned['seeds'])} seeds {planned['seeds']} = ",
        (f"{planned['trials']} trials", "bold"),
        f", {study.config.lineage.generations} generations of {study.config.lineage.members} members each\n",
    )
    named = [[arm.name + (" (baseline)" if arm.is_baseline else ""), " ".join(arm.overrides)] for arm in study.arms]
    arms = laid_out([Column("arm", words=True), Column("overrides", words=True)], named, width)
    counted = [
        [kind, *map(str, (count["asked"], count["distinct"], count["stored"], count["distinct"] - count["stored"]))]
        for kind, count in planned["stages"].items()
    ]
    counts = [Column(title) for title in ("asked for", "distinct", "stored", "to compute")]
    stages = laid_out([Column("stages", words=True), *counts], counted, width)
    asked = sum(count["asked"] for count in planned["stages"].values())
    distinct = sum(count["distinct"] for count in planned["stages"].values())
    saving = f"\nSharing saves {asked - distinct} of {asked} stages ({(asked - distinct) / asked:.0%})."
    return Group(head, arms, Text(), stages, Text(saving))


def ranking_table(ranking: Ranking, width: int) -> Group:
    """The arms by rank: validation ranks, test is shown; of what does not fit into a narrow table, some is left out."""
    spread, metrics = width >= WIDE, [name for name in METRIC_NAMES if width >= NARROW or name != "jaccard"]
    columns, rows = _scores(ranking, metrics, spread=spread)
    if not fits(columns, rows, width):  # then it is a list, which has room for everything
        spread = True
        columns, rows = _scores(ranking, METRIC_NAMES, spread=True)
    several = len(ranking.arms) > 1
    against = "the truth" if ranking.rank_reference == "truth" else "the given masks"
    which = "Each arm's last generation" if _differ(ranking) else f"Generation {ranking.generation}"
    head = Text.assemble(
        (f"\n{ranking.question}\n", "italic"),
        f"{which} against {against}, micro-averaged, mean{' ± SD' if spread else ''} over "
        f"seeds; ranked by validation {ranking.rank_by}."
        + (" Hidden recall: of hidden objects in training frames.\n" if _hidden(ranking) else "\n"),
    )
    note = [Text("* baseline", style="dim")] if several else []
    note += [
        Text(f"{arm.arm}: by given masks alone (pu_score, validation) generation {arm.best} is better than the last.")
        for arm in ranking.arms
        if arm.best != arm.generation
    ]
    return Group(head, laid_out(columns, rows, width), *note, *_troubles(ranking))


def _differ(ranking: Ranking) -> bool:
    """Whether some arms end in other generations than others."""
    return len({arm.generation for arm in ranking.arms}) > 1


def _hidden(ranking: Ranking) -> bool:
    return any(HIDDEN_RECALL in arm.test for arm in ranking.arms)


def _scores(ranking: Ranking, metrics: Sequence[str], *, spread: bool) -> tuple[list[Column], list[list[str]]]:
    """The ranking's columns, and a row for each arm."""
    differ, hidden, several = _differ(ranking), _hidden(ranking), len(ranking.arms) > 1
    columns = [Column("rank"), Column("arm", words=True), Column("trials")]
    columns += [Column("gener-\nation")] if differ else []
    columns += [Column(f"validation\n{ranking.rank_by}"), *(Column(f"test\n{metric}") for metric in metrics)]
    columns += [Column("hidden\nrecall")] if hidden else []
    rows = []
    for arm in ranking.arms:
        name = arm.arm + (" *" if arm.baseline and several else "")
        cells = ["–" if arm.rank is None else str(arm.rank), name, _trials(arm)]
        cells += [str(arm.generation)] if differ else []
        cells.append(_summary(arm.validation, ranking.rank_by, spread))
        cells += [_summary(arm.test, metric, spread) for metric in metrics]
        rows.append(cells + ([_summary(arm.test, HIDDEN_RECALL, spread)] if hidden else []))
    return columns, rows


def _summary(scores: Mapping[str, Score], metric: str, with_spread: bool) -> str:
    if metric not in scores:
        return "–"
    spread = scores[metric].sd if with_spread else None
    return f"{scores[metric].mean:.3f}" + ("" if spread is None else f" ± {spread:.3f}")


def _trials(arm: ArmSummary) -> str:
    counts = {status: arm.count(status) for status in STATUSES if status != "completed"}
    troubles = [f"{count} {status}" for status, count in counts.items() if count]
    return f"{arm.completed}/{arm.planned}" + (f" ({', '.join(troubles)})" if troubles else "")


def _troubles(ranking: Ranking) -> list[Text]:
    lines = []
    for arm in ranking.arms:
        for trial in arm.trials:
            if trial.status != "completed":
                where = f" in {trial.stage}" if trial.stage else ""
                text = f"{arm.arm} seed={trial.seed} {trial.status}{where}: {trial.message}"
                lines.append(Text(text, style="yellow"))
    return [Text(), *lines] if lines else []


def cost_table(stages: pl.DataFrame, arms: Sequence[str], width: int) -> Group:
    """What each arm took, a line each; where nobody has written some stage's cost down, at least so much.

    Args:
        stages: with the columns of `stages.parquet`.
        arms: in the order in which they are shown.
        width: of the terminal (columns).
    """
    columns = [Column("arm", words=True), *map(Column, ("stages", "ran here", "time", "CPU time", "peak memory"))]
    summed = stages.group_by("arm").agg(
        pl.len(),
        ran=(pl.col("how") == "ran").sum(),
        lacking=pl.col("seconds").null_count(),
        seconds=pl.col("seconds").sum(),
        cpu_seconds=pl.col("cpu_seconds").sum(),
        peak_bytes=pl.max_horizontal(pl.col("peak_bytes").max(), pl.col("gpu_peak_bytes").max()),
    )
    by_arm = {found["arm"]: found for found in summed.iter_rows(named=True)}
    rows = [_cost_row(by_arm[arm]) for arm in arms if arm in by_arm]
    head = Text("\nWhat each arm takes, stages that it shares with others included:\n")
    return Group(head, laid_out(columns, rows, width)) if rows else Group()


def _cost_row(found: Mapping[str, Any]) -> list[str]:
    least = "≥ " if found["lacking"] else ""
    times = [least + duration(found[name]) for name in ("seconds", "cpu_seconds")]
    peak = "–" if found["peak_bytes"] is None else f"{found['peak_bytes'] / 2**30:.1f} GiB"
    return [found["arm"], str(found["len"]), str(found["ran"]), *times, peak]
