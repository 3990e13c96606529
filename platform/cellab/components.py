"""The catalogue of components: every kind/name that an installed package offers, and a door to build and check them.

A package offers components through the entry-point group `cellab.components`, whose value is the name of a package
with a folder `config/<kind>/<name>.yaml` in it; each YAML names a class by `_target_` and gives its defaults.

    >>> from cellab import components
    >>> unet = components.build("unet", "paper", width=8, blocks=3)
"""

import functools
import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, TypeVar, overload

import yaml
from omegaconf import OmegaConf

from cellab import building
from cellab.conformity import lacks, name_of
from cellab.contracts import CONTRACTS
from cellab.documentation import Documentation
from cellab.errors import CellabError, ConfigError
from cellab.names import did_you_mean
from cellab.plain import PlainMapping, mapping
from cellab.signatures import fit, keyed
from cellab.targets import resolve, traceback_of
from cellab.values import shown

GROUP = "cellab.components"
# parses a hundred files in the time that OmegaConf's own loader takes for two
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Contract = TypeVar("_Contract")


@dataclass(frozen=True)
class Package:
    """An installed package that offers components: its distribution's name, its own, and its folder of configs."""

    origin: str
    module: str
    config: Path


@dataclass(frozen=True)
class Component:
    """One entry of the catalogue: what `config/<kind>/<name>.yaml` of `origin` describes."""

    kind: str
    name: str
    origin: str
    path: Path

    @property
    def config(self) -> PlainMapping:
        """The YAML's content, interpolations unresolved."""
        content = OmegaConf.to_container(OmegaConf.load(self.path))
        assert isinstance(content, dict)  # else it is not in the catalogue
        return {str(key): value for key, value in content.items()}

    @property
    def where(self) -> str:
        """How messages name it."""
        return f"{self.kind}/{self.name} ({self.path})"

    @property
    def target(self) -> Callable[..., Any]:
        """The class or function that the YAML names."""
        return resolve(str(self.config["_target_"]), self.where)

    @property
    def summary(self) -> str:
        """One line: the YAML's leading comment where it has one (presets share a class), else the docstring's first."""
        first = self.path.read_text(encoding="utf-8").lstrip().partition("\n")[0]
        if first.startswith("#"):
            return first.lstrip("# ").strip()
        return Documentation.of(self.target).summary


@functools.cache
def packages() -> tuple[Package, ...]:
    """Every installed package that offers components, in the order of their names.

    Raises:
        ConfigError: some do not import (with their tracebacks), have no folder `config`, or share their module's name
            with another - all of them together.
    """
    found: dict[str, Package] = {}
    mistakes = []
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.value, _origin(point))):
        if point.value in found and found[point.value].origin != _origin(point):
            mistakes.append(
                f"two distributions offer the package of components {point.value}, and only one can be imported: "
                f"{found[point.value].origin} and {_origin(point)}. Uninstall one."
            )
            continue
        try:
            found[point.value] = _package(point)
        except CellabError as error:
            mistakes.append(str(error))
    if mistakes:
        raise ConfigError(mistakes)
    return tuple(found.values())


def _origin(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value


def _package(point: EntryPoint) -> Package:
    origin = _origin(point)
    named = f"the plug-in {origin} ({GROUP}: {point.name} = {point.value})"
    try:
        module = importlib.import_module(point.value)
    except Exception as error:
        raise CellabError(f"{named} does not import:\n{traceback_of(error)}") from error
    if not hasattr(module, "__path__"):
        raise CellabError(f"{named} is no package: it needs a folder with config/<kind>/<name>.yaml in it.")
    config = Path(module.__path__[0]) / "config"
    if not config.is_dir():
        raise CellabError(f"{named} has no folder of configs: {config} should hold <kind>/<name>.yaml.")
    return Package(origin, point.value, config)


@functools.cache
def catalogue() -> dict[tuple[str, str], Component]:
    """Every component by (kind, name), sorted.

    Raises:
        ConfigError: two packages claim one kind/name, or a YAML is none or names no `_target_` - all of them together.
    """
    found: dict[tuple[str, str], Component] = {}
    mistakes = []
    for package in packages():
        for path in sorted(package.config.glob("*/*.yaml")):
            component = Component(path.parent.name, path.stem, package.origin, path)
            mistakes += _yaml_mistakes(component)
            clash = found.setdefault((component.kind, component.name), component)
            if clash is not component:
                mistakes.append(
                    f"two packages claim the component {component.kind}/{component.name}: "
                    f"{clash.origin} ({clash.path}) and {component.origin} ({component.path})."
                )
    if mistakes:
        raise ConfigError(mistakes)
    return dict(sorted(found.items()))


def _yaml_mistakes(component: Component) -> list[str]:
    where = f"{component.where} of {component.origin}"
    try:
        content = yaml.load(component.path.read_bytes(), _Loader)
    except yaml.YAMLError as error:
        return [f"{where} is not readable YAML: {' '.join(str(error).split())}"]
    if not isinstance(content, dict) or not isinstance(content.get("_target_"), str):
        return [f"{where}: a component needs a `_target_` that names its class."]
    return []


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


def build(kind: str, name: str, **arguments: Any) -> Any:
    """Builds a component from its YAML's defaults and the given arguments.

    Args:
        kind: e.g. ``"unet"``.
        name: e.g. ``"paper"``.
        arguments: replace the YAML's defaults.

    Raises:
        ConfigError: an argument that the component does not take, or one that it rejects; or it lacks a part of its
            kind's contract.
    """
    return instantiate({**get(kind, name).config, **arguments}, f"{kind}/{name}", CONTRACTS.get(kind))


@overload
def instantiate(config: PlainMapping, where: str, as_: None = None, **arguments: Any) -> Any: ...


@overload
def instantiate(config: PlainMapping, where: str, as_: type[_Contract], **arguments: Any) -> _Contract: ...


def instantiate(config: PlainMapping, where: str, as_: type | None = None, **arguments: Any) -> Any:
    """Builds what a resolved configuration names by `_target_`, once its arguments are found to fit.

    Args:
        config: resolved.
        where: its dotted key, for messages.
        as_: the contract that it must keep (`cellab.contracts`); None: whatever it is.
        arguments: that are not in the configuration.

    Raises:
        ConfigError: arguments that do not fit its signature, or that it rejects; or it does not keep the contract.
    """
    built = _built(config, where, **arguments)
    found = [] if as_ is None else [f"{where}: {config['_target_']} {lack}" for lack in lacks(built, as_)]
    if as_ is not None and found:
        raise ConfigError([f"{each}; {name_of(as_)} asks for it." for each in found])
    return built


def _built(config: PlainMapping, where: str, **arguments: Any) -> Any:
    fitted, mistakes = fit(config, where, given=tuple(arguments))
    if mistakes:
        raise ConfigError(list(map(str, mistakes)))
    try:
        return building.instantiate(fitted, where, **arguments)
    except ConfigError as error:
        hydras = error.__cause__
        assert hydras is not None
        raise ConfigError([rejection(fitted, where, hydras.__cause__ or hydras, str(hydras))]) from hydras


_NUMBERS = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?!\w)")


def rejection(config: PlainMapping, where: str, cause: BaseException, trace: str = "") -> str:
    """What a class says against its arguments, with the dotted key that it is about.

    Args:
        config: that was to be built.
        where: its dotted key.
        cause: what the class raised.
        trace: Hydra's own message, which tells the nested configuration that was being built.
    """
    nested = re.search(r"^full_key: (\S+)$", trace, re.MULTILINE)
    for part in nested[1].split(".") if nested else ():
        config, where = mapping(config[part]), f"{where}.{part}"
    said = keyed(str(cause), where, config)
    if said.key != where:
        return str(said)
    text = (str(cause).splitlines() or [type(cause).__name__])[0]
    if isinstance(cause, ValueError):
        told = set(map(float, _NUMBERS.findall(text)))
        named = [name for name, value in config.items() if told & _numbers(value)]
        return f"{where}.{named[0]}: {text}" if len(named) == 1 else f"{where}: {text}"
    given = ", ".join(f"{name}={shown(value)}" for name, value in config.items() if not name.startswith("_"))
    return f"{where}: {config['_target_']}({given}) cannot be built: {type(cause).__name__}: {text}"


def _numbers(value: Any) -> set[float]:
    values = value if isinstance(value, list) else [value]
    return {float(item) for item in values if isinstance(item, int | float) and not isinstance(item, bool)}


def check_signature(config: PlainMapping, where: str) -> list[str]:
    """What of a configuration does not fit the signature of its `_target_`, one sentence per mistake."""
    return list(map(str, fit(config, where)[1]))
