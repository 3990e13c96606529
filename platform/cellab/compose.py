"""Composes the configuration of a trial by Hydra, and checks it before any compute."""

import copy
import functools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import ConfigCompositionException, HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cellab import components
from cellab.contracts import Teacher
from cellab.errors import ConfigError
from cellab.keys import annotation_in
from cellab.names import did_you_mean
from cellab.overrides import Override, last_of_each_key, parse, unknown_key
from cellab.sections import check_sections
from cellab.settings import Component, TrialConfig
from cellab.signatures import annotations, fit
from cellab.targets import resolve
from cellab.trust import untrusted
from cellab.values import Mistake, is_text, shown

CONFIG = Path(__file__).parent / "config"
OPTIONAL = ("gan_regulariser",)  # kinds that a trial may do without
OPTIONAL_PARTS = ("training.learning_rate_schedule",)  # keys with several settings that may be null
SCALES, METHODS = (sorted(path.stem for path in (CONFIG / preset).glob("*.yaml")) for preset in ("scale", "method"))


def groups() -> dict[str, list[str]]:
    """What can be chosen by name: every kind of component, and presets of several settings."""
    return {kind: components.names(kind) for kind in components.kinds()} | {"scale": SCALES, "method": METHODS}


@contextmanager
def _hydra(directory: Path) -> Iterator[None]:
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(directory.resolve()), version_base="1.3"):
        yield


def compose(directory: Path, name: str, overrides: list[str]) -> dict[str, Any]:
    """Composes `<directory>/<name>.yaml` with overrides; missing values stay `???`, interpolations stay unresolved.

    Raises:
        ConfigError: Hydra cannot.
    """
    with _telling(directory, name), _hydra(directory):
        return _plain(hydra.compose(name, overrides=overrides))


@contextmanager
def _telling(directory: Path, name: str) -> Iterator[None]:
    try:
        yield
    except (HydraException, ConfigCompositionException, OmegaConfBaseException) as error:
        raise ConfigError([f"{directory / name}.yaml: {str(error).strip()}"]) from error


def _plain(config: DictConfig) -> dict[str, Any]:
    content = OmegaConf.to_container(config)
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}


@functools.cache
def defaults() -> dict[str, Any]:
    """The configuration of a trial without overrides, interpolations unresolved."""
    return compose(CONFIG, "trial", [])


class Composer:
    """Composes trials; the components and presets that several of them choose are put together once.

    Hydra reads some thirty files for each choice, and that is most of what planning a large study would take.
    """

    def __init__(self) -> None:
        self._chosen: dict[tuple[str, ...], dict[str, Any]] = {}

    def chosen(self, choices: list[str]) -> dict[str, Any]:
        """The configuration with components and presets chosen by overrides, and no other value set."""
        key = tuple(choices)
        if key not in self._chosen:
            self._chosen[key] = compose(CONFIG, "trial", choices)
        return copy.deepcopy(self._chosen[key])


def compose_trial(overrides: list[str], composer: Composer | None = None, *, trust: bool = False) -> TrialConfig:
    """The resolved configuration of one trial.

    Args:
        overrides: Hydra overrides; of several for one key the last counts.
        composer: that of other trials of the same study, if there are any.
        trust: whether they may name code that is no component (`cellab.trust`).

    Returns:
        The content of `trial.yaml` with the chosen components, interpolations resolved.

    Raises:
        ConfigError: unknown keys or components (nearest name suggested), values of a wrong type or out of range,
            arguments that do not fit a component's signature - all of them together; or before that what is not
            trusted, of which nothing is imported.
    """
    wanted = last_of_each_key(parse(overrides))
    options = groups()
    choices = [override.as_text() for override in wanted if override.key in options and not _is_none(override)]
    values = [override for override in wanted if override.key not in options]
    wrong = {choice.key: m for choice in choices if (m := _unknown_choice(choice, options[choice.key]))}
    composer = composer or Composer()
    chosen = composer.chosen([choice.text for choice in choices if choice.key not in wrong])
    within = [_typed(value, chosen) for value in values if value.key.partition(".")[0] not in wrong]
    mistakes = [*wrong.values(), *(mistake for value in within if (mistake := _misfit(value, chosen)))]
    if mistakes:
        raise ConfigError(mistakes)
    config = _set(chosen, within)
    _put_regulariser(config)
    if not trust and (refused := list(map(str, untrusted(_resolve(config))))):
        raise ConfigError(refused)
    _keep(config, _checked(config).plain)
    _lengthen(config)
    return _checked(config)


def _set(chosen: dict[str, Any], values: list[Override]) -> dict[str, Any]:
    """The chosen configuration with values set, added and removed, as Hydra does it once it has composed one."""
    parsed = OverridesParser.create().parse_overrides([value.text for value in values])
    config = OmegaConf.create(chosen)
    OmegaConf.set_struct(config, True)
    with _telling(CONFIG, "trial"):
        ConfigLoaderImpl._apply_overrides_to_config(parsed, config)
    return _plain(config)


def _put_regulariser(config: dict[str, Any]) -> None:
    """A regulariser that was chosen takes the place of the adversarial loss's own."""
    regulariser = config.pop("gan_regulariser", None)
    if regulariser is None:
        return
    if "regulariser" not in config["gan_loss"]:
        raise ConfigError([f"gan_regulariser: {config['gan_loss']['_target_']} has no regulariser to replace."])
    config["gan_loss"]["regulariser"] = regulariser


def _lengthen(config: dict[str, Any]) -> None:
    """Equal compute in one generation: the first, or the second where a teacher needs no parents to label for it."""
    if config["equal_compute"]:
        teacher = components.instantiate(config["teacher"], "teacher", Teacher)
        config["training"]["steps"] *= config["generations"]
        config["generations"] = teacher.lone_generation + 1
        config["equal_compute"] = False  # it has been seen to: what is composed can be composed again


def _is_none(choice: Override) -> bool:
    """`gan_regulariser=null` says what is so without it; Hydra takes no null for a group."""
    return choice.value is None and choice.key in OPTIONAL


def _unknown_choice(choice: Override, options: list[str]) -> str | None:
    if choice.removes:
        return f"{choice.text}: every lineage has a {choice.key}: choose another, one of {', '.join(options)}."
    if choice.value in options:
        return None
    named = str(choice.value) if choice.value is not None else shown(None)
    return f"{choice.key}: there is no {choice.key} {named!r}{did_you_mean(named, options)}"


def _typed(value: Override, chosen: dict[str, Any]) -> Override:
    """The override as its key wants it: a file may be called `1.10`, or `a,b.h5`."""
    return value.as_text() if is_text(annotation_in(chosen, value.key)) else value


def _misfit(value: Override, chosen: dict[str, Any]) -> str | None:
    """A sentence about an override that has no place in the chosen configuration.

    Keys come and go only among the arguments of a `_target_`, whose signature says what fits.
    """
    *parents, last = value.key.split(".")
    among_arguments = False
    here: Any = chosen
    for parent in parents:
        here = here.get(parent) if isinstance(here, dict) else None
        among_arguments |= isinstance(here, dict) and "_target_" in here
    if mistake := value.mistake or _broken_reference(value):
        return mistake
    if not (value.adds and among_arguments) and (mistake := unknown_key(value.key, chosen)):
        target = here.get("_target_") if isinstance(here, dict) else None
        takes_it = target is not None and last in annotations(resolve(target, ".".join(parents)))
        return f"{value.key}: {target} takes it, but it is not set: add it, +{value.text}." if takes_it else mistake
    if value.removes and not among_arguments:
        return f"{value.text}: {value.key} cannot be removed: give it another value."
    was = here.get(last) if isinstance(here, dict) else None
    may_be_null = value.value is None and value.key in OPTIONAL_PARTS
    if isinstance(was, dict) and not isinstance(value.value, dict) and not value.removes and not may_be_null:
        keys = [f"{value.key}.{key}" for key in was if key != "_target_"] or [f"{value.key}._target_"]
        return f"{value.text}: {value.key} holds several settings: set {' or '.join(keys[:3])}."
    return None


def _broken_reference(value: Override) -> str | None:
    try:
        OmegaConf.create({"value": value.value})
    except OmegaConfBaseException:
        return f"{value.text}: ${{ begins a reference to another key, such as ${{training.steps}}; this is none."
    return None


def _checked(config: dict[str, Any]) -> TrialConfig:
    """The configuration with its interpolations resolved and every value converted to what its key wants.

    Raises:
        ConfigError: values that do not fit.
    """
    plain = _resolve(config)
    sections, mistakes = check_sections(plain)
    chosen: dict[str, Component] = {}
    for kind in components.kinds():
        if kind in plain:
            chosen[kind], wrong = _fitted(plain[kind], kind)
            mistakes += wrong
    if mistakes := _without_echoes(mistakes, config):
        raise ConfigError(list(map(str, mistakes)))
    named = {name or "lineage": section for name, section in sections.items()}
    return TrialConfig(**named, components=chosen)  # type: ignore[arg-type]


def _fitted(config: dict[str, Any], kind: str) -> tuple[dict[str, Any], list[Mistake]]:
    if "_target_" not in config:
        return config, [Mistake(kind, "it needs a `_target_` that names its class.")]
    return fit(config, kind)


def _resolve(config: dict[str, Any]) -> dict[str, Any]:
    if config["data"]["path"] in ("???", None, ""):
        raise ConfigError(
            ["data.path is not set: name a data set, e.g. data.path=cells.h5 (`cellab data synth cells.h5` makes one)."]
        )
    try:
        resolved = OmegaConf.to_container(OmegaConf.create(config), resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise ConfigError([f"{error.full_key}: {str(error.msg or error).partition(chr(10))[0]}"]) from error
    assert isinstance(resolved, dict)
    return {str(key): value for key, value in resolved.items()}


def _keep(config: dict[str, Any], checked: dict[str, Any]) -> None:
    """Replaces values by their converted selves, but for references to others, which are to follow."""
    for key, value in config.items():
        if isinstance(value, dict) and isinstance(checked[key], dict):
            _keep(value, checked[key])
        elif "${" not in str(value):
            config[key] = checked[key]


def _without_echoes(mistakes: list[Mistake], config: dict[str, Any]) -> list[Mistake]:
    """Drops the mistakes of values that are copies of others by reference, if those are told."""
    told = {mistake.key for mistake in mistakes}

    def copied(mistake: Mistake) -> str | None:
        here: Any = config
        for part in mistake.key.split("."):
            here = here.get(part) if isinstance(here, dict) else None
        reference = re.fullmatch(r"\$\{([\w.]+)\}", here) if isinstance(here, str) else None
        return reference[1] if reference else None

    return [mistake for mistake in mistakes if copied(mistake) not in told]
