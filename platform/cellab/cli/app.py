"""The command line `cellab`: its commands and nothing else."""

import shutil

import typer

from cellab.cli import components, data, diff, show, status, store, study

app = typer.Typer(
    name="cellab",
    help="Which parts of a self-training segmentation pipeline earn their keep?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "terminal_width": shutil.get_terminal_size().columns},
    rich_markup_mode="rich",
)
app.add_typer(data.app, name="data", help="Make, import and inspect data sets.")
app.add_typer(components.app, name="components", help="List and show the swappable parts.")
app.add_typer(store.app, name="store", help="List, check and clear the store of results.")
app.command("plan")(study.plan)
app.command("ablate")(study.ablate)
app.command("train")(study.train)
app.command("report")(study.report)
app.command("status")(status.status)
app.command("show")(show.show)
app.command("diff")(diff.diff)
