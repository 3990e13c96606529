"""Ranks a study's arms by a table of their scores."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace

import polars as pl

from cellab.designs import Arm
from cellab.evaluation.names import HIDDEN_RECALL, PU_SCORE, RANKING_NAMES
from cellab.study import Study
from cellab.study_files.records import ArmSummary, Ranking, Score, TrialSummary

RANK_SPLIT = "validation"
RANK_AVERAGE = "micro"


def rank(study: Study, results: pl.DataFrame, trials: Mapping[tuple[str, int], TrialSummary]) -> Ranking:
    """The ranking of arms by their mean on validation, each in its own last generation.

    Completed trials count; ties are broken by the metrics after `rank_by`; arms without one have no rank.

    Args:
        study: what was run.
        results: its scores, with the columns of `results.parquet`.
        trials: what became of each, by (arm, seed).
    """
    ablation = study.ablation
    reference = "truth" if study.data_has_truth else "given"
    of_reference = pl.col("reference") == reference
    scored = results.filter(pl.col("average") == RANK_AVERAGE, of_reference | (pl.col("metric") == PU_SCORE))
    unranked = [_summary(arm, study, scored, [trials[arm.name, seed] for seed in ablation.seeds]) for arm in study.arms]
    return Ranking(
        study=study.name,
        question=ablation.question,
        rank_by=ablation.rank_by,
        rank_split=RANK_SPLIT,
        rank_reference=reference,
        rank_average=RANK_AVERAGE,
        generation=max(arm.generation for arm in unranked),
        arms=_ranked(unranked, ablation.rank_by),
    )


def _ranked(arms: Sequence[ArmSummary], rank_by: str) -> tuple[ArmSummary, ...]:
    """The arms, the best first; those that tie in everything share a rank."""
    order = [rank_by, *(name for name in RANKING_NAMES if name != rank_by)]
    nothing = Score(-1, None, 0)
    scores = {arm.arm: [arm.validation.get(name, nothing).mean for name in order] for arm in arms}
    ordered = sorted(arms, key=lambda arm: scores[arm.arm], reverse=True)
    better = {arm.arm: sum(scores[other.arm] > scores[arm.arm] for other in arms) for arm in arms}
    return tuple(replace(arm, rank=better[arm.arm] + 1 if arm.validation else None) for arm in ordered)


def _summary(arm: Arm, study: Study, scored: pl.DataFrame, trials: list[TrialSummary]) -> ArmSummary:
    """An arm over its seeds, without its rank."""
    completed = [trial.seed for trial in trials if trial.status == "completed"]
    generation = study.configs[arm.name].lineage.generations - 1
    ended = scored.filter(pl.col("arm") == arm.name, pl.col("seed").is_in(completed))
    last = ended.filter(pl.col("generation") == generation)
    is_hidden = pl.col("metric") == HIDDEN_RECALL
    statuses = [trial.status for trial in trials]
    return ArmSummary(
        rank=None,
        arm=arm.name,
        baseline=arm.is_baseline,
        overrides=arm.overrides,
        generation=generation,
        best=_best(ended, generation),
        planned=len(trials),
        completed=len(completed),
        diverged=statuses.count("diverged"),
        failed=statuses.count("failed"),
        stopped=statuses.count("stopped"),
        validation=_scores(last.filter(pl.col("split") == RANK_SPLIT)),
        test=_scores(last.filter(pl.col("split") == "test", ~is_hidden))
        | _scores(last.filter(pl.col("split") == "train", is_hidden)),
        trials=tuple(trials),
    )


def _best(scored: pl.DataFrame, last: int) -> int:
    """The generation of the highest score of given masks alone on validation, over seeds; of several the earliest."""
    chosen = scored.filter(pl.col("split") == RANK_SPLIT, pl.col("metric") == PU_SCORE)
    means = (
        chosen.group_by("generation").agg(pl.col("value").mean()).sort("value", "generation", descending=[True, False])
    )
    return int(means["generation"][0]) if len(means) else last


def _scores(rows: pl.DataFrame) -> dict[str, Score]:
    """Each metric over seeds."""
    scores = {}
    for (metric,), group in rows.group_by("metric", maintain_order=True):
        values = group["value"].to_list()
        spread = statistics.stdev(values) if len(values) > 1 else None
        scores[str(metric)] = Score(statistics.fmean(values), spread, len(values))
    return scores
