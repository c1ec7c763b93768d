"""What only torch can say of a device: how fast its memory is, and how much of a GPU's memory was used."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import torch

MEASURED_NUMBERS = 100_000_000  # float32, read and copied on a CPU; on a GPU ten times as many
NOMINAL_BYTES_PER_S = {"H200": 4.8e12, "H100": 3.35e12, "A100": 2.0e12, "4090": 1.008e12}  # vendors' data sheets


def bandwidth(device: torch.device) -> dict[str, float]:
    """Memory bandwidth of the device in bytes per second: reading alone, and read plus write of a copy.

    Args:
        device: to measure.

    Returns:
        "read" and "copy".
    """
    speed = _speeds(device)
    if device.type == "cuda":
        torch.cuda.empty_cache()
    return speed


def _speeds(device: torch.device) -> dict[str, float]:
    """Bytes per second of the device, best of five."""
    count = MEASURED_NUMBERS * (10 if device.type == "cuda" else 1)
    source = torch.ones(count, dtype=torch.float32, device=device)
    target = torch.empty_like(source)

    def seconds(call: Callable[[], Any]) -> float:
        times = []
        for _ in range(6):
            start = time.perf_counter()
            call()
            synchronize(device)
            times.append(time.perf_counter() - start)
        return min(times[1:])

    return {
        "read": source.nbytes / seconds(lambda: source.sum()),
        "copy": 2 * source.nbytes / seconds(lambda: target.copy_(source)),
    }


def synchronize(device: torch.device) -> None:
    """Waits for what is queued on a GPU.

    Args:
        device: any.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def used_on_device(device: torch.device) -> float:
    """Bytes of a GPU that are not free, whoever uses them: runtimes other than torch allocate for themselves.

    Args:
        device: any.

    Returns:
        NaN on the CPU.
    """
    if device.type != "cuda":
        return math.nan
    free, total = torch.cuda.mem_get_info(device)
    return float(total - free)


def device_of(name: str) -> torch.device:
    """The device that a name chooses, as the runtimes choose it.

    Args:
        name: "auto", "cpu", "cuda" or "cuda:i".

    Returns:
        The device.
    """
    from n3d_ros.weights.placement import choose_device

    return choose_device(name)
