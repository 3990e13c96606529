"""The report's numbers are those of the study's files."""

import json

import polars as pl
import pytest

from cellab.evaluation.names import METRIC_NAMES
from cellab_dashboards import tables
from cellab_dashboards.report import significance
from cellab_dashboards.study_files import read_study


@pytest.fixture
def study(fabricate):
    return read_study(fabricate())


def chosen(study, **where):
    """The scores of `results.parquet` with these values in its columns."""
    where = {"average": "micro", "reference": "truth", **where}
    return study.results.filter(*(pl.col(name) == value for name, value in where.items()))["value"]


def test_by_generation(study):
    rows = tables.by_generation(study)
    assert len(rows) == 2 * 3
    wanted = [("test", metric) for metric in METRIC_NAMES] + [("train", "hidden_recall")]
    for row in rows:
        where = {"arm": row["arm"], "generation": row["generation"]}
        found = [chosen(study, split=split, metric=metric, **where) for split, metric in wanted]
        assert row["cells"] == [f"{values.mean():.3f} ± {values.std():.3f}" for values in found]
        assert row["n"] == 3


def test_by_seed(study):
    rows = tables.by_seed(study)
    assert len(rows) == 2 * 3 * 3
    for row in rows:
        where = {name: row[name] for name in ("arm", "seed", "generation")}
        assert row["cells"][0] == f"{chosen(study, split='test', metric='dice', **where).item():.3f}"


def test_ranking(study):
    rows = tables.ranking(study)
    assert [row["rank"] for row in rows] == [1, 2]
    assert [row["arm"] for row in rows if row["baseline"]] == ["gan_loss=ns_gp"]
    for row in rows:
        values = chosen(study, arm=row["arm"], generation=2, split="validation", metric="dice")
        assert row["validation"] == f"{values.mean():.3f} ± {values.std():.3f}"
        values = chosen(study, arm=row["arm"], generation=2, split="test", metric="precision")
        assert row["test"][2] == f"{values.mean():.3f} ± {values.std():.3f}"


def test_the_ranking_keeps_the_order_of_the_ranks(fabricate):
    folder = fabricate()
    ranking = json.loads((folder / "arms.json").read_text())
    ranking["arms"].reverse()
    ranking["arms"][0]["rank"] = None
    (folder / "arms.json").write_text(json.dumps(ranking))
    assert [row["rank"] for row in tables.ranking(read_study(folder))] == [1, "–"]


def test_counters_are_pooled_over_seeds_and_members(study):
    rows = tables.pseudo_labels(study)
    assert len(rows) == 2 * 2 * 2
    real, generated = rows[:2]
    assert (real["source"], real["tried"], real["accepted"], real["acceptance"]) == ("pseudo", "600", "180", "50.0%")
    assert real["shares"] == [30, 25, 5, 40]
    assert (real["dice_accepted"], real["dice_rejected"]) == ("0.910", "0.720")
    assert (generated["source"], generated["dice_accepted"]) == ("generated", "–")


def test_a_source_that_gave_nothing_is_marked(fabricate):
    folder = fabricate()
    path = folder / "pseudo_labels.parquet"
    counters = pl.read_parquet(path)
    rejected = counters.with_columns(
        pl.when(pl.col("source") == "pseudo").then("accepted").otherwise(0).alias("accepted")
    )
    rejected.write_parquet(path)
    assert {row["source"] for row in tables.pseudo_labels(read_study(folder)) if row["dry"]} == {"generated"}


def test_a_generation_without_counters_keeps_a_row(fabricate):
    folder = fabricate()
    path = folder / "pseudo_labels.parquet"
    pl.read_parquet(path).filter(pl.col("generation") != 2).write_parquet(path)
    rows = [row for row in tables.pseudo_labels(read_study(folder)) if row["generation"] == 2]
    assert [(row["arm"], row["source"]) for row in rows] == [(arm.arm, None) for arm in read_study(folder).arms]


@pytest.mark.parametrize(
    ("values", "text"),
    [([], "–"), ([0.5], "0.500"), ([0.5, 0.7], "0.600 ± 0.141"), ([None, float("nan"), 1.0], "1.000")],
)
def test_mean_sd(values, text):
    assert tables.mean_sd(values) == text


def test_counts_are_grouped():
    assert tables.count(1234567) == "1\u202f234\u202f567"


@pytest.mark.parametrize(
    ("seeds", "least"), [((0,), "2/2^1 = 1"), ((0, 1), "2/2^2 = 0.5"), (range(6), "2/2^6 = 0.031")]
)
def test_what_so_many_seeds_can_show(fabricate, seeds, least):
    said = significance(read_study(fabricate(seeds=tuple(seeds), generations=1)))
    assert "no significance is claimed" in said
    assert least in said
