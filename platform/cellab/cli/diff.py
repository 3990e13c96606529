"""`cellab diff`: two studies side by side, what they were asked and what came out."""

from collections.abc import Iterable

import polars as pl
from rich.console import Group, RenderableType
from rich.text import Text

from cellab.cli import console
from cellab.cli.comparing import differences
from cellab.cli.folders import Folder, study_in
from cellab.cli.layout import Column, laid_out
from cellab.study_files.folder import StudyFolder
from cellab.study_files.records import ArmSummary, Ranking
from cellab.study_files.tables import RESULTS

PROVENANCE = ("cellab", "git", "packages", "python", "hardware")  # of it, what may explain a difference
ALL = "all"  # arms


def diff(one: Folder, other: Folder) -> None:
    """Show how two studies differ: configurations of the arms that both have, code, and results.

    Example: cellab diff runs/gan_loss runs/gan_loss-bf16
    """
    first, second = study_in(one), study_in(other)
    terminal = console.results()
    parts = [_asked(first, second, terminal.width), _configurations(first, second, terminal.width)]
    terminal.print(*parts, _came_out(first, second, terminal.width))


def _asked(first: StudyFolder, second: StudyFolder, width: int) -> RenderableType:
    """What their descriptions say but for the configuration, which arms have, and what they were run with."""
    described = [
        {key: value for key, value in study.read_description().content.items() if key != "config"}
        | {key: value for key, value in study.read_provenance().items() if key in PROVENANCE}
        for study in (first, second)
    ]
    rows = [[each.key, _one_line(each.one), _one_line(each.other)] for each in differences(*described)]
    return _table("what was asked and run with", ["key", str(first.path), str(second.path)], rows, width)


def _one_line(text: str) -> str:
    """A diff of uncommitted code is too long to be shown: it differs, and how long it is says enough."""
    return f"{len(text.splitlines())} lines" if "\n" in text else text


def _configurations(first: StudyFolder, second: StudyFolder, width: int) -> RenderableType:
    """The keys at which an arm of the first differs from its namesake of the second."""
    one, other = first.read_configurations().arms, second.read_configurations().arms
    both = [arm for arm in one if arm in other]
    arms: dict[tuple[str, str, str], list[str]] = {}
    for arm in both:
        for found in differences(one[arm], other[arm]):
            arms.setdefault((found.key, found.one, found.other), []).append(arm)
    rows = [[key[0], ALL if having == both else " ".join(having), *key[1:]] for key, having in arms.items()]
    titles = ["key", "arms", str(first.path), str(second.path)]
    return _table(f"configurations of the {len(both)} arms that both have", titles, rows, width)


def _came_out(first: StudyFolder, second: StudyFolder, width: int) -> RenderableType:
    rankings = (first.read_ranking(), second.read_ranking())
    one, other = ({arm.arm: arm for arm in ranking.arms} for ranking in rankings)
    by = rankings[0].rank_by
    titles = ["arm", f"{by} {first.path}", f"{by} {second.path}", "difference"]
    columns = [Column(title, words=title == "arm") for title in titles]
    rows = [_scores(arm, one.get(arm), other.get(arm), rankings[0]) for arm in dict.fromkeys([*one, *other])]
    head = Text(f"\nresults on {rankings[0].rank_split}, mean over seeds", style="bold")
    return Group(
        head, laid_out(columns, rows, width), Text(f"\n{in_rows(first.read_results(), second.read_results())}")
    )


def _scores(name: str, one: ArmSummary | None, other: ArmSummary | None, ranking: Ranking) -> list[str]:
    found = [arm.validation.get(ranking.rank_by) if arm else None for arm in (one, other)]
    cells = ["–" if score is None else f"{score.mean:.4f} (n={score.n})" for score in found]
    first, second = found
    return [name, *cells, "–" if first is None or second is None else f"{second.mean - first.mean:+.4f}"]


def in_rows(one: pl.DataFrame, other: pl.DataFrame) -> str:
    """A sentence about the rows of two tables of results that say the same thing of the same trial.

    Args:
        one: with the columns of `results.parquet`.
        other: likewise.
    """
    keys = [name for name in RESULTS if name != "value"]
    both = one.join(other, on=keys, how="inner", nulls_equal=True, suffix="_other")
    apart = both.with_columns(gap=(pl.col("value") - pl.col("value_other")).abs()).filter(
        ~pl.col("value").eq_missing(pl.col("value_other"))
    )
    if not len(both):
        return "They have no row of results in common."
    if not len(apart):
        return f"All {len(both)} rows of results that both have are equal."
    worst = apart.sort("gap", descending=True).row(0, named=True)
    where = f"{worst['arm']} seed={worst['seed']} gen {worst['generation']} {worst['split']} {worst['metric']}"
    return f"{len(apart)} of {len(both)} rows of results that both have differ, most by {worst['gap']:.4f} ({where})."


def _table(title: str, columns: list[str], rows: Iterable[list[str]], width: int) -> RenderableType:
    listed = list(rows)
    if not listed:
        return Text(f"{title}: no difference")
    return Group(Text(title, style="bold"), laid_out([Column(each, words=True) for each in columns], listed, width))
