"""`cellab components`: lists and shows the swappable parts, and begins new ones."""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Annotated, TypedDict

import typer
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from cellab import components, paths
from cellab.cli import console
from cellab.cli.console import Terminal
from cellab.cli.options import AsJson
from cellab.components import Component
from cellab.conformity import members, name_of
from cellab.contracts import CONTRACTS
from cellab.documentation import Documentation, arguments_of, wrapped
from cellab.errors import CellabError, ConfigError
from cellab.names import did_you_mean
from cellab.plain import PlainMapping
from cellab.settings import target_of
from cellab.targets import resolve

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")

LEAST = 24  # columns of the terminal below which summaries are not folded


@app.command("list", epilog="Example: cellab components list gan_loss")
def list_(
    kind: Annotated[str | None, typer.Argument(help="Only this kind, e.g. gan_loss.")] = None, as_json: AsJson = False
) -> None:
    """List every component that is installed, by kind."""
    chosen = list(components.catalogue().values())
    if kind is not None:
        components.names(kind)  # an unknown kind is an error
        chosen = [component for component in chosen if component.kind == kind]
    rows = _rows(chosen)
    if as_json:
        console.print_json(rows)
        return
    terminal = console.results()
    widest = 2 + sum(max(len(row[cell]) for row in rows) + 2 for cell in ("name", "origin"))
    lay_out = _table if widest + LEAST <= terminal.width else _entries
    for n, (each, of_kind) in enumerate(groupby(rows, key=lambda row: row["kind"])):
        terminal.print(Text.assemble("\n" if n else "", (each, "bold")))
        terminal.print(Padding(lay_out(list(of_kind)), (0, 0, 0, 2)))


def _table(rows: list[dict[str, str]]) -> RenderableType:
    """Name, origin and summary side by side."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row(row["name"], row["origin"], row["summary"])
    return table


def _entries(rows: list[dict[str, str]]) -> RenderableType:
    """The same for a narrow terminal, the summary below."""
    lines: list[RenderableType] = []
    for row in rows:
        lines.append(Text.assemble(row["name"], (f" {row['origin']}", "dim"), overflow="fold"))
        lines.append(Padding(Text(row["summary"], overflow="fold"), (0, 0, 0, 2)))
    return Group(*lines)


def _rows(chosen: list[Component]) -> list[dict[str, str]]:
    """One a component; all those whose class cannot be loaded are told together."""
    rows, mistakes = [], []
    for c in chosen:
        try:
            rows.append({"kind": c.kind, "name": c.name, "origin": c.origin, "summary": c.summary})
        except CellabError as error:
            mistakes.append(str(error))
    if mistakes:
        raise ConfigError(mistakes)
    return rows


@app.command(epilog="Example: cellab components show gan_loss/ns_gp")
def show(
    component: Annotated[str, typer.Argument(help="KIND/NAME, e.g. gan_loss/ns_gp.")], as_json: AsJson = False
) -> None:
    """Show one component: its YAML, signature, documentation, and the contract of its kind."""
    kind, slash, name = component.partition("/")
    if not slash:
        known = [f"{k}/{n}" for k, n in components.catalogue()]
        raise CellabError(f"{component!r} is not KIND/NAME{did_you_mean(component, known)}")
    found = components.get(kind, name)
    if mistakes := components.check_signature(found.config, found.where):
        raise ConfigError(mistakes)
    parts = list(_parts(found.config))
    if as_json:
        about = {"kind": kind, "name": name, "origin": found.origin, "summary": found.summary, "path": str(found.path)}
        described = [part.as_json() for part in parts]
        whole = {**described[0], **about, "config": found.config, "parts": described[1:], "contract": _contract(kind)}
        console.print_json(whole)
        return
    terminal = console.results(highlight=False)
    terminal.print(Text.assemble((f"{kind}/{name}", "bold"), f" · {found.origin}"))
    terminal.print(Text(found.summary))
    terminal.print(Text(f"\n{found.path}", style="dim"), soft_wrap=True)
    yaml = Syntax("", "yaml", background_color="default").highlight(found.path.read_text(encoding="utf-8").rstrip())
    yaml.rstrip()
    terminal.print(yaml, soft_wrap=True)  # a broken line could not be copied
    for part in parts:
        _print_part(terminal, part, found.summary)
    _print_contract(terminal, kind)


@dataclass(frozen=True)
class _Part:
    """A component's class, or one that its YAML names inside, under `key`."""

    key: str
    target: str
    arguments: list[str]
    documentation: Documentation

    @property
    def signature(self) -> str:
        """On one line."""
        return f"{self.target}({', '.join(self.arguments)})"

    def as_json(self) -> PlainMapping:
        """What programs read."""
        return {
            "key": self.key,
            "signature": self.signature,
            "summary": self.documentation.summary,
            "formula": self.documentation.formula,
            "reference": self.documentation.reference,
            "documentation": self.documentation.rest,
        }


def _parts(config: PlainMapping, key: str = "") -> Iterator[_Part]:
    named = target_of(config)
    target = resolve(named, key)
    if named.startswith("torch."):  # whose pages are long, and known
        yield _Part(key, named, ["..."], Documentation(Documentation.of(target).summary, "", "", ""))
    else:
        yield _Part(key, named, arguments_of(target), Documentation.of(target))
    for name, value in config.items():
        if isinstance(value, dict) and "_target_" in value:
            yield from _parts(value, f"{key}.{name}".lstrip("."))


def _print_part(terminal: Terminal, part: _Part, told: str) -> None:
    """The parts of its documentation; its summary unless that was told before."""
    documentation = part.documentation
    signature = part.signature
    if len(signature) > terminal.width - len(part.key):
        signature = "".join([f"{part.target}(\n", *(f"    {argument},\n" for argument in part.arguments), ")"])
    key = (f"{part.key}: " if part.key else "", "dim")
    terminal.print(Text.assemble("\n", key, (signature, "bold")), soft_wrap=True)
    if documentation.summary not in ("", told):
        terminal.print(Text(documentation.summary))
    if documentation.formula:
        terminal.print(Text("\nFormula:"))
        terminal.print(Text(textwrap.indent(documentation.formula, "    ")), soft_wrap=True)
    if documentation.reference:
        terminal.print(Text("\nReference:\n" + wrapped(f"    {documentation.reference}", terminal.width)))
    if documentation.rest:
        terminal.print(Text("\n" + wrapped(documentation.rest, terminal.width)))


class _Asked(TypedDict):
    """A member that a contract asks for."""

    name: str
    signature: str
    optional: bool
    documentation: str


class _Contract(TypedDict):
    """A contract, as programs read it."""

    name: str
    summary: str
    members: list[_Asked]


def _contract(kind: str) -> _Contract | None:
    """What every component of a kind has; None for a kind that the engine knows nothing of."""
    if kind not in CONTRACTS:
        return None
    contract = CONTRACTS[kind]
    asked: list[_Asked] = [
        {
            "name": each.name,
            "signature": each.signature,
            "optional": each.is_optional,
            "documentation": each.documentation,
        }
        for each in members(contract)
    ]
    return {"name": name_of(contract), "summary": Documentation.of(contract).summary, "members": asked}


def _print_contract(terminal: Terminal, kind: str) -> None:
    contract = _contract(kind)
    if contract is None:
        return
    terminal.print(Text.assemble("\nContract of every ", (kind, "bold"), f": {contract['name']}"), soft_wrap=True)
    terminal.print(Text(wrapped(contract["summary"], terminal.width)))
    for member in contract["members"]:
        may = " (may be missing)" if member["optional"] else ""
        terminal.print(Text(f"    {member['signature']}{may}"), soft_wrap=True)
        terminal.print(Text(textwrap.indent(wrapped(member["documentation"], terminal.width - 8), " " * 8)))


@app.command(epilog="Example: cellab components new segmentation_loss boundary")
def new(
    kind: Annotated[str, typer.Argument(help="The kind, e.g. segmentation_loss.", show_default=False)],
    name: Annotated[str, typer.Argument(help="The new component's name, e.g. boundary.", show_default=False)],
    package: Annotated[
        Path | None,
        typer.Option(
            "--package",
            parser=paths.given,
            metavar="DIR",
            help="The folder of the package that gets it: one with a pyproject.toml that offers components (cellab's "
            "own checkout is one), or one to be made. [./cellab-NAME]",
        ),
    ] = None,
    like: Annotated[
        str | None, typer.Option("--like", help="The component that it begins as; by default what a trial uses.")
    ] = None,
) -> None:
    """Begin a component: write its class, its YAML and its test, which run at once.

    A plain class against its kind's contract: as yet it does what another of its kind does, by an object of that, with
    every member written out to be changed.
    """
    from cellab.scaffold.component import draft

    begun = draft(kind, name, package, like)
    begun.write()
    target, terminal = begun.target, console.results(highlight=False, soft_wrap=True)
    for path in begun.files:
        terminal.print(Text.assemble(("wrote ", "dim"), str(path)))
    found = any(each.config.resolve() == (target.source / "config").resolve() for each in components.packages())
    test = next(path for path in begun.files if path.name.startswith("test_"))
    terminal.print("\nNext:")
    for command in (
        *([] if found else [f"pip install --editable {target.folder}"]),
        f"cellab components show {kind}/{name}",
        f"pytest {test}",
        f"cellab train {kind}={name} scale=smoke data.path=DATA.h5",
    ):
        terminal.print(Text(f"  {command}"))
