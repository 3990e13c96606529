"""A data set's summary as a table for the terminal."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cellab.cli.layout import Column, laid_out
from cellab.data.summary import Summary
from cellab.plain import Plain, PlainMapping, listed, mapping

SHOWN_RUNS = 3
FAULTS = {"gaps": "with gaps", "stale": "stale"}


def data_table(summary: Summary, width: int) -> Group:
    """The summary of `cellab.data.summary.summarise`, laid out for people on a terminal of a width (columns)."""
    parts: list[RenderableType] = [_facts(summary), Text(), _splits(summary, width)]
    for notice in listed(summary["provenance"].get("notices")):
        parts.append(Text(f"notice: {notice}", style="yellow"))
    return Group(*parts)


def _facts(summary: Summary) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    provenance = summary["provenance"]
    sizes = ", ".join(f"{scale}: {size}" for scale, size in summary["sizes"].items())
    table.add_row("file", summary["path"])
    table.add_row("frames", f"{summary['frames']}, {'consecutive' if summary['related'] else 'unrelated'}")
    table.add_row("scales", sizes)
    table.add_row("masks", "instance ids" if summary["instances"] else "binary")
    table.add_row("truth", "complete masks" if summary["has_truth"] else "none")
    table.add_row("source", f"{provenance.get('source', 'unknown')} (licence: {provenance.get('licence', 'unknown')})")
    table.add_row("made by", _history(provenance))
    table.add_row("digest", summary["digest"])
    return table


def _history(provenance: PlainMapping) -> str:
    steps = [str(provenance.get("made_by", "unknown"))]
    for step in map(mapping, listed(provenance.get("history"))):
        given = ", ".join(f"{name} {_argument(value)}" for name, value in mapping(step["arguments"]).items())
        counts = [f"{step['objects']} of {step['of_objects']} objects"]
        counts += [f"{step[key]} {words}" for key, words in FAULTS.items() if key in step]
        steps.append(f"{step['made_by']} ({given}: {', '.join(counts)})")
    return ", then ".join(steps)


def _argument(value: Plain) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _splits(summary: Summary, width: int) -> RenderableType:
    truth = ("true objects", "true area", "hidden") if summary["has_truth"] else ()
    columns = [Column(title) for title in ("frames", "with mask", "objects", "area", *truth)]
    return laid_out([Column("split", words=True), *columns], list(_rows(summary)), width)


def _rows(summary: Summary) -> Iterator[list[str]]:
    for name, split in summary["splits"].items():
        cells = [str(split["frames"]), str(split["annotated"]), str(split["objects"]), _share(split["foreground"])]
        if summary["has_truth"]:
            cells += [str(split["objects_truth"]), _share(split["foreground_truth"]), _share(split["hidden"])]
        numbers = f" ({_runs(split['runs'])})" if summary["related"] and split["frames"] else ""
        yield [name + numbers, *cells]


def _runs(runs: list[list[int]]) -> str:
    """``"0–10"``, ``"11, 15"``; of many runs the first and the last."""
    written = [str(first) if first == last else f"{first}–{last}" for first, last in runs]
    return ", ".join(written if len(written) <= SHOWN_RUNS else [written[0], "…", written[-1]])


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"
