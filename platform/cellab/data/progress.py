"""How long work on data tells how far it is."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]  # what is done, how many, of how many; what it raises stops the work
