"""What only torch can say of a device: how fast its memory is, and how much of a GPU's memory was used."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import torch

MEASURED_NUMBERS = 100_000_000  # float32, read and copied on a CPU; on a GPU ten times as many
GPU_SHARE = 0.125  # of its free memory, at most, for each of the two arrays: small ones share it with the system
NOMINAL_BYTES_PER_S = {
    "NVIDIA H200": 4.8e12,
    "NVIDIA H100 80GB HBM3": 3.35e12,
    "NVIDIA A100-SXM4-80GB": 2.039e12,
    "NVIDIA GeForce RTX 4090": 1.008e12,
}
"""Of vendors' data sheets, by the driver's whole name: parts of it also name others (GH200, H100 PCIe, laptops)."""


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
    count = MEASURED_NUMBERS
    if device.type == "cuda":
        free, _total = torch.cuda.mem_get_info(device)
        count = min(10 * count, int(free * GPU_SHARE) // 4)
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


def gpu_name(device: torch.device) -> str:
    """What the driver calls a GPU.

    Args:
        device: any.

    Returns:
        Its whole name; empty for a CPU.
    """
    return str(torch.cuda.get_device_name(device)) if device.type == "cuda" else ""


def nominal_bandwidth(gpu: str) -> float | None:
    """What the data sheet of a GPU says of its memory.

    Args:
        gpu: its name, as the driver has it.

    Returns:
        Bytes per second; None: not known.
    """
    return NOMINAL_BYTES_PER_S.get(gpu)


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
