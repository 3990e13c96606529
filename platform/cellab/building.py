"""Builds what checked configurations name by `_target_`: all that a stage knows of components.

Which components there are, and what their arguments must be, is told before any compute: see `cellab.components`.
"""

from typing import Any, TypeVar, overload

from cellab.errors import ConfigError
from cellab.plain import PlainMapping

# what a class raises that cannot do with its arguments; numbers that overflow are among them
BUILD_ERRORS = (ValueError, TypeError, ArithmeticError, LookupError, AttributeError, RuntimeError, MemoryError)


_Contract = TypeVar("_Contract")


@overload
def instantiate(config: PlainMapping, where: str, as_: None = None, **arguments: Any) -> Any: ...


@overload
def instantiate(config: PlainMapping, where: str, as_: type[_Contract], **arguments: Any) -> _Contract: ...


def instantiate(config: PlainMapping, where: str, as_: type | None = None, **arguments: Any) -> Any:  # noqa: ARG001
    """Builds what a composed configuration names by `_target_`, nested configurations first.

    Args:
        config: resolved, its values as its signature wants them.
        where: its dotted key, for the message.
        as_: the contract that it keeps, as was seen to before any compute: for those who read and check types.
        arguments: that are not in the configuration.

    Raises:
        ConfigError: it cannot be built of these arguments; caused by what Hydra raised.
    """
    import hydra.utils
    from hydra.errors import InstantiationException

    try:
        return hydra.utils.instantiate(config, **arguments, _convert_="all")
    except Exception as error:
        cause = error.__cause__ or error
        if isinstance(cause, (*BUILD_ERRORS, InstantiationException)):  # Hydra's own: it refuses some targets
            raise ConfigError([f"{where}: {config['_target_']} cannot be built: {cause}"]) from error
        raise
