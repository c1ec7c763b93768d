"""The end of a process that leaves a thread behind.

Python ends a thread that is still at work when the process goes down at the next moment it asks for the interpreter.
Where C++ has called that or is to go on with it, as in rclpy and while a model is loaded, the process is aborted then:
exit code 134, and a core file on some machines. So the process ends first.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading


def leave_if_busy(code: int, name: str) -> None:
    """Ends the process at once when such a thread is still at work; otherwise does nothing.

    Called last, when all is put away that others could miss.

    Args:
        code: exit code.
        name: what the names of the threads begin with.
    """
    if not any(thread.name.startswith(name) for thread in threading.enumerate()):
        return
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # its reader has gone, or it is closed
            stream.flush()
    os._exit(code)
