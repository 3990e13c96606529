"""Repeats a study from what it left: the same arms, seeds and values, or a word about what is no longer the same."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cellab.ablation import COMMON, Ablation
from cellab.ablation_files import read
from cellab.designs import DESIGNS
from cellab.errors import ConfigError
from cellab.overrides import parse
from cellab.plain import PlainMapping, listed, mapping
from cellab.seeds import read_seeds
from cellab.study import Study
from cellab.study_files.folder import StudyFolder

MAY_DIFFER = ("data.path", "executor")  # where the data set lies now, and what runs the stages: no result depends on it
_NEEDED = ("name", "ablation", "question", "data_digest", "config", *COMMON)


@dataclass(frozen=True)
class Repeated:
    """A study as it was asked for once.

    Args:
        path: of its `study.yaml`.
        name: of its folder.
        ablation: what it asked, with what was given now.
        data_digest: of its data set's content.
        arms: the resolved configurations of its arms, or of the baseline alone (under no name) where no more is known.
    """

    path: Path
    name: str
    ablation: Ablation
    data_digest: str
    arms: dict[str, PlainMapping]

    @classmethod
    def of(cls, path: Path, overrides: list[str]) -> "Repeated":
        """Of a `study.yaml`.

        Args:
            path: of the file.
            overrides: of keys that may differ.

        Raises:
            ConfigError: it is no such file, or other keys are given.
        """
        for override in parse(overrides):
            if override.key not in MAY_DIFFER:
                raise ConfigError(
                    [f"{override.text}: --from repeats a study as it was; only {' and '.join(MAY_DIFFER)} may differ."]
                )
        said = read(path)
        design = DESIGNS.get(str(said.get("design")))
        needed = (*_NEEDED, *(design.keys if design else ()))
        if design is None or not set(needed) <= set(said):
            lacking = ", ".join(key for key in needed if key not in said) or f"a design, one of {', '.join(DESIGNS)}"
            raise ConfigError([f"{path} describes no study that can be repeated: it lacks {lacking}."])
        ablation = Ablation(
            name=str(said["ablation"]),
            question=str(said["question"]),
            design=str(said["design"]),
            content={key: said[key] for key in design.keys},
            seeds=read_seeds(said["seeds"]),
            rank_by=str(said["rank_by"]),
            overrides=[*map(str, listed(said["overrides"])), *overrides],
        )
        return cls(path, str(said["name"]), ablation, str(said["data_digest"]), _configurations(path, said))

    def check(self, study: Study) -> None:
        """Sees that a study which was built of the ablation is the one that was run.

        Raises:
            ConfigError: its data set, or a value of an arm, is another now.
        """
        mistakes = []
        if study.data_digest != self.data_digest:
            mistakes.append(f"data.path: {study.data_path} is not the data set of {self.path}: name it, data.path=...")
        for name, config in self.arms.items():
            now = study.configs[name].plain if name else study.config.plain
            mistakes += [f"{name}: {each}".removeprefix(": ") for each in _differences(config, now)]
        if mistakes:
            raise ConfigError([f"{self.path} cannot be repeated exactly:", *(f"  {each}" for each in mistakes[:5])])


def _configurations(path: Path, said: dict[str, Any]) -> dict[str, PlainMapping]:
    folder = StudyFolder(path.parent)
    if folder.configurations.is_file():
        return dict(folder.read_configurations().arms)
    return {"": mapping(said["config"])}


def _differences(then: Any, now: Any, where: str = "") -> Iterator[str]:
    if isinstance(then, dict) and isinstance(now, dict):
        for key in dict.fromkeys([*then, *now]):
            yield from _differences(then.get(key), now.get(key), f"{where}.{key}".lstrip("."))
    elif then != now and where not in MAY_DIFFER:
        yield f"{where} was {then}, and is {now} in this version of cellab or of a plug-in."
