"""`cellab show`: one trial of a study, as it was resolved, and where each of its stages came from."""

import re
from collections.abc import Iterable
from typing import Annotated, Any

import polars as pl
import typer
import yaml
from rich.console import Group, RenderableType
from rich.text import Text

from cellab.cli import console
from cellab.cli.comparing import Difference, differences
from cellab.cli.display import duration
from cellab.cli.folders import Folder, study_in
from cellab.cli.layout import Column, laid_out
from cellab.cli.options import AsJson
from cellab.errors import CellabError
from cellab.names import did_you_mean
from cellab.study_files.folder import StudyFolder
from cellab.study_files.records import Configurations, TrialSummary

KEY_SHOWN = 12  # of a key's 64 characters: the store's folders begin so


def show(
    folder: Folder,
    trial: Annotated[
        list[str], typer.Argument(metavar="TRIAL", help="An arm, and a seed (else the first): gan_loss=wgan seed=1.")
    ],
    as_json: AsJson = False,
) -> None:
    """Show a trial: what became of it, what sets it apart, where its stages came from, its whole configuration.

    Example: cellab show runs/gan_loss gan_loss=wgan seed=1
    """
    study = study_in(folder)
    configurations = study.read_configurations()
    arm, seed = _trial(" ".join(trial), configurations, study.read_description().seeds)
    config = configurations.arms[arm]
    found = differences(configurations.arms[configurations.baseline], config)
    stages, ended = _stages(study, arm, seed), _summary(study, arm, seed)
    if as_json:
        became = {"status": ended.status, "message": ended.message} if ended else None
        console.print_json(
            {
                **{"arm": arm, "seed": seed, "became": became, "baseline": configurations.baseline},
                "differences": {each.key: {"baseline": each.one, "here": each.other} for each in found},
                **{"stages": stages, "config": config},
            }
        )
        return
    terminal = console.results()
    head = Text.assemble((f"{arm} seed={seed}", "bold"), f": {_in_words(ended)}")
    terminal.print(head, _apart(found, arm, configurations.baseline, terminal.width), _came(stages, terminal.width))
    terminal.print(Text(f"\n{yaml.safe_dump(config, sort_keys=False, allow_unicode=True)}"), soft_wrap=True)


def _trial(named: str, configurations: Configurations, seeds: list[int]) -> tuple[str, int]:
    """An arm and a seed, of which the first may be left out where there is one, and the second always."""
    arms = list(configurations.arms)
    parts = re.fullmatch(r"(?:(?P<arm>.*?) ?)seed=(?P<seed>\d+)", named) if named not in arms else None
    arm, seed = (parts["arm"], int(parts["seed"])) if parts else (named, seeds[0])
    if not arm and len(arms) == 1:
        arm = arms[0]
    if arm not in arms:
        raise CellabError(f"there is no arm {arm!r}{did_you_mean(arm, arms)}")
    if seed not in seeds:
        raise CellabError(f"seed={seed}: the study has no such seed; there are {', '.join(map(str, seeds))}.")
    return arm, seed


def _summary(study: StudyFolder, arm: str, seed: int) -> TrialSummary | None:
    """What became of a trial; None before the study's results were written."""
    if not study.ranking.is_file():
        return None
    trials = [trial for each in study.read_ranking().arms if each.arm == arm for trial in each.trials]
    return next((trial for trial in trials if trial.seed == seed), None)


def _in_words(ended: TrialSummary | None) -> str:
    if ended is None:
        return "not known yet: results are written when the study ends or is stopped"
    where = f" in {ended.stage}" if ended.stage else ""
    return f"{ended.status}{where}" + (f": {ended.message}" if ended.message else "")


def _stages(study: StudyFolder, arm: str, seed: int) -> list[dict[str, Any]]:
    """The rows of a trial's stages; none before they were written."""
    if not study.stages.is_file():
        return []
    return study.read_stages().filter(pl.col("arm") == arm, pl.col("seed") == seed).to_dicts()


def _apart(found: Iterable[Difference], arm: str, baseline: str, width: int) -> RenderableType:
    if arm == baseline:
        return Text("It is the baseline.")
    columns = [Column("differs in", words=True), Column("baseline", words=True), Column("here", words=True)]
    return Group(Text(), laid_out(columns, list(map(list, found)), width)) if found else Text("As the baseline.")


def _came(stages: list[dict[str, Any]], width: int) -> RenderableType:
    if not stages:
        return Text("\nNo stage of it is known to have ended.")
    titles = ("stage", "how", "device", "key")
    columns = [*(Column(title, words=True) for title in titles), Column("time"), Column("CPU time")]
    rows = [
        [
            *(each["stage"], each["how"], each["device"] or "–", each["key"][:KEY_SHOWN]),
            *("–" if each[name] is None else duration(each[name]) for name in ("seconds", "cpu_seconds")),
        ]
        for each in stages
    ]
    return Group(Text(), laid_out(columns, rows, width))
