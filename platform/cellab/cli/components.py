"""`cellab components`: lists and shows the swappable parts, and begins new ones."""

import json
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from cellab import components
from cellab.components import Component
from cellab.documentation import Documentation, arguments_of, wrapped
from cellab.errors import CellabError, ConfigError
from cellab.names import did_you_mean
from cellab.targets import resolve

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


@app.command("list", epilog="Example: [bold]cellab components list gan_loss[/]")
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
        print(json.dumps(rows, indent=2))  # noqa: T201
        return
    console = Console()
    origins = max(len(row["origin"]) for row in rows)
    for n, (each, of_kind) in enumerate(groupby(rows, key=lambda row: row["kind"])):
        console.print(Text.assemble("\n" if n else "", (each, "bold")))
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, style="dim", min_width=origins)
        table.add_column(overflow="fold")
        for row in of_kind:
            table.add_row(row["name"], row["origin"], Text(row["summary"]))
        console.print(Padding(table, (0, 0, 0, 2)))


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


@app.command(epilog="Example: [bold]cellab components show gan_loss/ns_gp[/]")
def show(
    component: Annotated[str, typer.Argument(help="KIND/NAME, e.g. gan_loss/ns_gp.")], as_json: AsJson = False
) -> None:
    """Show one component: its YAML, signature, formula, reference and the rest of its documentation."""
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
        whole = {**described[0], **about, "config": found.config, "parts": described[1:]}
        print(json.dumps(whole, indent=2))  # noqa: T201
        return
    console = Console(highlight=False)
    console.print(Text.assemble((f"{kind}/{name}", "bold"), f" · {found.origin}"))
    console.print(Text(found.summary))
    console.print(Text(f"\n{found.path}", style="dim"), soft_wrap=True)
    yaml = Syntax("", "yaml", background_color="default").highlight(found.path.read_text().rstrip())
    yaml.rstrip()
    console.print(yaml, soft_wrap=True)  # a broken line could not be copied
    for part in parts:
        _print_part(console, part, found.summary)


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

    def as_json(self) -> dict[str, Any]:
        """What programs read."""
        return {
            "key": self.key,
            "signature": self.signature,
            "summary": self.documentation.summary,
            "formula": self.documentation.formula,
            "reference": self.documentation.reference,
            "documentation": self.documentation.rest,
        }


def _parts(config: dict[str, Any], key: str = "") -> Iterator[_Part]:
    target = resolve(config["_target_"], key)
    if config["_target_"].startswith("torch."):  # whose pages are long, and known
        yield _Part(key, config["_target_"], ["..."], Documentation(Documentation.of(target).summary, "", "", ""))
    else:
        yield _Part(key, config["_target_"], arguments_of(target), Documentation.of(target))
    for name, value in config.items():
        if isinstance(value, dict) and "_target_" in value:
            yield from _parts(value, f"{key}.{name}".lstrip("."))


def _print_part(console: Console, part: _Part, told: str) -> None:
    """The parts of its documentation; its summary unless that was told before."""
    documentation = part.documentation
    signature = part.signature
    if len(signature) > console.width - len(part.key):
        signature = "".join([f"{part.target}(\n", *(f"    {argument},\n" for argument in part.arguments), ")"])
    key = (f"{part.key}: " if part.key else "", "dim")
    console.print(Text.assemble("\n", key, (signature, "bold")), soft_wrap=True)
    if documentation.summary not in ("", told):
        console.print(Text(documentation.summary))
    if documentation.formula:
        console.print(Text("\nFormula:"))
        console.print(Text(textwrap.indent(documentation.formula, "    ")), soft_wrap=True)
    if documentation.reference:
        console.print(Text("\nReference:\n" + wrapped(f"    {documentation.reference}", console.width)))
    if documentation.rest:
        console.print(Text("\n" + wrapped(documentation.rest, console.width)))


@app.command(epilog="Example: [bold]cellab components new segmentation_loss boundary[/]")
def new(
    kind: Annotated[str, typer.Argument(help="The kind, e.g. segmentation_loss.", show_default=False)],
    name: Annotated[str, typer.Argument(help="The new component's name, e.g. boundary.", show_default=False)],
    package: Annotated[
        Path | None,
        typer.Option(
            "--package",
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

    As yet the class does what another of its kind does, with every method written out to be changed.
    """
    from cellab.scaffold.component import draft

    begun = draft(kind, name, package, like)
    begun.write()
    target, console = begun.target, Console(highlight=False, soft_wrap=True)
    for path in begun.files:
        console.print(Text.assemble(("wrote ", "dim"), str(path)))
    found = any(each.config.resolve() == (target.source / "config").resolve() for each in components.packages())
    test = next(path for path in begun.files if path.name.startswith("test_"))
    console.print("\nNext:")
    for command in (
        *([] if found else [f"pip install --editable {target.folder}"]),
        f"cellab components show {kind}/{name}",
        f"pytest {test}",
        f"cellab train {kind}={name} scale=smoke data.path=DATA.h5",
    ):
        console.print(Text(f"  {command}"))
