"""Looks into a folder, or one TIFF, for pictures, and tells what else lies there."""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cellab.data.images import Picture, pages_of, stem_of
from cellab.errors import DataError

ENDINGS = (".png", ".tif", ".tiff", ".btf", ".tf2", ".tf8")
OF_SYSTEMS = (".ds_store", "thumbs.db", "desktop.ini")  # files that desktops leave everywhere


@dataclass(frozen=True)
class Found:
    """What there is to import.

    Args:
        place: the folder, or the file.
        pictures: in natural order (2 before 10), the pages of a TIFF in theirs.
        left_out: the names of what is no picture, by what it is, e.g. ``"file ending in .jpg"``.
    """

    place: Path
    pictures: list[Picture]
    left_out: dict[str, list[str]] = field(default_factory=dict)

    @property
    def is_file(self) -> bool:
        """Whether it is one file, whose pages have no names but their numbers."""
        return self.place.is_file()

    @property
    def files_left_out(self) -> int:
        """How many files, links and folders are no pictures."""
        return sum(map(len, self.left_out.values()))

    def notices(self, what: str) -> Iterator[str]:
        """A sentence for each kind of what is left out, with the first name.

        Args:
            what: was looked for, e.g. ``"images"``.
        """
        for kind, names in self.left_out.items():
            yield f"left out of the {what} in {self.place}: {_counted(names, kind)}"


def _counted(names: list[str], kind: str) -> str:
    """``"2 files ending in .jpg, the first is 'a.jpg'"``; of one its name."""
    if len(names) == 1:
        return f"1 {kind}, {names[0]!r}"
    noun, _, rest = kind.partition(" ")
    return f"{len(names)} {noun}s {rest}".rstrip() + f", the first is {names[0]!r}"


def look_into(place: Path, what: str, others: Iterable[Path] = ()) -> Found:
    """The pictures of a folder, or of one file.

    Args:
        place: where they are.
        what: for messages, e.g. ``"images"``.
        others: folders that are looked into for something else.

    Raises:
        DataError: there is no such folder, no picture in it, two files of one name, or a name that is not UTF-8.
    """
    if place.is_file():
        _check_name(place, what)
        return Found(place, pages_of(place))
    if not place.is_dir():
        raise DataError(f"there is no folder {place} to take {what} from.")
    files, left_out = _sort_out(place, others)
    if not files:
        raise DataError(f"there are no {what} in {place}: {_held(left_out)}; PNG or TIFF is needed.")
    for file in files:
        _check_name(file, what)
    _check_distinct(files, what)
    return Found(place, [picture for file in files for picture in pages_of(file)], left_out)


def _sort_out(folder: Path, others: Iterable[Path]) -> tuple[list[Path], dict[str, list[str]]]:
    """The files that may be pictures in natural order, and the names of all else by kind."""
    elsewhere = {other.resolve() for other in others}
    files, left_out = [], defaultdict(list)
    for path in sorted(folder.iterdir(), key=lambda path: natural(path.name)):
        if kind := _kind(path):
            if path.name.lower() not in OF_SYSTEMS and path.resolve() not in elsewhere:
                left_out[kind].append(shown(path.name))
        else:
            files.append(path)
    return files, dict(left_out)


def _kind(path: Path) -> str | None:
    """What a path is, if no picture."""
    if path.is_symlink() and not path.exists():
        return "link to nothing"
    if path.is_dir():
        return "folder"
    if path.name.startswith("."):
        return "file whose name begins with a dot"
    if path.suffix.lower() not in ENDINGS:
        return f"file ending in {path.suffix}" if path.suffix else "file without an ending"
    return None if path.is_file() else "device or pipe"


def _held(left_out: dict[str, list[str]]) -> str:
    if not left_out:
        return "it is empty"
    held = "; ".join(_counted(names, kind) for kind, names in left_out.items())
    return f"it holds {held}" + (" (give the folder that holds the pictures itself)" if "folder" in left_out else "")


def _check_name(path: Path, what: str) -> None:
    try:
        path.name.encode()
    except UnicodeEncodeError:
        raise DataError(
            f"the name of {what} {shown(str(path))} is not UTF-8, as names of other systems are not: rename it, e.g. "
            f"by `convmv -r -f latin1 -t utf8 --notest {shown(str(path.parent))}`."
        ) from None


def _check_distinct(files: list[Path], what: str) -> None:
    by_stem: dict[str, Path] = {}
    for file in files:
        other = by_stem.setdefault(stem_of(file), file)
        if other != file:
            raise DataError(f"{what} {other} and {file} have the same name: keep one of them.")


def shown(name: str) -> str:
    """A file's name for people, with bytes that are no UTF-8 as hexadecimal numbers."""
    return os.fsencode(name).decode(errors="backslashreplace")


def natural(name: str) -> list[tuple[int, str]]:
    """A sort key by which ``a2`` comes before ``a10``."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name) if part]
