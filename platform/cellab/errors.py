"""The errors that cellab raises for people to read: one message that says what, where and what would be right."""

import os


class CellabError(Exception):
    """A mistake of the user's or of the surroundings: its message is all that the terminal shows.

    Attributes:
        exit_status: of the command that it ends.
    """

    exit_status = 2


class UnfinishedError(CellabError):
    """A study whose results are written, but lack trials that failed."""

    exit_status = 3


class ConfigError(CellabError):
    """One or more mistakes in a configuration, reported together.

    Args:
        mistakes: one sentence each: where, what was found, what is allowed.
    """

    def __init__(self, mistakes: list[str]) -> None:
        self.mistakes = mistakes
        super().__init__("\n".join(mistakes))


class DataError(CellabError):
    """A data set, an image folder or a mask that cannot be used as it is."""


class StoreError(CellabError):
    """A store that cannot be read or written."""


class DivergedError(CellabError):
    """A loss that became NaN or infinite.

    Args:
        series: the loss that diverged, e.g. ``"discriminator 1"``.
        step: the optimiser step, counted from 1, at which it did.
        value: the value found.
    """

    def __init__(self, series: str, step: int, value: float) -> None:
        self.series = series
        self.step = step
        self.value = value
        super().__init__(f"the loss of the {series} became {value} at step {step}")


def reason(error: OSError) -> str:
    """Why the system refused, without numbers and file names: ``"No space left on device"``."""
    return os.strerror(error.errno) if error.errno else str(error) or type(error).__name__
