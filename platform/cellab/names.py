"""Suggests the nearest name for a mistyped one."""

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, options: Iterable[str], *, listed: bool = True) -> str:
    """The end of a sentence that rejects a name: the nearest option, and all of them where they are few.

    Args:
        name: what was typed.
        options: what is allowed.
        listed: whether all options are to be named, where they are few.

    Returns:
        E.g. ``": did you mean 'ns_gp'? There are: ns, ns_gp, wgan, wgan_gp."``; starts with punctuation.
    """
    allowed = sorted({str(option) for option in options})
    lower = {option.lower(): option for option in allowed}
    near = [lower[found] for found in difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.5)]
    listing = f" There are: {', '.join(allowed)}." if listed and 0 < len(allowed) <= 24 else ""
    return f": did you mean {near[0]!r}?{listing}" if near else f".{listing}"
