"""The source of a class that does what another does, with every public method written out to be changed."""

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from importlib.util import resolve_name
from typing import Any

_REMARKS = re.compile(r"  # (?:noqa|type: ignore)\b.*$", re.MULTILINE)
WIDTH = 120  # columns of a line
_FOREIGN = ("builtins", "torch", "typing", "abc", "collections")  # bases from there are no part of a component
Import = tuple[str, str | None]  # `from module import name [as alias]`, or `import module [as alias]`


@dataclass(frozen=True)
class Skeleton:
    """Python source, and what it needs.

    Args:
        imports: of the names in its signatures, and of its base.
        code: the class.
    """

    imports: frozenset[Import]
    code: str


def derive(base: type, name: str, summary: str) -> Skeleton:
    """A subclass of `base` called `name`, whose methods have the base's signatures and docstrings and call the base's.

    Args:
        base: a class whose source can be read.
        name: of the new class.
        summary: the first line of its docstring; the rest is the base's.
    """
    imports: set[Import] = {(base.__module__, base.__name__)}
    methods = []
    for owner, node in _methods(base):
        module = sys.modules[owner.__module__]
        source = inspect.getsource(module)
        methods.append(_method(node, source))
        imports |= _imports(node, ast.parse(source), owner.__module__)
    documentation = _docstring(base, summary)
    code = f"class {name}({base.__name__}):\n" + textwrap.indent("\n\n".join([documentation, *methods]), "    ")
    return Skeleton(frozenset(imports), "\n".join(line.rstrip() for line in code.splitlines()) + "\n")


def _docstring(base: type, summary: str) -> str:
    body = inspect.cleandoc(base.__doc__ or "").partition("\n")[2]
    prefix = "r" if "\\" in body else ""
    return f'{prefix}"""{summary}\n{body}\n"""' if body.strip() else f'"""{summary}"""'


def _methods(base: type) -> Iterator[tuple[type, ast.FunctionDef]]:
    """The constructor and the public methods and properties, each from the class that defines it, in their order."""
    seen: set[str] = set()
    for owner in base.__mro__:
        if owner.__module__.partition(".")[0] in _FOREIGN:
            continue
        for node in _class_node(owner).body:
            public = isinstance(node, ast.FunctionDef) and (
                node.name in ("__init__", "__call__") or node.name[0] != "_"
            )
            if isinstance(node, ast.FunctionDef) and public and node.name not in seen and _is_simple(node):
                seen.add(node.name)
                yield owner, node


def _class_node(owner: type) -> ast.ClassDef:
    """The class in its module's tree, so that line numbers are the module's."""
    for node in ast.walk(ast.parse(inspect.getsource(sys.modules[owner.__module__]))):
        if isinstance(node, ast.ClassDef) and node.name == owner.__name__:
            return node
    raise AssertionError(f"{owner} is not in its module")


def _is_simple(node: ast.FunctionDef) -> bool:
    """Whether `super().method(...)` stands for it, and its signature has lines of its own."""
    decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
    return not decorators & {"staticmethod", "classmethod"} and node.body[0].lineno > node.lineno


def _method(node: ast.FunctionDef, source: str) -> str:
    """Decorators, signature and docstring as they are written; the body calls the base's method."""
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    documented = ast.get_docstring(node) is not None
    last = node.body[0].end_lineno if documented else node.body[0].lineno - 1
    head = _REMARKS.sub("", textwrap.dedent("\n".join(source.splitlines()[first - 1 : last])))
    arguments = node.args
    passed = [each.arg for each in [*arguments.posonlyargs, *arguments.args][1:]]
    passed += [f"*{arguments.vararg.arg}"] if arguments.vararg else []
    passed += [f"{each.arg}={each.arg}" for each in arguments.kwonlyargs]
    passed += [f"**{arguments.kwarg.arg}"] if arguments.kwarg else []
    is_property = any(ast.unparse(decorator) == "property" for decorator in node.decorator_list)
    gives = not (isinstance(node.returns, ast.Constant) and node.returns.value is None)
    call = f"{'return ' if gives else ''}super().{node.name}"
    return f"{head}\n    {call}" if is_property else f"{head}\n{_call(call, passed)}"


def _call(function: str, arguments: list[str]) -> str:
    """On one line where it fits, else on three, or with a line an argument."""
    inner = ", ".join(arguments)
    if len(function) + len(inner) <= WIDTH - len("        ()"):
        return f"    {function}({inner})"
    lines = [inner] if len(inner) <= WIDTH - len("            ") else [f"{argument}," for argument in arguments]
    return "\n".join([f"    {function}(", *(f"        {line}" for line in lines), "    )"])


def _imports(node: ast.FunctionDef, module: ast.Module, module_name: str) -> set[Import]:
    """Where the names in a method's signature come from."""
    signature: list[Any] = [node.args, *([node.returns] if node.returns else []), *node.decorator_list]
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
