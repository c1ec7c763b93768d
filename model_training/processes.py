"""Which processes are still there: files half-written by one that is gone are nobody's."""

from __future__ import annotations

import os


def is_running(process: int) -> bool:
    """Whether a process of that number is there.

    Args:
        process: its number on this machine.

    Returns:
        True where it is, even if it is somebody else's.
    """
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # somebody else's, or larger than any number of a process
        return True
    return True
