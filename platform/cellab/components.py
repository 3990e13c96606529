"""The catalogue of components: every kind/name that an installed package offers, and a door to build them.

A package offers components through the entry-point group `cellab.components`, whose value is the name of a package
with a folder `config/<kind>/<name>.yaml` in it; each YAML names a class by `_target_` and gives its defaults.

    >>> from cellab import components
    >>> unet = components.build("unet", "paper", width=8, blocks=3)
"""

import functools
import importlib
import inspect
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from cellab.errors import CellabError, ConfigError
from cellab.names import did_you_mean

GROUP = "cellab.components"


@dataclass(frozen=True)
class Package:
    """An installed package that offers components: its distribution's name and its folder of configs."""

    origin: str
    config: Path


@dataclass(frozen=True)
class Component:
    """One entry of the catalogue: what `config/<kind>/<name>.yaml` of `origin` describes."""

    kind: str
    name: str
    origin: str
    path: Path

    @property
    def config(self) -> dict[str, Any]:
        """The YAML's content, interpolations unresolved."""
        content = OmegaConf.to_container(OmegaConf.load(self.path))
        if not isinstance(content, dict) or "_target_" not in content:
            raise CellabError(f"{self.path}: a component needs a `_target_` that names its class.")
        return {str(key): value for key, value in content.items()}

    @property
    def target(self) -> Callable[..., Any]:
        """The class or function that the YAML names."""
        return resolve(str(self.config["_target_"]), where=f"{self.kind}/{self.name} ({self.path})")

    @property
    def summary(self) -> str:
        """One line: the YAML's leading comment where it has one (presets share a class), else the docstring's first."""
        first = self.path.read_text().lstrip().partition("\n")[0]
        if first.startswith("#"):
            return first.lstrip("# ").strip()
        return (inspect.getdoc(self.target) or "").partition("\n")[0]


@functools.cache
def packages() -> tuple[Package, ...]:
    """Every installed package that offers components, in the order of their entry points' names.

    Raises:
        CellabError: one of them does not import (with its traceback), or has no folder `config`.
    """
    found = {point.value: _package(point) for point in entry_points(group=GROUP)}
    return tuple(found[value] for value in sorted(found))


def _package(point: EntryPoint) -> Package:
    origin = point.dist.name if point.dist else point.value
    try:
        module = importlib.import_module(point.value)
    except Exception as error:
        raise CellabError(
            f"the plug-in {origin} ({GROUP}: {point.name} = {point.value}) does not import:\n{traceback.format_exc()}"
        ) from error
    folder = Path(str(module.__path__[0] if hasattr(module, "__path__") else module.__file__))
    config = folder / "config"
    if not config.is_dir():
        raise CellabError(f"the plug-in {origin} has no folder of configs: {config} should hold <kind>/<name>.yaml.")
    return Package(origin, config)


@functools.cache
def catalogue() -> dict[tuple[str, str], Component]:
    """Every component by (kind, name), sorted.

    Raises:
        CellabError: two packages claim one kind/name.
    """
    found: dict[tuple[str, str], Component] = {}
    for package in packages():
        for path in sorted(package.config.glob("*/*.yaml")):
            component = Component(path.parent.name, path.stem, package.origin, path)
            clash = found.setdefault((component.kind, component.name), component)
            if clash is not component:
                raise CellabError(
                    f"two packages claim the component {component.kind}/{component.name}: "
                    f"{clash.origin} ({clash.path}) and {component.origin} ({component.path})."
                )
    return dict(sorted(found.items()))


def kinds() -> list[str]:
    """The kinds of component there are, sorted."""
    return sorted({kind for kind, _ in catalogue()})


def names(kind: str) -> list[str]:
    """The names of the components of a kind, sorted.

    Raises:
        CellabError: there is no such kind.
    """
    found = [name for (a_kind, name) in catalogue() if a_kind == kind]
    if not found:
        raise CellabError(f"there is no kind of component {kind!r}{did_you_mean(kind, kinds())}")
    return found


def get(kind: str, name: str) -> Component:
    """One component of the catalogue.

    Raises:
        CellabError: there is no such kind, or no such name (the nearest is suggested).
    """
    options = names(kind)
    if name not in options:
        raise CellabError(f"there is no {kind} {name!r}{did_you_mean(name, options)}")
    return catalogue()[kind, name]


def resolve(path: str, where: str) -> Callable[..., Any]:
    """The class or function at a dotted path; `where` names the place that asked, for the message."""
    module_name, _, attribute = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module_name), attribute)  # type: ignore[no-any-return]
    except Exception as error:
        lines = traceback.format_exception_only(error)
        raise CellabError(f"{where}: `_target_: {path}` cannot be loaded: {''.join(lines).strip()}") from error


def build(kind: str, name: str, **arguments: Any) -> Any:
    """Builds a component from its YAML's defaults and the given arguments.

    Args:
        kind: e.g. ``"unet"``.
        name: e.g. ``"paper"``.
        arguments: replace the YAML's defaults.

    Raises:
        ConfigError: an argument that the component does not take, or one that it rejects.
    """
    return instantiate({**get(kind, name).config, **arguments}, where=f"{kind}/{name}")


def instantiate(config: dict[str, Any], where: str, **arguments: Any) -> Any:
    """Builds what a resolved configuration names by `_target_`, nested configurations first.

    Raises:
        ConfigError: arguments that do not fit its signature, or that it rejects.
    """
    import hydra.utils

    mistakes = check_signature(config, where, given=tuple(arguments))
    if mistakes:
        raise ConfigError(mistakes)
    try:
        return hydra.utils.instantiate(config, **arguments, _convert_="all")
    except Exception as error:
        cause = error.__cause__ or error
        if isinstance(cause, ValueError | TypeError):
            raise ConfigError([f"{where}: {cause}"]) from error
        raise


def check_signature(config: dict[str, Any], where: str, given: tuple[str, ...] = ()) -> list[str]:
    """Binds a configuration's arguments, and its nested configurations', to the signatures of their `_target_`s.

    Args:
        config: with `_target_`; keys that begin and end with an underscore are Hydra's.
        where: the dotted key of the configuration, for the messages.
        given: names of arguments that code will add.

    Returns:
        One sentence per mistake: the key, what was found and what is allowed.
    """
    mistakes = []
    for key, value in config.items():
        if isinstance(value, dict) and "_target_" in value:
            mistakes += check_signature(value, f"{where}.{key}")
    try:
        target = resolve(str(config["_target_"]), where)
    except CellabError as error:
        return [*mistakes, str(error)]
    found = {key for key in config if not (key.startswith("_") and key.endswith("_"))} | set(given)
    parameters = inspect.signature(target).parameters.values()
    allowed = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    for name in sorted(found - set(allowed)) if not takes_any else []:
        mistakes.append(f"{where}.{name}: {config['_target_']} takes no such argument{did_you_mean(name, allowed)}")
    if not config.get("_partial_"):
        required = {p.name for p in parameters if p.default is p.empty and p.name in allowed}
        mistakes += [f"{where}.{name}: {config['_target_']} needs it." for name in sorted(required - found)]
    return mistakes
