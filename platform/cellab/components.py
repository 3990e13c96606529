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

import yaml
from omegaconf import OmegaConf

from cellab.documentation import Documentation
from cellab.errors import CellabError, ConfigError
from cellab.names import did_you_mean

GROUP = "cellab.components"
# parses a hundred files in the time that OmegaConf's own loader takes for two
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


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
    def config(self) -> dict[str, Any]:
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
        return resolve(self.config["_target_"], self.where)

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
        raise CellabError(f"{named} does not import:\n{_traceback(error)}") from error
    if not hasattr(module, "__path__"):
        raise CellabError(f"{named} is no package: it needs a folder with config/<kind>/<name>.yaml in it.")
    config = Path(module.__path__[0]) / "config"
    if not config.is_dir():
        raise CellabError(f"{named} has no folder of configs: {config} should hold <kind>/<name>.yaml.")
    return Package(origin, point.value, config)


def _traceback(error: BaseException) -> str:
    """Indented, without what lies between us and the module that does not import."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [f for f in frames if f.filename not in (__file__, importlib.__file__) and not f.filename.startswith("<")]
    lines = ["Traceback (most recent call last):\n", *traceback.format_list(theirs)] if theirs else []
    return "  " + "".join([*lines, *traceback.format_exception_only(error)]).strip().replace("\n", "\n  ")


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


def resolve(path: str, where: str) -> Callable[..., Any]:
    """The class or function at a dotted path; `where` names the place that asked, for the message.

    Raises:
        CellabError: there is none (the nearest name is suggested), or its module does not import (with its traceback).
    """
    named = f"{where}: `_target_: {path}` cannot be loaded"
    module_name, _, attribute = str(path).rpartition(".")
    if not module_name:
        raise CellabError(f"{named}: it must be the full name of a class, e.g. my_package.my_module.MyClass.")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and f"{module_name}.".startswith(f"{error.name}."):
            raise CellabError(f"{named}: there is no module {error.name}.") from error
        raise CellabError(f"{named}: {module_name} does not import:\n{_traceback(error)}") from error
    except Exception as error:
        raise CellabError(f"{named}: {module_name} does not import:\n{_traceback(error)}") from error
    target = getattr(module, attribute, None)
    if not callable(target):
        near = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise CellabError(f"{named}: {module_name} has no class or function {attribute}{did_you_mean(attribute, near)}")
    return target  # type: ignore[no-any-return]


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
    mistakes = [mistake for key, value in config.items() for mistake in check_nested(value, f"{where}.{key}")]
    try:
        target = resolve(config["_target_"], where)
        parameters = inspect.signature(target).parameters.values()
    except CellabError as error:
        return [*mistakes, str(error)]
    except (TypeError, ValueError):  # written in C: it has none
        return mistakes
    found = {key for key in config if not (key.startswith("_") and key.endswith("_"))} | set(given)
    allowed = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    for name in sorted(found - set(allowed)) if not takes_any else []:
        mistakes.append(f"{where}.{name}: {config['_target_']} takes no such argument{did_you_mean(name, allowed)}")
    if not config.get("_partial_"):
        required = {p.name for p in parameters if p.default is p.empty and p.name in allowed}
        mistakes += [f"{where}.{name}: {config['_target_']} needs it." for name in sorted(required - found)]
    return mistakes


def check_nested(value: Any, where: str) -> list[str]:
    """The same for every configuration with a `_target_` inside a value; others have no signature."""
    if isinstance(value, list):
        return [mistake for n, item in enumerate(value) for mistake in check_nested(item, f"{where}.{n}")]
    if not isinstance(value, dict):
        return []
    if "_target_" in value:
        return check_signature(value, where)
    return [mistake for key, item in value.items() for mistake in check_nested(item, f"{where}.{key}")]
