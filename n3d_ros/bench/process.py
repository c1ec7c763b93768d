"""What the kernel says of a process: memory and processor time (proc(5))."""

from __future__ import annotations

import math
import os
import re
import time
from pathlib import Path

PROC = Path("/proc")
_RESET_PEAK = "5"  # written to clear_refs (proc(5)): the peak begins anew at what is resident now


def resident_bytes(pid: int | str = "self", *, peak: bool = False, proc: Path = PROC) -> float:
    """Resident memory of a process.

    Args:
        pid: of the process; "self": this one.
        peak: the most so far instead of the present one.
        proc: where the kernel says it.

    Returns:
        Bytes; NaN when it is gone, or the kernel does not say.
    """
    try:
        text = (proc / str(pid) / "status").read_text()
    except OSError:
        return math.nan
    found = re.search(rf"{'VmHWM' if peak else 'VmRSS'}:\s+(\d+) kB", text)
    return int(found[1]) * 1024.0 if found else math.nan


def forget_peak(proc: Path = PROC) -> bool:
    """Begins this process's peak of memory anew, where the kernel lets it.

    Args:
        proc: where the kernel is told.

    Returns:
        Whether it did; False: the peak is still that of everything before.
    """
    try:
        (proc / "self" / "clear_refs").write_text(_RESET_PEAK)
    except OSError:
        return False
    return True


def cpu_seconds(pid: int, proc: Path = PROC) -> float:
    """Processor time of a process so far, all threads (fields utime and stime).

    Args:
        pid: of the process.
        proc: where the kernel says it.

    Returns:
        Seconds; NaN when it is gone.
    """
    try:
        content = (proc / str(pid) / "stat").read_text()
    except OSError:
        return math.nan
    fields = content.rpartition(")")[2].split()  # the name before it may hold spaces
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_share(pid: int, seconds: float) -> float:
    """The share of one core that a process takes.

    Args:
        pid: of the process.
        seconds: how long to watch.

    Returns:
        0 for nothing, 1 for a whole core.
    """
    begin, start = time.monotonic(), cpu_seconds(pid)
    time.sleep(seconds)
    return (cpu_seconds(pid) - start) / (time.monotonic() - begin)
