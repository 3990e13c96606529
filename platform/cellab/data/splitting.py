"""Splits frames into training, validation and test: by contiguous blocks with gaps, or at random."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cellab.data.dataset import SPLITS, TRAIN, UNUSED, VALIDATION
from cellab.errors import DataError


@dataclass(frozen=True)
class Splitting:
    """How frames are split.

    Args:
        method: ``"blocks"`` for consecutive frames (neighbours are nearly the same image: a random split leaks), or
            ``"random"`` for unrelated images.
        fractions: of training, validation and test; they sum to 1. Test may be 0.
        gap: unused frames between two blocks; None: one for every 20 frames, from 1 to 10.
        seed: of the random split.
    """

    method: str = "blocks"
    fractions: tuple[float, ...] = (0.6, 0.15, 0.25)
    gap: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise DataError(f"split {self.method!r}: give blocks or random.")
        if len(self.fractions) != 3 or min(self.fractions) < 0 or not abs(sum(self.fractions) - 1) <= 1e-6:
            raise DataError(
                f"fractions {list(self.fractions)}: give three numbers for training, validation and test that sum "
                "to 1, e.g. 0.6,0.15,0.25."
            )
        if self.fractions[TRAIN] == 0 or self.fractions[VALIDATION] == 0:
            which = "training" if self.fractions[TRAIN] == 0 else "validation"
            raise DataError(
                f"fractions {list(self.fractions)} leave no {which} frame: training and validation need some."
            )
        if self.gap is not None and self.gap < 0:
            raise DataError(f"gap {self.gap}: give a number of frames, 0 or more.")

    def codes(self, scorable: np.ndarray) -> np.ndarray:
        """Assigns each frame to a split.

        Args:
            scorable: (N,) bool: whether there is a mask or a truth to score a frame against. Where frames are split at
                random, those without are for training.

        Returns:
            (N,) uint8, indices into `SPLITS`.

        Raises:
            DataError: there are too few frames for each split to have one.
        """
        return self._blocks(len(scorable)) if self.method == "blocks" else self._random(scorable)

    def _blocks(self, count: int) -> np.ndarray:
        gap = self.gap if self.gap is not None else min(10, max(1, count // 20))
        gaps = gap * (sum(fraction > 0 for fraction in self.fractions) - 1)
        sizes = self._sizes(count - gaps, f"{count} frames less {gaps} unused ones between the blocks")
        codes = np.full(count, UNUSED, np.uint8)
        start = 0
        for code, size in enumerate(sizes):
            codes[start : start + size] = code
            start += size + gap
        return codes

    def _random(self, scorable: np.ndarray) -> np.ndarray:
        codes = np.full(len(scorable), TRAIN, np.uint8)
        candidates = np.flatnonzero(scorable)
        sizes = self._sizes(len(candidates), f"{len(candidates)} frames with masks")
        shuffled = np.random.default_rng(self.seed).permutation(candidates)
        codes[shuffled] = np.repeat(np.arange(3, dtype=np.uint8), sizes)
        return codes

    def _sizes(self, count: int, what: str) -> list[int]:
        """Frames of each split: rounded by largest remainder, at least one where the fraction is not 0."""
        wanted = [fraction > 0 for fraction in self.fractions]
        if count < sum(wanted):
            lacking = sum(wanted) - count
            missing = [name for name, is_wanted in zip(SPLITS, wanted, strict=False) if is_wanted][max(count, 0) :]
            raise DataError(
                f"{what} leave no {' and no '.join(missing)} frame: give at least {lacking} more, or a smaller gap."
            )
        sizes = largest_remainder(count, self.fractions)
        while any(is_wanted and size == 0 for is_wanted, size in zip(wanted, sizes, strict=True)):
            sizes[sizes.index(max(sizes))] -= 1
            sizes[next(i for i in range(3) if wanted[i] and sizes[i] == 0)] += 1
        return sizes


METHODS = ("blocks", "random")


def largest_remainder(count: int, fractions: Sequence[float]) -> list[int]:
    """Shares a count out: each gets its share rounded down, the largest remainders one more each."""
    exact = [count * fraction for fraction in fractions]
    sizes = [int(share + 1e-9) for share in exact]
    by_remainder = sorted(range(len(sizes)), key=lambda i: sizes[i] - exact[i])
    for i in by_remainder[: count - sum(sizes)]:
        sizes[i] += 1
    return sizes


def runs(indices: np.ndarray) -> list[np.ndarray]:
    """Ascending frame numbers, cut into runs of consecutive ones."""
    if not len(indices):
        return []
    return np.split(indices, np.flatnonzero(np.diff(indices) != 1) + 1)
