"""Checks of this machine: processor, memory, disk."""

from __future__ import annotations

from collections.abc import Iterator

from n3d_ros.ros.doctor.findings import Finding, fault, ok, warning
from n3d_ros.ros.doctor.snapshot import Snapshot

BUSY, LITTLE_MEMORY, NO_MEMORY = 0.9, 0.1, 0.03  # shares
LITTLE_DISK_BYTES, NO_DISK_BYTES = 5_000_000_000, 500_000_000  # raw RGB-D of 640x480 at 30 Hz fills 45 MB a second


def check_load(snapshot: Snapshot) -> Iterator[Finding]:
    """Whether the machine has room for the work.

    Args:
        snapshot: the facts.

    Yields:
        One finding each for processor, memory and disk.
    """
    host = snapshot.host
    if host.busy_share is not None:
        text = f"The processor is busy to {host.busy_share:.0%} ({host.cores} cores)."
        if host.busy_share > BUSY:
            mend = "Stop what is not needed, lower the camera's rate, or set continuous_rate_hz."
            yield warning("load.processor", text, mend)
        else:
            yield ok("load.processor", text)
    if host.memory_bytes:
        share = host.memory_free_bytes / host.memory_bytes
        text = f"{host.memory_free_bytes / 1e9:.1f} of {host.memory_bytes / 1e9:.1f} GB of memory are free."
        mend = "Stop what is not needed, or take a smaller model; the kernel ends processes when memory runs out."
        make = fault if share < NO_MEMORY else warning
        yield make("load.memory", text, mend) if share < LITTLE_MEMORY else ok("load.memory", text)
    if host.disk_free_bytes:
        text = f"{host.disk_free_bytes / 1e9:.1f} GB are free for recordings in {host.disk_path}."
        mend = "Record elsewhere or compressed topics only: raw images of 640x480 px at 30 Hz take 45 MB a second."
        make = fault if host.disk_free_bytes < NO_DISK_BYTES else warning
        is_full = host.disk_free_bytes < LITTLE_DISK_BYTES
        yield make("load.disk", text, mend) if is_full else ok("load.disk", text)
