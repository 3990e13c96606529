"""Whose a study's folder is: one command at a time, and one study for good."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cellab.designs import DESIGNS
from cellab.errors import CellabError, reason
from cellab.locking import Claim, TakenError
from cellab.plain import PlainMapping, mapping
from cellab.study import Study
from cellab.study_files.folder import StudyFolder, replace
from cellab.study_files.records import Configurations, Plan

# More arms or seeds, another way to run or rank: still the same study. What overrides do, the configuration says.
_MAY_CHANGE = (
    "seeds",
    "question",
    "rank_by",
    "overrides",
    *{key for design in DESIGNS.values() for key in design.keys},
)
_MAY_CHANGE_IN_CONFIG = ("seed", "executor", "resources")


@contextmanager
def alone(folder: StudyFolder) -> Iterator[None]:
    """Sees that no other command runs a study in the folder, until the block ends; leaves no folder that stays empty.

    Raises:
        CellabError: another command does, or the folder cannot be written.
    """
    with _made(folder.path):
        try:
            claim = Claim(folder.running)
        except TakenError:
            raise CellabError(
                f"another command runs a study in {folder.path}: wait until it has ended, or choose another folder "
                f"with --name NAME."
            ) from None
        except OSError as error:
            raise _cannot_write(folder.path, error) from error
        with claim:
            yield


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """The folder is there while the block runs, and after it unless it is empty and was not there before."""
    try:
        made = [each for each in (folder, *folder.parents) if not each.exists()]
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(folder, error) from error
    try:
        yield
    finally:
        with suppress(OSError):
            for each in made:
                each.rmdir()


def _cannot_write(folder: Path, error: OSError) -> CellabError:
    return CellabError(f"the study's folder {folder} cannot be written: {reason(error)}. Choose another with --runs.")


def check_folder(study: Study, folder: StudyFolder) -> None:
    """Sees that the folder is free for the study, or holds it already; writes nothing.

    Raises:
        CellabError: it holds another study, or one with arms or seeds that would be lost.
    """
    if not folder.description.is_file():
        return
    theirs, mine = _Asked.of(_read(folder)), _Asked.of(describe(study))
    differences = _differences(theirs.identity, mine.identity) or _lost(theirs, mine)
    if differences:
        raise CellabError(
            f"{folder.path} holds another study ({'; '.join(differences[:5])}): choose another folder with "
            f"--name NAME or --runs DIR, or remove {folder.path} (finished stages stay in the store)."
        )


def claim_folder(study: Study, planned: Plan, folder: StudyFolder) -> None:
    """Makes the folder the study's: writes `study.yaml`, `plan.json`, `configurations.json` and `keys.json`.

    Raises:
        CellabError: it cannot be written.
    """
    try:
        description = OmegaConf.create(dict(describe(study)))
        replace(folder.description, lambda path: OmegaConf.save(description, path))
        folder.write_plan(planned)
        folder.write_configurations(configurations(study))
        folder.write_keys(study.stages)
    except OSError as error:
        raise _cannot_write(folder.path, error) from error


def describe(study: Study) -> Mapping[str, object]:
    """The content of `study.yaml`."""
    ablation = study.ablation
    return {
        "name": study.name,
        "ablation": ablation.name,
        "question": ablation.question,
        "design": ablation.design,
        **ablation.content,
        "seeds": ablation.seeds,
        "rank_by": ablation.rank_by,
        "overrides": ablation.overrides,
        "data_digest": study.data_digest,
        "config": study.config.plain,
    }


def configurations(study: Study) -> Configurations:
    """The content of `configurations.json`."""
    return Configurations(study.baseline.name, {name: config.plain for name, config in study.configs.items()})


def _read(folder: StudyFolder) -> PlainMapping:
    path = folder.description
    try:
        content = mapping(OmegaConf.to_container(OmegaConf.load(path)))
        if {"design", "seeds", "config"} <= set(content):
            return content
    except (OSError, ValueError, yaml.YAMLError, OmegaConfBaseException):
        pass
    raise CellabError(
        f"{path} is damaged, so nobody knows which study {folder.path} holds: choose another folder with --name NAME, "
        f"or remove {folder.path} (finished stages stay in the store)."
    )


@dataclass(frozen=True)
class _Asked:
    """What tells one study from another.

    Args:
        identity: what must be the same.
        seeds: of every arm.
        arms: what sets each apart, by its name.
    """

    identity: Mapping[str, object]
    seeds: list[object]
    arms: dict[str, tuple[str, ...]]

    @classmethod
    def of(cls, description: Mapping[str, object]) -> "_Asked":
        """Of the content of `study.yaml`."""
        kept = {key: value for key, value in description.items() if key not in _MAY_CHANGE}
        config = mapping(description["config"])
        fixed = {key: value for key, value in config.items() if key not in _MAY_CHANGE_IN_CONFIG}
        elsewhere = {**mapping(fixed.get("data", {})), "path": None}
        arms = DESIGNS[str(description["design"])].arms(mapping(description))
        return cls(
            identity={**kept, "config": {**fixed, "data": elsewhere}},
            seeds=[*_listed(description["seeds"])],
            arms={arm.name: arm.overrides for arm in arms},
        )


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _lost(theirs: _Asked, mine: _Asked) -> list[str]:
    """Arms and seeds that are there and not here: their results would vanish from the folder."""
    seeds = [seed for seed in theirs.seeds if seed not in mine.seeds]
    arms = [name for name, does in theirs.arms.items() if mine.arms.get(name) != does]
    found: dict[str, list[object]] = {"seeds": seeds, "arms": [*arms]}
    return [f"{what} there, not here: {', '.join(map(str, lost))}" for what, lost in found.items() if lost]


def _differences(theirs: Any, mine: Any, where: str = "") -> list[str]:
    if isinstance(theirs, dict) and isinstance(mine, dict):
        keys = dict.fromkeys([*theirs, *mine])
        return [d for k in keys for d in _differences(theirs.get(k), mine.get(k), f"{where}.{k}".lstrip("."))]
    return [] if theirs == mine else [f"{where.removeprefix('config.')}: {theirs} there, {mine} here"]
