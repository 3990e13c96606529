"""Gathers a study's results from the store: parquet tables, the ranking, and pictures for the report."""

import io
import json
import os
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import h5py
import polars as pl

from cellab import hdf5
from cellab.designs import Arm
from cellab.evaluation.names import METRIC_NAMES
from cellab.executors.driver import Ending, describe
from cellab.executors.stopping import Endings
from cellab.stage import Outcome, Stage
from cellab.store import Store
from cellab.study import Study, Trial

RESULTS: dict[str, Any] = {
    "arm": pl.String,
    "seed": pl.Int64,
    "generation": pl.Int64,
    "split": pl.String,
    "reference": pl.String,
    "average": pl.String,
    "metric": pl.String,
    "value": pl.Float64,
}
COUNTERS: dict[str, Any] = {
    "arm": pl.String,
    "seed": pl.Int64,
    "generation": pl.Int64,
    "member": pl.Int64,
    "source": pl.String,
    "tried": pl.Int64,
    "rejected_by_prominence": pl.Int64,
    "rejected_by_entropy": pl.Int64,
    "rejected_as_empty": pl.Int64,
    "accepted": pl.Int64,
    "refreshes": pl.Int64,
    "gave_up": pl.Int64,
    "dice_accepted": pl.Float64,
    "dice_rejected": pl.Float64,
    "threshold": pl.List(pl.Float64),
}

STATUSES = ("completed", "diverged", "failed", "stopped")


def write_results(study: Study, store: Store, endings: Endings, folder: Path) -> pl.DataFrame:
    """Writes `results.parquet`, `pseudo_labels.parquet`, `arms.json` and `images.h5` into a study's folder.

    Args:
        study: what was run.
        store: where its stages' results are.
        endings: how each trial ended, by (arm, seed); a trial without one counts as stopped.
        folder: of the study.

    Returns:
        The content of `results.parquet`.
    """
    gathered = _Gathered(study, store)
    results = pl.DataFrame(list(gathered.result_rows()), schema=RESULTS, orient="row")
    counters = pl.DataFrame(list(gathered.counter_rows()), schema=COUNTERS, orient="row")
    replace(folder / "results.parquet", lambda path: _write_table(results, path))
    replace(folder / "pseudo_labels.parquet", lambda path: _write_table(counters, path))
    replace(folder / "images.h5", gathered.write_images)
    arms = rank(study, results, {key: gathered.trial(key, endings) for key in gathered.trials})
    replace(folder / "arms.json", lambda path: path.write_text(json.dumps(arms, indent=2)))
    return results


def replace(path: Path, write: Callable[[Path], Any]) -> None:
    """Writes a file beside and renames it into place, so that it is whole or as before."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(beside)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _write_table(table: pl.DataFrame, path: Path) -> None:
    content = io.BytesIO()  # polars' own writing hides why it failed
    table.write_parquet(content)
    path.write_bytes(content.getbuffer())


class _Gathered:
    """The stored outcomes of a study's stages."""

    def __init__(self, study: Study, store: Store) -> None:
        self.study = study
        self.store = store
        self.stages: dict[str, Stage] = study.stages
        self.outcomes: dict[str, Outcome] = {key: store.outcome(key) for key in store.stored(list(self.stages))}
        self.trials: dict[tuple[str, int], Trial] = {(t.arm.name, t.seed): t for t in study.trials}

    def result_rows(self) -> Iterator[dict[str, Any]]:
        """The rows of every generation that was evaluated."""
        for (arm, seed), trial in self.trials.items():
            for number, generation in enumerate(trial.lineage.generations):
                outcome = self.outcomes.get(generation.evaluation)
                for row in outcome.metrics["rows"] if outcome else ():
                    yield {"arm": arm, "seed": seed, "generation": number, **row}

    def counter_rows(self) -> Iterator[dict[str, Any]]:
        """The counters of every member that was trained on pseudo-labels."""
        for (arm, seed), trial in self.trials.items():
            for number, generation in enumerate(trial.lineage.generations):
                for member, key in enumerate(generation.members):
                    outcome = self.outcomes.get(key)
                    sources = outcome.metrics.get("pseudo_labels", {}) if outcome else {}
                    where = {"arm": arm, "seed": seed, "generation": number, "member": member}
                    for source, counters in sources.items():
                        yield {**where, "source": source, **counters}

    def trial(self, key: tuple[str, int], endings: Endings) -> dict[str, Any]:
        """What became of one trial; a divergence with its stage and step."""
        for stage in self.trials[key].lineage.stages:
            outcome = self.outcomes.get(stage.key)
            if outcome and outcome.diverged:
                return {
                    "seed": key[1],
                    "status": "diverged",
                    "stage": stage.part,
                    "step": outcome.diverged["step"],
                    "message": describe(outcome.diverged),
                }
        last = self.trials[key].lineage.generations[-1].evaluation
        if last in self.outcomes:
            return {"seed": key[1], "status": "completed", "stage": None, "step": None, "message": None}
        ending = endings.get(key, Ending("stopped", "it was stopped before its end"))
        return {"seed": key[1], "status": ending.status, "stage": ending.stage, "step": None, "message": ending.message}

    def write_images(self, path: Path) -> None:
        """Copies generated images and overlays."""
        with hdf5.new_file(path) as file:
            for (arm, seed), trial in self.trials.items():
                where = f"{quote(arm, safe='')}/{seed}"
                self._copy_samples(file, where, trial)
                for number, generation in enumerate(trial.lineage.generations):
                    if generation.evaluation in self.outcomes:
                        overlays = self.store.fetch(generation.evaluation) / "overlays.h5"
                        _copy(overlays, "/", file, f"overlays/{where}/{number}")

    def _copy_samples(self, file: h5py.File, where: str, trial: Trial) -> None:
        key = trial.lineage.gan
        if key is None or key not in self.outcomes or self.outcomes[key].diverged:
            return
        samples = self.store.fetch(key) / "samples.h5"
        _copy(samples, "generated", file, f"generated/{where}")
        if "real" not in file:
            _copy(samples, "real", file, "real")


def _copy(path: Path, name: str, to: h5py.File, where: str) -> None:
    with h5py.File(path) as source:
        source.copy(source[name], to, name=where)


def rank(study: Study, results: pl.DataFrame, trials: dict[tuple[str, int], dict[str, Any]]) -> dict[str, Any]:
    """The ranking of arms by their mean on validation, each in its own last generation (`arms.json`).

    Completed trials count; ties are broken by the metrics after `rank_by`; arms without one have no rank.
    """
    ablation = study.ablation
    reference = "truth" if study.data_has_truth else "given"
    entries = [_arm_entry(study, arm, results, trials, reference) for arm in study.arms]
    order = [ablation.rank_by, *(name for name in METRIC_NAMES if name != ablation.rank_by)]
    scores = {
        entry["arm"]: [entry["validation"].get(name, {"mean": -1})["mean"] for name in order] for entry in entries
    }
    entries.sort(key=lambda entry: scores[entry["arm"]], reverse=True)
    for entry in entries:  # arms that tie in everything share a rank
        better = sum(scores[other["arm"]] > scores[entry["arm"]] for other in entries)
        entry["rank"] = better + 1 if entry["validation"] else None
    return {
        "study": study.name,
        "question": ablation.question,
        "rank_by": ablation.rank_by,
        "rank_split": "validation",
        "rank_reference": reference,
        "rank_average": "micro",
        "generation": max(entry["generation"] for entry in entries),
        "arms": entries,
    }


def _arm_entry(
    study: Study,
    arm: Arm,
    results: pl.DataFrame,
    trials: dict[tuple[str, int], dict[str, Any]],
    reference: str,
) -> dict[str, Any]:
    mine = [trials[arm.name, seed] for seed in study.ablation.seeds]
    completed = [trial["seed"] for trial in mine if trial["status"] == "completed"]
    generation = study.configs[arm.name].lineage.generations - 1
    last = results.filter(
        (pl.col("arm") == arm.name)
        & pl.col("seed").is_in(completed)
        & (pl.col("generation") == generation)
        & (pl.col("average") == "micro")
        & (pl.col("reference") == reference)
    )
    hidden = (pl.col("split") == "train") & (pl.col("metric") == "hidden_recall")
    return {
        "rank": None,
        "arm": arm.name,
        "baseline": arm.is_baseline,
        "overrides": list(arm.overrides),
        "generation": generation,
        "planned": len(mine),
        **{status: sum(t["status"] == status for t in mine) for status in STATUSES},
        "validation": _summaries(last.filter(pl.col("split") == "validation")),
        "test": _summaries(last.filter((pl.col("split") == "test") & (pl.col("metric") != "hidden_recall")))
        | _summaries(last.filter(hidden)),
        "trials": mine,
    }


def _summaries(rows: pl.DataFrame) -> dict[str, dict[str, float | int | None]]:
    """Mean, standard deviation (of a sample; None for one seed) and number of seeds of each metric."""
    summaries = {}
    for (metric,), group in rows.group_by("metric", maintain_order=True):
        values = group["value"].to_list()
        spread = statistics.stdev(values) if len(values) > 1 else None
        summaries[str(metric)] = {"mean": statistics.fmean(values), "sd": spread, "n": len(values)}
    return summaries
