"""A new component: what its files hold, and how they are written, all or none."""

import importlib
import keyword
import re
from dataclasses import dataclass
from pathlib import Path
from string import Template

import yaml
from omegaconf import OmegaConf

from cellab import components
from cellab.components import GROUP, Component
from cellab.conformity import members, name_of
from cellab.contracts import CONTRACTS
from cellab.errors import CellabError
from cellab.overrides import parse
from cellab.scaffold import package
from cellab.scaffold.package import Target
from cellab.scaffold.skeleton import Import, import_lines, write_out

TRIAL = Path(__file__).parents[1] / "config" / "trial.yaml"

PROJECT = Template("""[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "$distribution"
version = "0.1.0"
description = "Components for cellab"
requires-python = ">=3.11"
dependencies = ["cellab"]

[project.entry-points."$group"]
$module = "$module"

[tool.hatch.build.targets.wheel]
packages = ["src/$module"]
""")

MODULE = Template('''"""The component $kind/$name: as yet it does what $kind/$like does.

A plain class against its kind's contract, $contract, whose signatures and docstrings say
what each member is given and asked for. `self.like` does the work: write anew what is to differ, and when nothing is
left to it, drop it. Arguments of `__init__` stand in the YAML too, with their defaults.
"""

$imports


$code''')

TEST = Template('''"""$kind/$name: its YAML builds it, and a lineage runs with it."""

import subprocess
import sys

$imports


def test_its_yaml_builds_it():
    found = components.get("$kind", "$name")
    assert components.check_signature(found.config, "$kind/$name") == []
    assert isinstance(components.build("$kind", "$name"), $cls)


def test_a_lineage_runs_with_it(tmp_path):
    synthesise(tmp_path / "phantom.h5", Phantom(n_frames=18, size=96, seed=3))
    settings = ["$kind=$name", "scale=smoke", "executor=inline", "data.path=phantom.h5"]
    command = [sys.executable, "-m", "cellab", "train", *settings]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
''')


@dataclass(frozen=True)
class Draft:
    """A component to be: where it goes, and its files' content by path."""

    target: Target
    files: dict[Path, str]

    def write(self) -> None:
        """Writes all files.

        Raises:
            CellabError: one of them is there, or cannot be written; then nothing is changed.
        """
        there = [str(path) for path in self.files if path.exists()]
        if there:
            raise CellabError(f"{' and '.join(there)}: there already; nothing was written.")
        made: list[Path] = []
        try:
            for path, content in self.files.items():
                for folder in reversed([each for each in path.parents if not each.exists()]):
                    folder.mkdir()
                    made.append(folder)
                with path.open("x", encoding="utf-8") as file:
                    made.append(path)
                    file.write(content)
        except OSError as error:
            for path in reversed(made):
                path.rmdir() if path.is_dir() else path.unlink()
            raise CellabError(f"{error.filename} cannot be written ({error.strerror}); nothing was.") from error


def draft(kind: str, name: str, folder: Path | None, like: str | None) -> Draft:
    """Lays out a new component that does what another of its kind does.

    Args:
        kind: one of the kinds there are.
        name: of the new component.
        folder: of the package it goes to; None: `cellab-NAME` here.
        like: the name of the component that it begins as; None: what a trial uses by default.

    Raises:
        CellabError: there is no such kind, or none that has a contract, or no such component to begin as, the name
            cannot be one or is taken, or the folder holds something that is no package of components.
    """
    _check_name(kind, name)
    base = components.get(kind, like or default_name(kind))
    base_class = base.target
    if not isinstance(base_class, type):
        raise CellabError(f"{base.where} is a function, not a class: begin as another {kind} with --like NAME.")
    target = package.find(folder or Path(f"cellab-{name.replace('_', '-')}"))
    module, cls = _module(target, kind, name), _class_name(name, kind, base_class)
    contract = _contract(kind)
    summary = f"As yet what `{kind}/{base.name}` is: say here, in one sentence, what it does."
    skeleton = write_out(contract, base_class, cls, summary, _members(base, contract))
    imports = import_lines(skeleton.imports, target.packages)
    values = {"kind": kind, "name": name, "like": base.name, "cls": cls, "module": target.module, "group": GROUP}
    values["contract"] = name_of(contract)
    tested: set[Import] = {
        ("cellab", "components"),
        ("cellab.data.synthetic", "Phantom"),
        ("cellab.data.synthetic", "synthesise"),
        (f"{target.module}.{module}", cls),
    }
    files = {
        target.source / Path(*module.split(".")).with_suffix(".py"): MODULE.substitute(
            values, imports=imports, code=skeleton.code
        ),
        target.source / "config" / kind / f"{name}.yaml": _yaml(base, f"{target.module}.{module}.{cls}"),
        target.tests / f"test_{kind}_{name}.py": TEST.substitute(values, imports=import_lines(tested, target.packages)),
    }
    if target.is_new:
        distribution = target.module.replace("_", "-")
        files = {
            target.folder / "pyproject.toml": PROJECT.substitute(values, distribution=distribution),
            target.source / "__init__.py": '"""Components for cellab, each named by a YAML in `config/`."""\n',
            **files,
        }
    return Draft(target, files)


def default_name(kind: str) -> str:
    """The component of a kind that a trial uses unless told otherwise; `none`, or the first, where it uses none."""
    known = components.names(kind)
    chosen = next((entry[kind] for entry in OmegaConf.load(TRIAL).defaults if kind in entry), None)
    return str(chosen) if chosen is not None else "none" if "none" in known else known[0]


def _contract(kind: str) -> type:
    if kind not in CONTRACTS:
        raise CellabError(f"{kind} is no kind that cellab has a contract for. There are: {', '.join(CONTRACTS)}.")
    return CONTRACTS[kind]


def _members(base: Component, contract: type) -> list[str]:
    """Those of the contract that a component has; some of them it may lack."""
    import torch

    with torch.device("meta"):
        built = components.build(base.kind, base.name)
    return [member.name for member in members(contract) if member.is_had_by(built)]


def _check_name(kind: str, name: str) -> None:
    taken = components.names(kind)
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise CellabError(f"{name!r} cannot name a component: use small letters, digits and _, a letter first.")
    if yaml.safe_load(name) != name or parse([f"{kind}={name}"])[0].value != name:
        raise CellabError(f"{name!r} cannot name a component: in a YAML or an override it is no text but a value.")
    if name in taken:
        there = components.get(kind, name)
        raise CellabError(f"there is a {kind}/{name} already, from {there.origin} ({there.path}): choose another name.")


def _module(target: Target, kind: str, name: str) -> str:
    """Dotted, within the package: in the kind's folder, where the package has one."""
    has_folder = (target.source / kind / "__init__.py").is_file()
    return f"{kind}.{name}" if has_folder and not keyword.iskeyword(name) else f"{kind}_{name}"


def _class_name(name: str, kind: str, base: type) -> str:
    """In capitals; with the kind's where it would hide another name."""

    def camel(text: str) -> str:
        return "".join(part.capitalize() for part in text.split("_"))

    hidden = {base.__name__, *vars(importlib.import_module(base.__module__))}
    return camel(name) + camel(kind) if camel(name) in hidden or keyword.iskeyword(camel(name)) else camel(name)


def _yaml(base: Component, target: str) -> str:
    """The base's, with another `_target_`; without the first comment, which would be its summary."""
    text = base.path.read_text(encoding="utf-8").lstrip()
    while text.startswith("#"):
        text = text.partition("\n")[2].lstrip()
    return re.sub(r"^_target_:.*$", f"_target_: {target}", text, count=1, flags=re.MULTILINE).rstrip() + "\n"
