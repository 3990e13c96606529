"""The entry point: parses, runs, and turns our own errors into one message and an exit status."""

import atexit
import os
import shutil
import signal
import sys

from cellab.cli import streams
from cellab.errors import CellabError, reason

INTERRUPTED = 130  # the exit status after Ctrl-C
NARROW = 80  # columns of a terminal below which typer's tables cut the names of options off


def main() -> None:
    """Runs the command line; never returns."""
    streams.prepare()  # before anything else opens a file
    _settle_width()
    try:
        try:
            from cellab.cli.app import app

            app()
        finally:
            sys.stdout.flush()  # what cannot be written is told like any other mistake
    except CellabError as error:
        _tell(error)
        sys.exit(error.exit_status)
    except OSError as error:
        if error.errno is None:  # a library's own, not the system's
            raise
        _tell(told := CellabError(_in_words(error)))
        sys.exit(told.exit_status)
    except KeyboardInterrupt:  # before the command line took it, or after it did
        sys.exit(INTERRUPTED)
    finally:
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)  # the end is near, and its status is known


def _in_words(error: OSError) -> str:
    """What the system refused, and for which file, where nobody closer to it said so."""
    files = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    return f"{' and '.join(files) or 'a file'}: {reason(error)}."


def _settle_width() -> None:
    """What the libraries make of a terminal's width when they are imported: help as plain text where it is narrow."""
    if os.environ.get("COLUMNS", "1").strip("0") == "":  # as some pseudo-terminals have it; it means: unknown
        del os.environ["COLUMNS"]
    if shutil.get_terminal_size().columns < NARROW:
        os.environ["TYPER_USE_RICH"] = "0"


def _tell(error: CellabError) -> None:
    from rich.text import Text

    from cellab.cli import console

    terminal = console.notices(soft_wrap=True)
    for line in str(error).splitlines():
        label = "" if line.startswith(" ") else "error: "  # lines that are set in belong to the one above
        terminal.print(Text.assemble((label, "bold red"), line))


if __name__ == "__main__":
    main()
