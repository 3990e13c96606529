"""The package that a new component goes to: one that is there, or one to be made."""

import importlib.util
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cellab.components import GROUP
from cellab.errors import CellabError


@dataclass(frozen=True)
class Target:
    """Where the files of a component go.

    Args:
        folder: the distribution's, with its `pyproject.toml`.
        module: the name of the package.
        source: the package's folder.
        tests: the folder of its tests.
        packages: all those of the distribution.
        is_new: whether the package is to be made.
    """

    folder: Path
    module: str
    source: Path
    tests: Path
    packages: frozenset[str]
    is_new: bool


def find(folder: Path) -> Target:
    """The package of components in a distribution's folder; a new one where the folder is empty or not there.

    Raises:
        CellabError: the folder holds something else.
    """
    project = folder / "pyproject.toml"
    if project.is_file():
        return _existing(folder, project)
    if folder.exists() and (not folder.is_dir() or any(path.name[0] != "." for path in folder.iterdir())):
        raise CellabError(
            f"{folder} has no pyproject.toml, and is not empty: name the folder that holds a package's pyproject.toml, "
            "or one that does not exist yet."
        )
    module = _module_name(folder)
    return Target(folder, module, folder / "src" / module, folder / "tests", frozenset({module}), is_new=True)


def _module_name(folder: Path) -> str:
    module = re.sub(r"[-.]", "_", folder.resolve().name).lower()
    if not re.fullmatch(r"[a-z][a-z0-9_]*", module):
        raise CellabError(f"{folder}: a package cannot be called {module!r}: use letters, digits and hyphens.")
    found = importlib.util.find_spec(module)
    if found is not None and found.origin is not None:  # a mere folder has none
        raise CellabError(
            f"{folder}: there is a package called {module} already ({found.origin}): choose another name."
        )
    return module


def _existing(folder: Path, path: Path) -> Target:
    try:
        project: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CellabError(f"{path} is not readable TOML: {error}") from error
    offered = project.get("project", {}).get("entry-points", {}).get(GROUP)
    if not offered:
        raise CellabError(
            f'{path} offers no components: add the lines [project.entry-points."{GROUP}"] and '
            'mine = "my_package", with the name of the package that is to hold them.'
        )
    module = str(next(iter(offered.values())))
    built = project.get("tool", {}).get("hatch", {}).get("build", {}).get("targets", {}).get("wheel", {})
    inside = Path(*module.split("."))
    packages = [Path(source) for source in built.get("packages", [])]
    named = [folder / source.parent / inside for source in packages]
    for source in [*named, folder / "src" / inside, folder / inside]:
        if source.is_dir():
            names = frozenset({inside.parts[0], *(package.name for package in packages)})
            return Target(folder, module, source, _tests(folder, source, module), names, is_new=False)
    raise CellabError(
        f"{path} names the package {module}, but there is no folder src/{inside} or {inside} in {folder}."
    )


def _tests(folder: Path, source: Path, module: str) -> Path:
    """`tests`, or the folder in it that is called as the one that holds the package, where tests mirror folders."""
    root = source.parents[module.count(".")]
    mirrored = folder / "tests" / root.relative_to(folder)
    return mirrored if mirrored.is_dir() else folder / "tests"
