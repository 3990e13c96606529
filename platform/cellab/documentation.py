"""Takes a component's docstring apart: its first line, its formula, its reference, and the rest."""

import inspect
import re
import textwrap
from dataclasses import dataclass
from typing import Any

_FORMULA = re.compile(r"^\.\. code-block:: text\n\n((?:(?: {4}.*)?\n)+)", re.MULTILINE)
_MODULES = re.compile(r"\b(?:[A-Za-z_]\w*\.)+(?=[A-Za-z_])")
_REFERENCE = re.compile(r"^References?:[ \n]((?:.+\n)+)", re.MULTILINE)


@dataclass(frozen=True)
class Documentation:
    """The parts of a docstring; those that it lacks are empty.

    Args:
        summary: the first line.
        formula: the `.. code-block:: text` blocks.
        reference: what follows `Reference:`, on one line.
        rest: everything else, as it is written.
    """

    summary: str
    formula: str
    reference: str
    rest: str

    @classmethod
    def of(cls, documented: Any) -> "Documentation":
        """The documentation of a class or function."""
        # not inspect.getdoc: a class without a docstring would show its base's
        summary, _, body = inspect.cleandoc(documented.__doc__ or "").partition("\n")
        body += "\n"
        formulas = [textwrap.dedent(found).strip("\n") for found in _FORMULA.findall(body)]
        references = [" ".join(found.split()) for found in _REFERENCE.findall(body)]
        rest = _REFERENCE.sub("", _FORMULA.sub("", body))
        rest = re.sub(r"\n{3,}", "\n\n", rest).strip()
        return cls(summary, "\n\n".join(formulas), " ".join(references), rest)


def arguments_of(target: Any) -> list[str]:
    """The arguments of a class or function, each with its type and default, modules' names left out."""
    try:
        parameters = list(inspect.signature(target).parameters.values())
    except (TypeError, ValueError):  # written in C
        return ["..."]
    written: list[str] = []
    for parameter in parameters:
        named_only = parameter.kind is parameter.KEYWORD_ONLY
        if named_only and not any(text.startswith("*") for text in written):
            written.append("*")
        written.append(_MODULES.sub("", str(parameter)))
    return written


def wrapped(text: str, width: int) -> str:
    """A docstring's prose and sections, their lines broken anew to fit a width (columns)."""
    return "\n\n".join(_wrapped(paragraph.splitlines(), width) for paragraph in re.split(r"\n\s*\n", text))


def _wrapped(lines: list[str], width: int) -> str:
    """A paragraph, or a section such as `Args:`; entries, list items and what is indented begin lines of their own."""
    entries: list[str] = []
    listing = lines[0] in ("Args:", "Raises:")
    for line in lines:
        indent = len(line) - len(line.lstrip())
        begins = indent == 4 if listing else line.lstrip().startswith(("- ", "* ", "| "))
        if not entries or begins or (entries == [lines[0]] and lines[0].endswith(":") and indent):
            entries.append(line)
        else:
            entries[-1] = f"{entries[-1]} {line.strip()}"
    return "\n".join(_filled(entry, width, hanging=listing) for entry in entries)


def _filled(entry: str, width: int, hanging: bool) -> str:
    indent = entry[: len(entry) - len(entry.lstrip())]
    after = indent + "  " if indent and hanging else indent
    return textwrap.fill(
        entry.strip(),
        width,
        initial_indent=indent,
        subsequent_indent=after,
        break_long_words=False,
        break_on_hyphens=False,
    )
