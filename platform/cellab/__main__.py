"""The entry point: parses, runs, and turns our own errors into one message and exit status 2."""

import sys

from cellab.errors import CellabError


def main() -> None:
    """Runs the command line; never returns."""
    from rich.console import Console

    from cellab.cli.app import app

    try:
        app()
    except CellabError as error:
        from rich.text import Text

        console = Console(stderr=True, soft_wrap=True)
        for line in str(error).splitlines():
            label = "" if line.startswith(" ") else "error: "  # lines that are set in belong to the one above
            console.print(Text.assemble((label, "bold red"), line))
        sys.exit(2)


if __name__ == "__main__":
    main()
