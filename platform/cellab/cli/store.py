"""`cellab store`: lists, checks and clears the store of results."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType

from cellab import paths
from cellab.cli import console
from cellab.cli.layout import Column, laid_out
from cellab.cli.options import AsJson
from cellab.cli.study import DEFAULT_RUNS, Runs, StoreUrl, existing_store
from cellab.errors import CellabError
from cellab.keeping import Item, items, removable, remove
from cellab.store import Store
from cellab.study_files.folder import DESCRIPTION, StudyFolder

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")

UNITS = ("B", "kB", "MB", "GB", "TB")
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kMGT]?)B?")

Delete = Annotated[bool, typer.Option("--delete", help="Do it; without this, only say what would go.")]
Keep = Annotated[
    list[Path] | None,
    typer.Option(
        parser=paths.given, metavar="RUNS", help="Keep all that studies in this folder name; may be repeated."
    ),
]
Until = Annotated[
    str | None,
    typer.Option(metavar="SIZE", help="Remove more, until no more than this is left, e.g. 20GB.", show_default=False),
]


@app.command("ls", epilog="Example: cellab store ls --store s3://bucket/store")
def ls(runs: Runs = DEFAULT_RUNS, store: StoreUrl = None, as_json: AsJson = False) -> None:
    """Say what a store holds, how much room it takes, and how many stages are being computed."""
    there = _there(runs, store)
    held, live = items(there), {holder.key for holder in there.leases.live()}
    if as_json:
        told = [{"what": i.what, "kind": i.kind, "key": i.key, "path": i.path, "bytes": i.size} for i in held]
        console.print_json({"store": there.url, "items": told, "running": sorted(live)})
        return
    terminal = console.results(highlight=False)
    terminal.print(_table(held, terminal.width))
    terminal.print(f"{_size(held)} in {there.url}; {len(live)} stages are being computed.", soft_wrap=True)


@app.command(epilog="Example: cellab store verify")
def verify(runs: Runs = DEFAULT_RUNS, store: StoreUrl = None) -> None:
    """Read every result, and see that it is what was written; exit status 2 where one is not."""
    there = _there(runs, store)
    entries = [item for item in items(there) if item.what == "entry" and item.key]
    damaged = [item.path for item in entries if item.key and not there.is_sound(item.key)]
    if damaged:
        raise CellabError(
            f"{len(damaged)} of {len(entries)} results in {there.url} are damaged: {', '.join(damaged)}. "
            f"The next study that needs one computes it again."
        )
    console.results(highlight=False, soft_wrap=True).print(f"all {len(entries)} results in {there.url} are sound.")


@app.command(epilog="Example: cellab store gc --until 20GB --keep runs --delete")
def gc(
    runs: Runs = DEFAULT_RUNS,
    store: StoreUrl = None,
    until: Until = None,
    keep: Keep = None,
    delete: Delete = False,
) -> None:
    """Remove what killed commands left and states of finished stages; more, if asked to. Says first what would go.

    With --until go, in this order and the oldest first: states of unfinished stages, results that hold weights, other
    results. A study that needs one of them computes it again. Nothing goes that a running stage holds, and no results
    while any stage runs.
    """
    most, kept = _bytes(until), _named(keep or [])
    there = _there(runs, store)
    there = Store(there.url) if delete else there
    held = items(there)
    chosen = removable(there, held, kept, most)
    gone = [item for item in chosen if not delete or remove(there, item)]
    terminal = console.results(highlight=False)
    if gone:
        terminal.print(_table(gone, terminal.width))
    left = sum(item.size for item in held) - sum(item.size for item in gone)
    what = "removed" if delete else "would go, with --delete"
    terminal.print(f"{_size(gone)} {what}; {_words(left)} stay in {there.url}.", soft_wrap=True)
    if most is not None and left > most:
        notice = f"notice: more than {until} stay, since they are kept, or stages are being computed."
        console.notices(soft_wrap=True).print(notice, style="yellow")


def _there(runs: Path, url: str | None) -> Store:
    there = existing_store(runs, url)
    if there is None or not there.filesystem.isdir(there.root):
        raise CellabError(f"there is no store at {url or runs / 'store'}: name it by --store, or its folder by --runs.")
    return there


def _named(folders: Iterable[Path]) -> set[str]:
    """The keys of all stages of the studies in folders."""
    keys: set[str] = set()
    for folder in folders:
        studies = [path.parent for path in folder.glob(f"*/{DESCRIPTION}")]
        if not studies:
            raise CellabError(f"--keep {folder}: there are no studies in it.")
        for study in studies:
            keys |= StudyFolder(study).read_keys()
    return keys


def _bytes(text: str | None) -> int | None:
    if text is None:
        return None
    found = SIZE.fullmatch(text.strip())
    if not found:
        raise CellabError(f"--until {text}: give a number of bytes with a unit, e.g. 500MB or 20GB.")
    return int(float(found[1]) * 1000 ** ["", "k", "M", "G", "T"].index(found[2]))


def _words(size: float) -> str:
    step = 0
    while size >= 1000 and step < len(UNITS) - 1:
        size, step = size / 1000, step + 1
    return f"{size:.0f} {UNITS[step]}" if step == 0 else f"{size:.1f} {UNITS[step]}"


def _size(listed: Iterable[Item]) -> str:
    return _words(sum(item.size for item in listed))


def _table(listed: Sequence[Item], width: int) -> RenderableType:
    groups: dict[str, list[Item]] = {}
    for item in sorted(listed, key=lambda item: (item.what, item.kind)):
        groups.setdefault(item.kind or item.what, []).append(item)
    rows = [[name, str(len(group)), _size(group)] for name, group in groups.items()]
    return laid_out([Column("what", words=True), Column("number"), Column("size")], rows, width)
