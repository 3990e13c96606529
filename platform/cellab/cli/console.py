"""The consoles of all commands: one for results (stdout), one for notices (stderr), each as wide as what shows it."""

import json
import os
import sys
from typing import Any

from rich.console import Console
from rich.text import Text

from cellab.cli.streams import readable

PIPED_WIDTH = 140  # columns of what goes to a file or to another program


class Terminal(Console):
    """A console that lays text out in the characters that its encoding has, so that what stands for them fits too.

    Nothing in what it is given is markup: names of files and arms hold brackets and colons.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Text as it will be shown."""
        return super().render_str(readable(text, self.encoding), **options)


def results(**options: Any) -> Terminal:
    """The console for what a command was asked for."""
    return Terminal(width=_width(sys.stdout), **options)


def notices(**options: Any) -> Terminal:
    """The console for progress, warnings and errors."""
    return Terminal(stderr=True, width=_width(sys.stderr), **options)


def print_json(document: Any) -> None:
    """One JSON document on stdout and nothing else: ASCII, so that every terminal and program takes it."""
    print(json.dumps(document, indent=2))  # noqa: T201


def _width(stream: Any) -> int | None:
    """`COLUMNS`, or for what is no terminal `PIPED_WIDTH`; None: the terminal's, whenever it changes."""
    if (given := os.environ.get("COLUMNS", "")).isdecimal() and int(given):
        return int(given)
    return None if stream is not None and stream.isatty() else PIPED_WIDTH
