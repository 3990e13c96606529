"""Lays rows out for a width: as a table where that fits, else one below the other; no number is ever cut off."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

GAP = 2  # columns of the terminal between two of a table
LEAST = 12  # columns of the terminal below which words are not folded


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Args:
        title: at its head; may have several lines.
        words: whether it holds words, which may be folded; else numbers, set to the right.
    """

    title: str
    words: bool = False

    def narrow(self) -> "Column":
        """With a line for each word of its title."""
        return Column(self.title.replace(" ", "\n"), self.words)

    @property
    def label(self) -> str:
        """Its title on one line."""
        return self.title.replace("-\n", "").replace("\n", " ")

    def width(self, cells: Sequence[str], *, folded: bool) -> int:
        """What it takes to show the cells and the title, words folded or not."""
        widest = max(cell_len(line) for text in (self.title, *cells) for line in text.split("\n"))
        return min(widest, LEAST) if self.words and folded else widest


def laid_out(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> RenderableType:
    """The rows as a table, or, where that is wider than `width`, each as a short list under its first words."""
    titled = _that_fits(columns, rows, width)
    if titled is not None:
        return _table(titled, rows)
    return Group(*(line for row in rows for line in _list(columns, row, width)))


def fits(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> bool:
    """Whether the rows can be a table."""
    return _that_fits(columns, rows, width) is not None


def _that_fits(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[Column] | None:
    narrow = [column.narrow() for column in columns]
    cells = list(zip(*rows, strict=True))
    for titled, folded in ((list(columns), False), (narrow, False), (narrow, True)):
        needed = sum(column.width(of, folded=folded) for column, of in zip(titled, cells, strict=True))
        if needed + GAP * (len(columns) - 1) <= width:
            return titled
    return None


def _table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), collapse_padding=True, header_style="bold")
    for column in columns:
        if column.words:
            table.add_column(column.title, overflow="fold")
        else:
            table.add_column(column.title, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def _list(columns: Sequence[Column], row: Sequence[str], width: int) -> Iterator[RenderableType]:
    """A row's first words as its title, and the other cells below, each beside or below its label."""
    title = next(n for n, column in enumerate(columns) if column.words)
    cells = [(column.label, row[n]) for n, column in enumerate(columns) if n != title]
    pad = max(cell_len(label) for label, _ in cells)
    yield Text(row[title], style="bold", overflow="fold")
    for label, cell in cells:
        if GAP + pad + GAP + max(cell_len(cell) for _, cell in cells) <= width:
            yield Text(f"{'':{GAP}}{label:{pad + GAP}}{cell}")
        elif GAP + cell_len(label) + GAP + cell_len(cell) <= width:
            yield Text(f"{'':{GAP}}{label}{'':{GAP}}{cell}")
        else:
            yield Padding(Text(label, overflow="fold"), (0, 0, 0, GAP))
            yield Padding(Text(cell, overflow="fold"), (0, 0, 0, 2 * GAP))
