"""Finds and reads the files of ablations."""

import io
import itertools
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cellab.errors import ConfigError
from cellab.names import did_you_mean

ENDINGS = (".yaml", ".yml")


def folders(chosen: Path | None) -> list[Path]:
    """Where ablations are looked for: the chosen folder alone, or the working directory's, then the installed copy."""
    if chosen is not None:
        return [chosen]
    source = Path(__file__).parents[2] / "ablations"
    installed = Path(sysconfig.get_path("data")) / "share" / "cellab" / "ablations"
    return [Path.cwd() / "ablations", source if source.is_dir() else installed]


def find(name: str, chosen: Path | None) -> Path:
    """The file of an ablation.

    Args:
        name: the file's, without its ending or with it; or its path, from here or from a folder of ablations.
        chosen: the only folder to look in for what is no path from here; None: see `folders`.

    Raises:
        ConfigError: there is no such ablation (nearest name suggested), or no folder of ablations.
    """
    looked = folders(chosen)
    found = {path.stem: path for folder in reversed(looked) for path in _files(folder)}
    if name in found:
        return found[name]
    asked = Path(name).expanduser()
    is_path = asked.suffix in ENDINGS or len(asked.parts) > 1
    if is_path and (path := next((path for path in _candidates(asked, looked) if path.is_file()), None)):
        return path
    where = " or ".join(dict.fromkeys(map(str, looked)))
    if is_path:
        near = found | {path.stem: path for path in _files(asked.parent)}
        raise ConfigError([f"there is no file {name}, and no such ablation in {where}{did_you_mean(asked.stem, near)}"])
    if not found:
        raise ConfigError([f"there are no ablations in {where}: name their folder with --ablations DIR."])
    raise ConfigError([f"there is no ablation {name!r} in {where}{did_you_mean(name, found)}"])


def _files(folder: Path) -> list[Path]:
    """The ablation files in a folder; of two with the same name `.yaml` comes last, and counts."""
    return [path for ending in reversed(ENDINGS) for path in sorted(folder.glob(f"*{ending}"))]


def _candidates(asked: Path, looked: list[Path]) -> Iterator[Path]:
    """Where a path may lead, with its ending or without; a bare file's name first to a folder of ablations."""
    beside = [folder.parent for folder in looked]  # `ablations/gan_loss.yaml` of the installed copy
    bases = [*looked, Path()] if len(asked.parts) == 1 else [Path(), *looked, *beside]
    for base in bases:
        yield base / asked
        yield from (base / asked.with_name(asked.name + ending) for ending in ENDINGS)


def read(path: Path) -> dict[str, Any]:
    """The content of an ablation file, its keys as texts.

    Raises:
        ConfigError: it is not readable, or not a mapping.
    """
    try:
        content = OmegaConf.to_container(OmegaConf.load(io.StringIO(_text(path))))
    except UnicodeDecodeError as error:
        raise ConfigError(
            [f"{path} is not UTF-8 text ({error.reason} at byte {error.start}): save it as UTF-8."]
        ) from error
    except (OSError, yaml.YAMLError, OmegaConfBaseException) as error:
        raise ConfigError([f"{path} is not readable YAML: {' '.join(str(error).split())}"]) from error
    if not isinstance(content, dict):
        raise ConfigError(
            [f"{path}: an ablation is a mapping with the keys design, seeds, rank_by, overrides, and its design's."]
        )
    return _with_text_keys(content)


def question(path: Path) -> str:
    """The first comment of an ablation file, its lines joined."""
    lines = itertools.takewhile(lambda line: line.startswith("#"), _text(path).splitlines())
    return " ".join(line.lstrip("# ").strip() for line in lines)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8-sig")  # some editors put a mark before the first character


def _with_text_keys(content: dict[Any, Any]) -> dict[str, Any]:
    """Keys that YAML takes for numbers or booleans are texts: `on` names a setting, too."""
    return {
        str(key).lower() if isinstance(key, bool) else str(key): _with_text_keys(item)
        if isinstance(item, dict)
        else item
        for key, item in content.items()
    }
