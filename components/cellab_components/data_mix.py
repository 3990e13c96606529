"""Data mixes: which share of a batch comes from which source, generation by generation."""

from collections.abc import Sequence
from math import isclose

from cellab_components.checks import between, numbers

SOURCES = ("labelled", "pseudo", "generated")


class ByGeneration:
    """A list of shares for each source, from generation 1 on; generation 0 sees labelled crops only.

    Reference: Hann, section 4 and figure 2.

    Args:
        labelled: shares of crops with their given masks; the last holds on, as in the other lists.
        pseudo: shares of real crops with pseudo-labels.
        generated: shares of generated crops with pseudo-labels.

    Raises:
        ValueError: a share is not in [0, 1], a list is empty, or the shares of a generation do not add up to 1.
    """

    def __init__(self, labelled: Sequence[float], pseudo: Sequence[float], generated: Sequence[float]) -> None:
        given = {"labelled": labelled, "pseudo": pseudo, "generated": generated}
        self._shares = {source: numbers(source, shares) for source, shares in given.items()}
        for source, shares in self._shares.items():
            for share in shares:
                between(source, share, 0, 1)
        for generation in range(1, max(map(len, self._shares.values())) + 1):
            found = self.shares(generation)
            if not isclose(sum(found.values()), 1, abs_tol=1e-6):
                listed = ", ".join(f"{source} {share:g}" for source, share in found.items())
                raise ValueError(f"{listed}: the shares of generation {generation} must add up to 1.")

    def shares(self, generation: int) -> dict[str, float]:
        """The share of each of `SOURCES` in a generation (from 0); they add up to 1."""
        if generation == 0:
            return {"labelled": 1.0, "pseudo": 0.0, "generated": 0.0}
        return {source: float(shares[min(generation, len(shares)) - 1]) for source, shares in self._shares.items()}
