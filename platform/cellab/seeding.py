"""Derives the seed of each use of chance from the seed of a trial."""

import hashlib


def derive_seed(seed: int, *words: object) -> int:
    """An independent 63-bit seed for each use, told by words, from a seed."""
    text = "/".join(map(str, (seed, *words)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
