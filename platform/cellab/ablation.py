"""An ablation: the question, the arms that answer it, and the seeds (`ablations/<name>.yaml`)."""

import itertools
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cellab.designs import DESIGNS, Arm, Content
from cellab.errors import ConfigError
from cellab.evaluation.names import METRIC_NAMES
from cellab.names import did_you_mean
from cellab.overrides import Override, parse

COMMON = ("design", "seeds", "rank_by", "overrides")  # keys of every ablation file
OWN = tuple(dict.fromkeys(key for design in DESIGNS.values() for key in design.keys))  # and of some design's


@dataclass(frozen=True)
class Ablation:
    """A study to be: what an ablation file says, with the user's overrides.

    Args:
        name: of the file.
        question: its first comment.
        design: how the content becomes arms; one of `DESIGNS`.
        content: the design's own keys.
        seeds: every arm gets all of them.
        rank_by: the metric that ranks, on validation.
        overrides: Hydra overrides for all arms.
    """

    name: str
    question: str
    design: str
    content: Content
    seeds: list[int]
    rank_by: str
    overrides: list[str]

    def arms(self) -> list[Arm]:
        """The arms of the design, the baseline marked."""
        return DESIGNS[self.design].arms(self.content)


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
    return key.partition(".")[0] in (*COMMON, *OWN)


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
    design = DESIGNS.get(str(content.get("design")))
    sets = design.sets(content) if design else {}
    for override in [*parsed, *_listed(content.get("overrides"))]:
        if override.key in sets:
            mistakes.append(
                f"{override.text}: {override.key} is a factor of {name}, its arms set it: {sets[override.key]}."
            )
        if override.key == "seed":
            mistakes.append(f"{override.text}: an ablation gives every arm the same seeds: seeds=[{override.value}].")
    if mistakes or design is None:
        raise ConfigError(mistakes)
    return Ablation(
        name=name,
        question=question(path),
        design=content["design"],
        content={key: content[key] for key in design.keys},
        seeds=content["seeds"],
        rank_by=content["rank_by"],
        overrides=[*content["overrides"], *(item.text for item in parsed if not is_study_key(item.key))],
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        content = OmegaConf.to_container(OmegaConf.load(path))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, OmegaConfBaseException) as error:
        raise ConfigError([f"{path} is not readable YAML: {' '.join(str(error).split())}"]) from error
    if not isinstance(content, dict):
        raise ConfigError([f"{path}: an ablation is a mapping with the keys {', '.join(COMMON)}, and its design's."])
    return {str(key): value for key, value in content.items()}


def _apply(content: dict[str, Any], override: Override) -> str | None:
    """Puts an override of the ablation's own keys in; factors' names may have dots (`factors.unet.width=[4,8]`)."""
    field, _, rest = override.key.partition(".")
    if not rest:
        content[field] = override.value
    elif field in OWN and isinstance(content.get(field), dict):
        if rest not in content[field] and not override.adds:
            return f"{override.text}: there is no {field}.{rest}{did_you_mean(rest, content[field])}"
        content[field] = {**content[field], rest: override.value}
    else:
        return f"{override.text}: {field} has no keys of its own."
    return None


def question(path: Path) -> str:
    """The first comment of an ablation file, its lines joined."""
    lines = itertools.takewhile(lambda line: line.startswith("#"), path.read_text(encoding="utf-8").splitlines())
    return " ".join(line.lstrip("# ").strip() for line in lines)


def _mistakes(content: dict[str, Any]) -> Iterator[str]:
    design = DESIGNS.get(str(content.get("design")))
    keys = (*COMMON, *(design.keys if design else OWN))
    for key in content:
        if key not in keys:
            elsewhere = f" of design {content['design']}" if key in OWN else ""
            yield f"{key}: an ablation{elsewhere} has no such key{did_you_mean(key, keys)}"
    missing = [key for key in (keys if design else COMMON) if key not in content]
    if missing:
        yield f"it lacks {', '.join(missing)}."
        return
    if design is None:
        yield f"design: there is no design {content['design']!r}{did_you_mean(str(content['design']), DESIGNS)}"
    else:
        yield from design.mistakes(content)
    if content["rank_by"] not in METRIC_NAMES:
        yield f"rank_by: there is no metric {content['rank_by']!r}{did_you_mean(str(content['rank_by']), METRIC_NAMES)}"
    seeds = content["seeds"]
    if not isinstance(seeds, list) or not seeds or not all(type(seed) is int and seed >= 0 for seed in seeds):
        yield f"seeds: {seeds!r} is not a list of whole numbers from 0 up, e.g. seeds=[0,1,2]."
    elif len(set(seeds)) < len(seeds):
        yield f"seeds: {seeds} names a seed twice."
    overrides = content["overrides"]
    if not isinstance(overrides, list) or not all(isinstance(override, str) for override in overrides):
        yield f"overrides: {overrides!r} is not a list of Hydra overrides, e.g. [generations=2, unet.width=8]."
        return
    try:
        parse(overrides)
    except ConfigError as error:
        yield from (f"overrides: {mistake}" for mistake in error.mistakes)


def _listed(overrides: Any) -> list[Override]:
    """What a file's own list of overrides sets; nothing where it is none, which is a mistake of its own."""
    if not isinstance(overrides, list) or not all(isinstance(override, str) for override in overrides):
        return []
    try:
        return parse(overrides)
    except ConfigError:
        return []
