"""Fingerprints of code: what a stage's result depends on besides its request.

A fingerprint covers the modules named, every module of the same packages that they import (directly or not), and the
versions of the numerical libraries. What is written for people does not count: comments, formatting, docstrings, the
texts of a `raise` and of whatever is called `...Error`, and the modules in `PROSE`. All other code of a module counts,
used or not: a component needs a module of its own.

A package's `__init__` counts where it is imported itself, not where only a module in it is, and should hold nothing but
a docstring. To compute a fingerprint, nothing but such packages is imported.
"""

import ast
import copy
import functools
import hashlib
import importlib.util
import platform
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

NUMERICAL_LIBRARIES = ("torch", "numpy")
# no result depends on how an error is worded, on the nearest name, or on what components promise to type checkers
PROSE = frozenset({"cellab.contracts", "cellab.errors", "cellab.names"})


def fingerprint(modules: Iterable[str]) -> str:
    """SHA-256 (hex) of the code that the modules run.

    Args:
        modules: dotted names; imports are followed within the top-level packages that they belong to.
    """
    return _fingerprint(tuple(sorted(set(modules))))


def stage_fingerprint(module: str, request: Mapping[str, object]) -> str:
    """SHA-256 (hex) of the code of a stage: its module's, and that of every component in its request (JSON)."""
    return fingerprint([module, *_target_modules(request)])


def _target_modules(config: object) -> Iterator[str]:
    """The modules of every `_target_`, torch's own excepted: its version counts instead."""
    if isinstance(config, dict):
        target = str(config.get("_target_", "torch."))
        if not target.startswith("torch."):
            yield target.rpartition(".")[0]
    values = config.values() if isinstance(config, dict) else config if isinstance(config, list) else ()
    for value in values:
        yield from _target_modules(value)


@functools.cache
def _fingerprint(modules: tuple[str, ...]) -> str:
    versions = [f"{name} {version(name)}" for name in NUMERICAL_LIBRARIES]
    digest = hashlib.sha256(" ".join([platform.python_version(), *versions]).encode())
    packages = {module.partition(".")[0] for module in modules}
    for module in sorted(_closure(modules, packages)):
        digest.update(f"\n{module} {_source_digest(module)}".encode())
    return digest.hexdigest()


def _closure(modules: tuple[str, ...], packages: set[str]) -> set[str]:
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module in found | PROSE or module.partition(".")[0] not in packages or _file(module) is None:
            continue
        found.add(module)
        waiting += _imports(module)
    return found


@functools.cache
def _file(module: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:  # `from package.module import name`: name is not a module
        return None
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None


@functools.cache
def _tree(module: str) -> ast.Module:
    path = _file(module)
    assert path is not None
    return ast.parse(path.read_bytes(), filename=str(path))


@functools.cache
def _source_digest(module: str) -> str:
    computation = _WithoutProse().visit(copy.deepcopy(_tree(module)))
    return hashlib.sha256(ast.dump(computation).encode()).hexdigest()


class _WithoutProse(ast.NodeTransformer):
    """Drops docstrings, which stand as statements, and empties the texts of errors."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        return _WithoutTexts().generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        visitor: ast.NodeTransformer = _WithoutTexts() if called.endswith("Error") else self
        return visitor.generic_visit(node)


class _WithoutTexts(ast.NodeTransformer):
    """Empties texts, those with values in them too."""

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Constant("") if isinstance(node.value, str) else node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:  # noqa: ARG002
        return ast.Constant("")


def _imports(module: str) -> list[str]:
    path = _file(module)
    package = module if path and path.name == "__init__.py" else module.rpartition(".")[0]
    names = []
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return names
