"""An ablation: the question, the arms that answer it, and the seeds (`ablations/<name>.yaml`)."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cellab.ablation_files import find, question, read
from cellab.compose import defaults, groups
from cellab.designs import DESIGNS, Arm, Content
from cellab.errors import ConfigError
from cellab.evaluation.names import RANKING_NAMES
from cellab.keys import as_wanted
from cellab.names import did_you_mean
from cellab.overrides import Override, parse
from cellab.plain import listed
from cellab.seeds import read_seeds

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
    content = read(path)
    mistakes = [m for override in parsed if is_study_key(override.key) and (m := _apply(content, override))]
    design = DESIGNS.get(str(content.get("design")))
    content = design.typed(content, _typed) if design else content
    mistakes += [f"{path}: {mistake}" for mistake in _mistakes(content)]
    sets = design.sets(content) if design else {}
    for override in [*parsed, *_listed(content.get("overrides"))]:
        if override.key in sets:
            mistakes.append(
                f"{override.text}: {override.key} is a factor of {path.stem}, its arms set it: {sets[override.key]}."
            )
        if override.key == "seed":
            wanted = override.raw if str(override.raw).isdecimal() else "0,1,2"
            mistakes.append(f"{override.text}: an ablation gives every arm the same seeds: seeds=[{wanted}].")
    if mistakes or design is None:
        raise ConfigError(mistakes)
    for_trials = [item.text for item in parsed if not is_study_key(item.key)]
    return Ablation(
        name=path.stem,
        question=question(path),
        design=str(content["design"]),
        content={key: content[key] for key in design.keys},
        seeds=read_seeds(content["seeds"]),
        rank_by=str(content["rank_by"]),
        overrides=[*map(str, listed(content["overrides"])), *for_trials],
    )


def _typed(key: str, value: Any) -> Any:
    """A value as the trials' key wants it, so that arms are named and compared by what they do: `"2"` is 2."""
    return value if key in groups() else as_wanted(key, value, defaults())


def _apply(content: dict[str, Any], override: Override) -> str | None:
    """Puts an override of the ablation's own keys in; factors' names may have dots (`factors.unet.width=[4,8]`)."""
    field, _, rest = override.key.partition(".")
    if override.refused and override.mistake:
        return override.mistake
    if not rest:
        content[field] = override.value
    elif field in OWN and isinstance(content.get(field), dict):
        if rest not in content[field] and not override.adds:
            return f"{override.text}: there is no {field}.{rest}{did_you_mean(rest, content[field])}"
        content[field] = {**content[field], rest: override.value}
    else:
        return f"{override.text}: {field} has no keys of its own."
    return None


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
    if content["rank_by"] not in RANKING_NAMES:
        named = str(content["rank_by"])
        yield f"rank_by: there is no metric {content['rank_by']!r}{did_you_mean(named, RANKING_NAMES)}"
    try:
        read_seeds(content["seeds"])
    except ValueError as error:
        yield f"seeds: {error}"
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
