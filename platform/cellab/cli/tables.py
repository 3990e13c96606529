"""The plan and the ranking as tables for the terminal."""

from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from cellab.evaluation.names import METRIC_NAMES
from cellab.study import Study

WIDE = 140  # columns
NARROW = 90


def plan_table(planned: dict[str, Any], study: Study) -> Group:
    """Arms, seeds and stages of a plan."""
    head = Text.assemble(
        (study.ablation.question, "italic"),
        f"\n\n{len(planned['arms'])} arms × {len(planned['seeds'])} seeds {planned['seeds']} = ",
        (f"{planned['trials']} trials", "bold"),
        f", {study.config['generations']} generations of {study.config['members']} members each\n",
    )
    arms = Table(box=None, pad_edge=False, header_style="bold")
    arms.add_column("arm")
    arms.add_column("overrides")
    for arm in study.arms:
        arms.add_row(arm.name + (" (baseline)" if arm.is_baseline else ""), " ".join(arm.overrides))
    stages = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("stages", "asked for", "distinct", "stored", "to compute"):
        stages.add_column(column, justify="left" if column == "stages" else "right")
    for kind, count in planned["stages"].items():
        left = count["distinct"] - count["stored"]
        stages.add_row(kind, str(count["asked"]), str(count["distinct"]), str(count["stored"]), str(left))
    asked = sum(count["asked"] for count in planned["stages"].values())
    distinct = sum(count["distinct"] for count in planned["stages"].values())
    saving = f"\nSharing saves {asked - distinct} of {asked} stages ({(asked - distinct) / asked:.0%})."
    return Group(head, arms, Text(), stages, Text(saving))


def ranking_table(ranking: dict[str, Any], width: int) -> Group:
    """The arms by rank: validation ranks, test is shown, what does not fit a narrow terminal left out."""
    spread = width >= WIDE
    several = len(ranking["arms"]) > 1
    generations = {arm["generation"] for arm in ranking["arms"]}
    differ = len(generations) > 1
    metrics = [name for name in METRIC_NAMES if width >= NARROW or name != "jaccard"]
    hidden = any("hidden_recall" in arm["test"] for arm in ranking["arms"])
    columns = ["trials", *(["gener-\nation"] if differ else []), f"validation\n{ranking['rank_by']}"]
    columns += [*(f"test\n{metric}" for metric in metrics), *(["hidden\nrecall"] if hidden else [])]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("rank", justify="right", no_wrap=True)
    table.add_column("arm", overflow="fold")  # a long name gives way, no number does
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for arm in ranking["arms"]:
        cells = [_summary(arm["test"], metric, spread) for metric in metrics]
        cells += [_summary(arm["test"], "hidden_recall", spread)] if hidden else []
        name = arm["arm"] + (" *" if arm["baseline"] and several else "")
        rank = "–" if arm["rank"] is None else str(arm["rank"])
        cells.insert(0, _summary(arm["validation"], ranking["rank_by"], spread))
        table.add_row(rank, name, _trials(arm), *([str(arm["generation"])] if differ else []), *cells)
    against = "the truth" if ranking["rank_reference"] == "truth" else "the given masks"
    which = "Each arm's last generation" if differ else f"Generation {ranking['generation']}"
    head = Text.assemble(
        (f"\n{ranking['question']}\n", "italic"),
        f"{which} against {against}, micro-averaged, mean{' ± SD' if spread else ''} over "
        f"seeds; ranked by validation {ranking['rank_by']}."
        + (" Hidden recall: of hidden objects in training frames.\n" if hidden else "\n"),
    )
    note = [Text("* baseline", style="dim")] if several else []
    return Group(head, table, *note, *_troubles(ranking))


def _summary(summaries: dict[str, Any], metric: str, with_spread: bool) -> str:
    if metric not in summaries:
        return "–"
    spread = summaries[metric]["sd"] if with_spread else None
    return f"{summaries[metric]['mean']:.3f}" + ("" if spread is None else f" ± {spread:.3f}")


def _trials(arm: dict[str, Any]) -> str:
    troubles = [f"{arm[status]} {status}" for status in ("diverged", "failed") if arm[status]]
    return f"{arm['completed']}/{arm['planned']}" + (f" ({', '.join(troubles)})" if troubles else "")


def _troubles(ranking: dict[str, Any]) -> list[Text]:
    lines = []
    for arm in ranking["arms"]:
        for trial in arm["trials"]:
            if trial["status"] != "completed":
                where = f" in {trial['stage']}" if trial["stage"] else ""
                text = f"{arm['arm']} seed={trial['seed']} {trial['status']}{where}: {trial['message']}"
                lines.append(Text(text, style="yellow"))
    return [Text(), *lines] if lines else []
