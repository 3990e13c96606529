"""Processes of this machine."""

import os


def has_ended(pid: int) -> bool:
    """Whether there is no process of this number here any more; it need not be one of ours."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # another user's
        pass
    return False
