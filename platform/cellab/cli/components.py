"""`cellab components`: lists and shows the swappable parts."""

import inspect
import json
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table

from cellab import components
from cellab.errors import CellabError
from cellab.names import did_you_mean

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
    rows = [{"kind": c.kind, "name": c.name, "origin": c.origin, "summary": c.summary} for c in chosen]
    if as_json:
        print(json.dumps(rows, indent=2))  # noqa: T201
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("kind", "name", "origin", "summary"):
        table.add_column(column, overflow="fold")
    last = None
    for row in rows:
        table.add_row(row["kind"] if row["kind"] != last else "", row["name"], row["origin"], row["summary"])
        last = row["kind"]
    Console().print(table)


@app.command(epilog="Example: [bold]cellab components show gan_loss/ns_gp[/]")
def show(
    component: Annotated[str, typer.Argument(help="KIND/NAME, e.g. gan_loss/ns_gp.")], as_json: AsJson = False
) -> None:
    """Show one component: its YAML, signature and documentation."""
    kind, slash, name = component.partition("/")
    if not slash:
        known = [f"{k}/{n}" for k, n in components.catalogue()]
        raise CellabError(f"{component!r} is not KIND/NAME{did_you_mean(component, known)}")
    found = components.get(kind, name)
    target = found.target
    described = {
        "kind": kind,
        "name": name,
        "origin": found.origin,
        "summary": found.summary,
        "config": found.config,
        "signature": f"{found.config['_target_']}{inspect.signature(target)}",
        "documentation": inspect.getdoc(target) or "",
    }
    if as_json:
        json.dump(described, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    console = Console()
    console.print(f"[bold]{kind}/{name}[/] · {found.origin}\n{found.summary}\n", highlight=False)
    console.print(Syntax(found.path.read_text().rstrip(), "yaml", background_color="default"))
    console.print(f"\n[bold]{described['signature']}[/]\n", highlight=False)
    console.print(described["documentation"], highlight=False, markup=False)
