"""An ablation: the question, the arms that answer it, and the seeds (`ablations/<name>.yaml`)."""

import itertools
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cellab.errors import ConfigError
from cellab.evaluation.names import METRIC_NAMES
from cellab.names import did_you_mean
from cellab.overrides import Override, parse, render

Settings = dict[str, Any]  # factor to value


@dataclass(frozen=True)
class Arm:
    """One setting of an ablation's factors.

    Args:
        name: e.g. ``gan_loss=wgan``.
        overrides: what sets it apart, as Hydra overrides.
        is_baseline: whether the others are compared with it.
    """

    name: str
    overrides: tuple[str, ...]
    is_baseline: bool


@dataclass(frozen=True)
class Ablation:
    """A study to be: what an ablation file says, with the user's overrides.

    Args:
        name: of the file.
        question: its first comment.
        design: how factors become arms; one of `DESIGNS`.
        baseline: each factor's value in the baseline arm.
        factors: each factor's values.
        seeds: every arm gets all of them.
        rank_by: the metric that ranks, on validation.
        overrides: Hydra overrides for all arms.
    """

    name: str
    question: str
    design: str
    baseline: Settings
    factors: dict[str, list[Any]]
    seeds: list[int]
    rank_by: str
    overrides: list[str]

    def arms(self) -> list[Arm]:
        """The arms of the design, the baseline marked."""
        return [
            Arm(
                name=",".join(render(*item) for item in settings.items()) or BASELINE,
                overrides=tuple(render(*item) for item in (self.baseline | settings).items()),
                is_baseline=self.baseline | settings == self.baseline,
            )
            for settings in DESIGNS[self.design](self.baseline, self.factors)
        ]


def one_factor(baseline: Settings, factors: dict[str, list[Any]]) -> Iterator[Settings]:
    """The baseline, and each other value of each factor with all else as in the baseline.

    With one factor each arm bears its value, the baseline too and in its place; with several, the baseline names all.
    """
    if len(factors) == 1:
        ((factor, values),) = factors.items()
        listed = values if baseline[factor] in values else [baseline[factor], *values]
        yield from ({factor: value} for value in listed)
        return
    yield dict(baseline)
    for factor, values in factors.items():
        yield from ({factor: value} for value in values if value != baseline[factor])


def factorial(baseline: Settings, factors: dict[str, list[Any]]) -> Iterator[Settings]:
    """Every combination of the factors' values; the baseline's, if the values do not hold it, comes first."""
    combinations = [dict(zip(factors, values, strict=True)) for values in itertools.product(*factors.values())]
    if baseline not in combinations:
        yield dict(baseline)
    yield from combinations


DESIGNS: dict[str, Callable[[Settings, dict[str, list[Any]]], Iterator[Settings]]] = {
    "one_factor": one_factor,
    "factorial": factorial,
}

BASELINE = "baseline"  # the name of an arm that sets no factor

FIELDS = ("design", "baseline", "factors", "seeds", "rank_by", "overrides")


def folders(chosen: Path | None) -> list[Path]:
    """Where ablations are looked for: the chosen folder alone, or the working directory's, then the installed copy."""
    if chosen is not None:
        return [chosen]
    source = Path(__file__).parents[2] / "ablations"
    installed = Path(sysconfig.get_path("data")) / "share" / "cellab" / "ablations"
    return [Path.cwd() / "ablations", source if source.is_dir() else installed]


def find(name: str, chosen: Path | None) -> Path:
    """The file of an ablation.

    Raises:
        ConfigError: there is no such ablation (nearest name suggested), or no folder of ablations.
    """
    looked = folders(chosen)
    found = {path.stem: path for folder in reversed(looked) for path in sorted(folder.glob("*.yaml"))}
    if name in found:
        return found[name]
    where = " or ".join(dict.fromkeys(map(str, looked)))
    if not found:
        raise ConfigError([f"there are no ablations in {where}: name their folder with --ablations DIR."])
    raise ConfigError([f"there is no ablation {name!r} in {where}{did_you_mean(name, found)}"])


def is_study_key(key: str) -> bool:
    """Whether an override is about the ablation (`seeds=[0,1]`), not about its trials (`data.path=...`)."""
    return key.partition(".")[0] in FIELDS


def load(name: str, overrides: list[str], chosen: Path | None = None) -> Ablation:
    """Reads an ablation file; overrides of its own keys replace what it says, all others go to every arm.

    Raises:
        ConfigError: unknown keys, designs, metrics or values that make no study, all of them together.
    """
    path = find(name, chosen)
    parsed = parse(overrides)
    content = _read(path)
    mistakes = [m for override in parsed if is_study_key(override.key) and (m := _apply(content, override))]
    mistakes += [f"{path}: {mistake}" for mistake in _mistakes(content)]
    factors = content.get("factors") or {}
    for override in parsed:
        if override.key in factors:
            values = ",".join(map(str, factors[override.key]))
            mistakes.append(
                f"{override.text}: {override.key} is a factor of {name}, its arms set it: "
                f"choose its values with 'factors.{override.key}=[{values}]'."
            )
    if mistakes:
        raise ConfigError(mistakes)
    return Ablation(
        name=name,
        question=question(path),
        design=content["design"],
        baseline=content["baseline"],
        factors=factors,
        seeds=content["seeds"],
        rank_by=content["rank_by"],
        overrides=[*content["overrides"], *(item.text for item in parsed if not is_study_key(item.key))],
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        content = OmegaConf.to_container(OmegaConf.load(path))
    except (OSError, yaml.YAMLError, OmegaConfBaseException) as error:
        raise ConfigError([f"{path} is not readable YAML: {error}"]) from error
    if not isinstance(content, dict):
        raise ConfigError([f"{path}: an ablation is a mapping with the keys {', '.join(FIELDS)}."])
    return {str(key): value for key, value in content.items()}


def _apply(content: dict[str, Any], override: Override) -> str | None:
    """Puts an override of the ablation's own keys in; factors' names may have dots (`factors.unet.width=[4,8]`)."""
    field, _, rest = override.key.partition(".")
    if not rest:
        content[field] = override.value
    elif field in ("baseline", "factors") and isinstance(content.get(field), dict):
        if rest not in content[field] and not override.adds:
            return f"{override.text}: there is no {field}.{rest}{did_you_mean(rest, content[field])}"
        content[field] = {**content[field], rest: override.value}
    else:
        return f"{override.text}: {field} has no keys of its own."
    return None


def question(path: Path) -> str:
    """The first comment of an ablation file, its lines joined."""
    lines = itertools.takewhile(lambda line: line.startswith("#"), path.read_text().splitlines())
    return " ".join(line.lstrip("# ").strip() for line in lines)


def _mistakes(content: dict[str, Any]) -> Iterator[str]:
    for key in content:
        if key not in FIELDS:
            yield f"{key}: an ablation has no such key{did_you_mean(key, FIELDS)}"
    missing = [key for key in FIELDS if key not in content]
    if missing:
        yield f"it lacks {', '.join(missing)}."
        return
    if content["design"] not in DESIGNS:
        yield f"design: there is no design {content['design']!r}{did_you_mean(str(content['design']), DESIGNS)}"
    if content["rank_by"] not in METRIC_NAMES:
        yield f"rank_by: there is no metric {content['rank_by']!r}{did_you_mean(str(content['rank_by']), METRIC_NAMES)}"
    yield from _factor_mistakes(content["baseline"], content["factors"])
    seeds = content["seeds"]
    if not isinstance(seeds, list) or not seeds or not all(type(seed) is int and seed >= 0 for seed in seeds):
        yield f"seeds: {seeds!r} is not a list of whole numbers from 0 up, e.g. seeds=[0,1,2]."
    elif len(set(seeds)) < len(seeds):
        yield f"seeds: {seeds} names a seed twice."
    if not isinstance(content["overrides"], list):
        yield f"overrides: {content['overrides']!r} is not a list of Hydra overrides."


def _factor_mistakes(baseline: Any, factors: Any) -> Iterator[str]:
    if not isinstance(baseline, dict) or not isinstance(factors, dict) or not factors:
        yield "baseline and factors must map each factor to its value and to the list of its values."
        return
    for factor, values in factors.items():
        if not isinstance(values, list) or not values:
            yield f"factors.{factor}: {values!r} is not a list of values, e.g. factors.{factor}=[a,b]."
        elif len({str(value) for value in values}) < len(values):
            yield f"factors.{factor}: {values} names a value twice."
        if factor not in baseline:
            yield f"baseline.{factor}: it is a factor, so the baseline must say its value."
    for factor in baseline:
        if factor not in factors:
            hint = did_you_mean(factor, factors)
            yield f"baseline.{factor}: it is not a factor{hint} Set it for all arms in overrides."
