"""Takes contracts apart, and tells what a component lacks of its kind's."""

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from cellab.contracts import MAY_LACK, Network

_MODULES = re.compile(r"\b(?:[A-Za-z_]\w*\.)+(?=[A-Za-z_])")


@dataclass(frozen=True)
class Member:
    """An attribute or a method of a contract.

    Args:
        name: of it.
        function: whose signature and docstring it has; of an attribute, the property's.
        is_attribute: whether it is no method.
    """

    name: str
    function: Callable[..., Any]
    is_attribute: bool

    @property
    def documentation(self) -> str:
        """Its docstring."""
        return inspect.getdoc(self.function) or ""

    @property
    def call(self) -> str:
        """How messages name it: a method with the names of its arguments."""
        names = [f"{each.name}=" if each.kind is each.KEYWORD_ONLY else each.name for each in self.parameters]
        return self.name if self.is_attribute else f"{self.name}({', '.join(names)})"

    @property
    def signature(self) -> str:
        """On one line, with types, modules' names left out."""
        signature = inspect.signature(self.function)
        called = str(signature.replace(parameters=self.parameters)).replace("'", "")
        text = f": {signature.return_annotation}" if self.is_attribute else called
        return self.name + _MODULES.sub("", text)

    @property
    def parameters(self) -> list[inspect.Parameter]:
        """Its arguments, without `self`."""
        return list(inspect.signature(self.function).parameters.values())[1:]

    @property
    def is_optional(self) -> bool:
        """Whether some components need not have it."""
        return hasattr(self.function, MAY_LACK)

    def is_had_by(self, component: object) -> bool:
        """Whether this component has it."""
        if self.is_attribute:
            return hasattr(component, self.name)
        return callable(self.of(component))

    def of(self, component: object) -> Any:
        """The component's own; None where there is none. Of what is called, itself; of a module, its `forward`."""
        if self.name == "__call__":
            return getattr(component, "forward", component)
        return getattr(component, self.name, None)


def members(contract: type) -> Iterator[Member]:
    """What a contract asks for, in its order; what every network has is no part of it."""
    for name, value in vars(contract).items():
        if isinstance(value, property) and value.fget is not None:
            yield Member(name, value.fget, is_attribute=True)
        elif inspect.isfunction(value) and (name == "__call__" or not name.startswith("_")):
            yield Member(name, value, is_attribute=False)


def is_network(contract: type) -> bool:
    """Whether components of the kind must be `torch.nn.Module`s."""
    return Network in contract.__mro__


def name_of(contract: type) -> str:
    """Its full name, as an import would have it."""
    return f"{contract.__module__}.{contract.__qualname__}"


def lacks(component: object, contract: type) -> Iterator[str]:
    """What a component lacks of a contract: the ends of sentences that begin with its class."""
    if is_network(contract) and not _is_module(component):
        yield "is no torch.nn.Module"
    for member in members(contract):
        if not member.is_had_by(component):
            if not member.is_optional:
                yield f"has no {'attribute' if member.is_attribute else 'method'} {member.call}"
        elif not member.is_attribute and not _takes(member.of(component), member.parameters):
            arguments = ", ".join(inspect.signature(member.of(component)).parameters)
            yield f"has {member.name}({arguments}), which cannot be called as {member.call}"


def _is_module(component: object) -> bool:
    from torch import nn

    return isinstance(component, nn.Module)


def _takes(function: Callable[..., Any], parameters: list[inspect.Parameter]) -> bool:
    """Whether it can be called with these arguments, by place where they have one."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # written in C: it has none
        return True
    named = {each.name: each for each in parameters if each.kind is each.KEYWORD_ONLY}
    try:
        signature.bind(*(each for each in parameters if each.kind is not each.KEYWORD_ONLY), **named)
    except TypeError:
        return False
    return True
