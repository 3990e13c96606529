"""The report's figures: what is first, what is missing, one colour an arm."""

import math
import statistics

import polars as pl
import pytest

from cellab_dashboards import figures
from cellab_dashboards.colours import arm_colours, arm_dashes
from cellab_dashboards.study_files import read_study


def test_every_value_of_every_view_is_within_its_axis(fabricate):
    for view in figures.curves(read_study(fabricate())).views:
        low, high = view["range"]
        assert all(low < value < high for line in view["y"] for value in line)


@pytest.mark.parametrize(("truth", "references"), [(True, ["truth", "given"]), (False, ["given"])])
def test_the_first_view_is_what_ranks_on_test(fabricate, truth, references):
    figure = figures.curves(read_study(fabricate(truth=truth)))
    assert figure.views[0]["keys"] == {"metric": "dice", "split": "test", "reference": references[0]}
    assert figure.menus["reference"] == references


def test_a_mean_says_over_how_many_seeds(fabricate):
    study = read_study(fabricate(stopped=frozenset({("gan_loss=wgan", 1)})))
    payload = figures.curves(study).payload()
    (mean,) = [line for line in payload["data"] if line["meta"] == {"arm": "gan_loss=wgan", "seed": None}]
    assert mean["customdata"] == [3, 3, 2]
    (stopped,) = [line for line in payload["data"] if line["meta"] == {"arm": "gan_loss=wgan", "seed": 1}]
    assert stopped["x"] == [0, 1]


def test_values_that_are_no_numbers_leave_a_gap(fabricate):
    folder = fabricate(seeds=(0,))
    path = folder / "results.parquet"
    gap = pl.when(pl.col("generation") == 1).then(float("nan")).otherwise(pl.col("value"))
    pl.read_parquet(path).with_columns(gap.alias("value")).write_parquet(path)
    payload = figures.curves(read_study(folder)).payload()
    assert {tuple(x) for view in payload["views"] for x in view["x"]} == {(0, 2)}
    assert all(math.isfinite(y) for view in payload["views"] for line in view["y"] for y in line)


def test_an_arm_has_one_colour_everywhere(fabricate):
    study = read_study(fabricate(arms=("gan_loss=ns_gp", "gan_loss=wgan", "gan_loss=ns")))
    colours = arm_colours(study)
    assert len(set(colours.values())) == 3
    for figure in (figures.curves(study), figures.thresholds(study)):
        assert {line["meta"]["arm"]: line["line"]["color"] for line in figure.payload()["data"]} == colours


def test_colours_do_not_hang_on_the_ranks(fabricate, tmp_path):
    arms, last = ("gan_loss=ns_gp", "gan_loss=wgan", "gan_loss=ns"), ("gan_loss=wgan", "gan_loss=ns")
    gone = {arm: frozenset({(arm, seed) for seed in (0, 1, 2)}) for arm in last}
    studies = [read_study(fabricate(tmp_path / arm, arms=arms, diverged=gone[arm])) for arm in last]
    assert [study.arms[-1].arm for study in studies] == list(last)
    assert arm_colours(studies[0]) == arm_colours(studies[1])


def test_arms_are_told_apart_when_colours_run_out(fabricate):
    study = read_study(fabricate(arms=tuple(f"unet.width={i}" for i in range(14)), seeds=(0,), gan=False))
    colours, dashes = arm_colours(study), arm_dashes(study)
    assert len({(colours[arm], dashes[arm]) for arm in colours}) == 14


def test_the_thresholds_are_those_of_each_seeds_first_member(fabricate):
    study = read_study(fabricate())
    figure = figures.thresholds(study)
    assert figure.menus == {"generation": ["1", "2"]}
    payload = figure.payload()
    assert len(payload["data"]) == 2 * 3 * 2  # arms, seeds, sources
    first = study.counters.filter(pl.col("generation") == 1, pl.col("member") == 0)
    expected = sorted(statistics.fmean(values) for values in first["threshold"].to_list())
    assert sorted(statistics.fmean(y) for y in payload["views"][0]["y"]) == pytest.approx(expected, rel=1e-4)
    assert all((x[0], x[-1]) == (0, 1) for x in payload["views"][0]["x"])


def test_without_numbers_there_is_no_figure(fabricate):
    everything = frozenset({(arm, seed) for arm in ("gan_loss=ns_gp", "gan_loss=wgan") for seed in (0, 1, 2)})
    study = read_study(fabricate(diverged=everything))
    assert figures.curves(study) is None
    assert figures.thresholds(study) is None
