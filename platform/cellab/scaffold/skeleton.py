"""The source of a class that keeps a contract as another does, with every member written out to be changed."""

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from importlib.util import resolve_name
from typing import Any

from cellab.conformity import is_network

_REMARKS = re.compile(r"  # (?:noqa|type: ignore)\b.*$", re.MULTILINE)
WIDTH = 120  # columns of a line
_FOREIGN = ("builtins", "torch", "typing", "abc", "collections")  # bases from there are no part of a component
Import = tuple[str, str | None]  # `from module import name [as alias]`, or `import module [as alias]`


@dataclass(frozen=True)
class Skeleton:
    """Python source, and what it needs.

    Args:
        imports: of the names in its signatures, and of the class that it asks.
        code: the class.
    """

    imports: frozenset[Import]
    code: str


def write_out(contract: type, base: type, name: str, summary: str, members: Collection[str]) -> Skeleton:
    """A plain class that keeps a contract by an object of the class `base`, with every member written out.

    Args:
        contract: whose members have their signatures and docstrings there.
        base: a class whose constructor's signature the new one has.
        name: of the new class.
        summary: the first line of its docstring; the rest is the base's.
        members: names of those of the contract that it has.
    """
    imports: set[Import] = {(base.__module__, base.__name__)}
    network = is_network(contract)
    if network:
        imports.add(("torch", "nn"))
    head, passed, needed = _constructor(base)
    begin = ["    super().__init__()"] if network else []
    methods = ["\n".join([head, *begin, _call(f"self.like = {base.__name__}", passed)])]
    source = _source(contract)
    for node in _class_node(contract).body:
        if isinstance(node, ast.FunctionDef) and node.name in members:
            methods.append(_method(node, source))
            needed |= _imports(node, ast.parse(source), contract.__module__)
    documentation = _docstring(base, summary)
    bases = "(nn.Module)" if network else ""
    code = f"class {name}{bases}:\n" + textwrap.indent("\n\n".join([documentation, *methods]), "    ")
    return Skeleton(frozenset(imports | needed), "\n".join(line.rstrip() for line in code.splitlines()) + "\n")


def _docstring(base: type, summary: str) -> str:
    body = inspect.cleandoc(base.__doc__ or "").partition("\n")[2]
    prefix = "r" if "\\" in body else ""
    return f'{prefix}"""{summary}\n{body}\n"""' if body.strip() else f'"""{summary}"""'


def _constructor(base: type) -> tuple[str, list[str], set[Import]]:
    """The head of a constructor like the base's, the arguments that it passes on, and what its signature imports."""
    for owner in base.__mro__:
        if owner.__module__.partition(".")[0] in _FOREIGN:
            continue
        for node in _class_node(owner).body:
            if isinstance(node, ast.FunctionDef) and node.name == "__init__" and node.body[0].lineno > node.lineno:
                source = _source(owner)
                return _head(node, source), _passed(node), _imports(node, ast.parse(source), owner.__module__)
    if not inspect.signature(base).parameters:
        return "def __init__(self) -> None:", [], set()
    return "def __init__(self, **arguments: Any) -> None:", ["**arguments"], {("typing", "Any")}


def _source(owner: type) -> str:
    return inspect.getsource(sys.modules[owner.__module__])


def _class_node(owner: type) -> ast.ClassDef:
    """The class in its module's tree, so that line numbers are the module's."""
    for node in ast.walk(ast.parse(inspect.getsource(sys.modules[owner.__module__]))):
        if isinstance(node, ast.ClassDef) and node.name == owner.__name__:
            return node
    raise AssertionError(f"{owner} is not in its module")


def _method(node: ast.FunctionDef, source: str) -> str:
    """Signature and docstring as the contract has them; the body asks `self.like`."""
    if any(ast.unparse(decorator) == "property" for decorator in node.decorator_list):
        return f"@property\n{_head(node, source)}\n    return self.like.{node.name}"
    gives = not (isinstance(node.returns, ast.Constant) and node.returns.value is None)
    # a network is called, not its `forward`
    asked = "self.like" if node.name in ("__call__", "forward") else f"self.like.{node.name}"
    return f"{_head(node, source)}\n{_call(f'return {asked}' if gives else asked, _passed(node))}"


def _head(node: ast.FunctionDef, source: str) -> str:
    """Signature and docstring, as they are written."""
    documented = ast.get_docstring(node) is not None
    last = node.body[0].end_lineno if documented else node.body[0].lineno - 1
    return _REMARKS.sub("", textwrap.dedent("\n".join(source.splitlines()[node.lineno - 1 : last])))


def _passed(node: ast.FunctionDef) -> list[str]:
    """The arguments of a method, as it hands them on."""
    arguments = node.args
    passed = [each.arg for each in [*arguments.posonlyargs, *arguments.args][1:]]
    passed += [f"*{arguments.vararg.arg}"] if arguments.vararg else []
    passed += [f"{each.arg}={each.arg}" for each in arguments.kwonlyargs]
    return passed + ([f"**{arguments.kwarg.arg}"] if arguments.kwarg else [])


def _call(function: str, arguments: list[str]) -> str:
    """On one line where it fits, else on three, or with a line an argument."""
    inner = ", ".join(arguments)
    if len(function) + len(inner) <= WIDTH - len("        ()"):
        return f"    {function}({inner})"
    lines = [inner] if len(inner) <= WIDTH - len("            ") else [f"{argument}," for argument in arguments]
    return "\n".join([f"    {function}(", *(f"        {line}" for line in lines), "    )"])


def _imports(node: ast.FunctionDef, module: ast.Module, module_name: str) -> set[Import]:
    """Where the names in a method's signature come from."""
    signature: list[Any] = [node.args, *([node.returns] if node.returns else [])]
    wanted = {name for part in signature for name in _names(part)}
    package = sys.modules[module_name].__package__ or ""
    imports: set[Import] = set()
    for statement in ast.walk(module):
        if isinstance(statement, ast.ImportFrom):
            origin = resolve_name("." * statement.level + (statement.module or ""), package)
            imports |= {(origin, _written(alias)) for alias in statement.names if _bound(alias) in wanted}
        elif isinstance(statement, ast.Import):
            imports |= {(_written(alias), None) for alias in statement.names if _bound(alias) in wanted}
    own = {name for statement in module.body for name in _defined(statement)}
    return imports | {(module_name, name) for name in own & wanted}


def _names(node: ast.AST) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            yield part.id
        elif isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value.isidentifier():
            yield part.value  # an annotation in quotes; a string that is none matches no import


def _written(alias: ast.alias) -> str:
    return f"{alias.name} as {alias.asname}" if alias.asname else alias.name


def _bound(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]


def _defined(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.ClassDef | ast.FunctionDef):
        yield statement.name
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    yield from (target.id for target in targets if isinstance(target, ast.Name))


def import_lines(imports: Iterable[Import], own: Collection[str]) -> str:
    """Import statements as isort would write them: the standard library, others, one's own, each a block."""
    blocks: list[list[str]] = [[], [], []]
    for module, name in sorted(imports, key=lambda each: (each[1] is not None, each[0])):
        top = module.partition(".")[0].partition(" ")[0]
        block = blocks[0 if top in sys.stdlib_module_names else 2 if top in own else 1]
        names = sorted({other for origin, other in imports if origin == module and other}, key=_isort)
        line = f"from {module} import {', '.join(names)}" if name else f"import {module}"
        if line not in block:
            block.append(line)
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _isort(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2), name
