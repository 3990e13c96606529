"""Whose a study's folder is: one command at a time, and one study for good."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cellab.designs import DESIGNS
from cellab.errors import CellabError, reason
from cellab.locking import Claim, TakenError
from cellab.study import Plan, Study
from cellab.study_files.folder import StudyFolder, replace

# More arms or seeds, another way to run or rank: still the same study.
_MAY_CHANGE = ("seeds", "question", "rank_by", *{key for design in DESIGNS.values() for key in design.keys})
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
    theirs, mine = _read(folder), describe(study)
    differences = _differences(_identity(theirs), _identity(mine)) or _lost(theirs, mine)
    if differences:
        raise CellabError(
            f"{folder.path} holds another study ({'; '.join(differences[:5])}): choose another folder with "
            f"--name NAME or --runs DIR, or remove {folder.path} (finished stages stay in the store)."
        )


def claim_folder(study: Study, planned: Plan, folder: StudyFolder) -> None:
    """Makes the folder the study's: writes `study.yaml` and `plan.json`.

    Raises:
        CellabError: it cannot be written.
    """
    try:
        description = OmegaConf.create(describe(study))
        replace(folder.description, lambda path: OmegaConf.save(description, path))
        folder.write_plan(planned)
    except OSError as error:
        raise _cannot_write(folder.path, error) from error


def describe(study: Study) -> dict[str, Any]:
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
        "data_digest": study.data_digest,
        "config": study.config.plain,
    }


def _read(folder: StudyFolder) -> dict[str, Any]:
    path = folder.description
    try:
        content = OmegaConf.to_container(OmegaConf.load(path))
        if isinstance(content, dict) and {"design", "seeds", "config"} <= set(content):
            return {str(key): value for key, value in content.items()}
    except (OSError, ValueError, yaml.YAMLError, OmegaConfBaseException):
        pass
    raise CellabError(
        f"{path} is damaged, so nobody knows which study {folder.path} holds: choose another folder with --name NAME, "
        f"or remove {folder.path} (finished stages stay in the store)."
    )


def _lost(theirs: dict[str, Any], mine: dict[str, Any]) -> list[str]:
    """Arms and seeds that are there and not here: their results would vanish from the folder."""
    seeds = [seed for seed in theirs["seeds"] if seed not in mine["seeds"]]
    arms = [name for name, does in _arms(theirs).items() if _arms(mine).get(name) != does]
    found = {"seeds": seeds, "arms": arms}
    return [f"{what} there, not here: {', '.join(map(str, lost))}" for what, lost in found.items() if lost]


def _arms(description: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    return {arm.name: arm.overrides for arm in DESIGNS[description["design"]].arms(description)}


def _identity(description: dict[Any, Any]) -> dict[str, Any]:
    kept = {str(key): value for key, value in description.items() if key not in _MAY_CHANGE}
    config = {key: value for key, value in kept.get("config", {}).items() if key not in _MAY_CHANGE_IN_CONFIG}
    return {**kept, "config": {**config, "data": {**config.get("data", {}), "path": None}}}


def _differences(theirs: Any, mine: Any, where: str = "") -> list[str]:
    if isinstance(theirs, dict) and isinstance(mine, dict):
        keys = dict.fromkeys([*theirs, *mine])
        return [d for k in keys for d in _differences(theirs.get(k), mine.get(k), f"{where}.{k}".lstrip("."))]
    return [] if theirs == mine else [f"{where.removeprefix('config.')}: {theirs} there, {mine} here"]
