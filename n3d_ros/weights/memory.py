"""How much memory a model needs and how much there is, told before anything large is allocated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from n3d_ros.errors import ConfigurationError

HEADROOM = 0.06  # of the weights, for reading buffers, allocator rounding and the first small tensors
HEADROOM_BYTES = 192 << 20  # the same, for small models
CGROUP_FILES = (  # limit and use of a container: cgroup v2, then v1
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPlan:
    """What loading will take, and what there is.

    Args:
        parameters: how many numbers the weights are, tied ones counted once.
        weight_bytes: in the dtype wanted.
        available_bytes: free where the weights go.
        place: such as "cuda:0 (NVIDIA H200)" or "host".
        cache_bytes: of the caches that a runtime keeps.
        working_bytes: of what is computed at a time.
        advice: what else makes it smaller, the end of a sentence that begins with "; "; or nothing.
    """

    parameters: int
    weight_bytes: int
    available_bytes: int
    place: str
    cache_bytes: int = 0
    working_bytes: int = 0
    advice: str = ""

    @property
    def needed_bytes(self) -> int:
        """Weights, caches, what is computed at a time, and headroom."""
        headroom = max(int(HEADROOM * self.weight_bytes), HEADROOM_BYTES)
        return self.weight_bytes + self.cache_bytes + self.working_bytes + headroom

    @property
    def fits(self) -> bool:
        """Whether all of it goes in."""
        return self.needed_bytes <= self.available_bytes

    def count(self) -> str:
        """How many parameters, as people read it.

        Returns:
            Such as "8.29 billion parameters".
        """
        return (
            f"{self.parameters / 1e9:.2f} billion parameters"
            if self.parameters >= 1e7
            else f"{self.parameters} parameters"
        )

    def sentence(self) -> str:
        """One line for the log.

        Returns:
            Such as "8.29 billion parameters, 16.58 GB of weights, 234.9 MB of caches, about 533.7 MB for computing;
            138.00 GB are free on cuda:0 (NVIDIA H200)".
        """
        free = f"{gigabytes(self.available_bytes)} are free on {self.place}"
        return f"{self.count()}, {self._parts()}; {free}"

    def check(self) -> None:
        """Refuses what does not fit.

        Raises:
            ConfigurationError: with the figures.
        """
        if not self.fits:
            raise ConfigurationError(
                f"The model does not fit: it needs {gigabytes(self.needed_bytes)} ({self._parts()}, and headroom), "
                f"{gigabytes(self.available_bytes)} are free on {self.place}. Free memory, or choose a "
                f"smaller dtype (bfloat16), another device or a smaller model{self.advice}.",
                reason="out_of_memory",
            )

    def _parts(self) -> str:
        """What the memory is for."""
        parts = [f"{gigabytes(self.weight_bytes)} of weights"]
        parts += [f"{gigabytes(self.cache_bytes)} of caches"] if self.cache_bytes else []
        parts += [f"about {gigabytes(self.working_bytes)} for computing"] if self.working_bytes else []
        return ", ".join(parts)


def gigabytes(count: int) -> str:
    """A number of bytes as people read it.

    Args:
        count: bytes.

    Returns:
        Such as "16.58 GB" (1 GB = 10^9 bytes) or "12.3 MB".
    """
    return f"{count / 1e9:.2f} GB" if count >= 10**9 else f"{count / 1e6:.1f} MB"


def available_bytes(device: torch.device, *, limit_bytes: int | None = None) -> int:
    """Memory that can be had on a device: on the host also within the container's limit.

    Args:
        device: where.
        limit_bytes: a limit of the caller's on top; None: none.

    Returns:
        Bytes.
    """
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(
            device
        )  # held by torch, free to reuse
        free = torch.cuda.mem_get_info(device)[0] + cached
        if torch.cuda.get_device_properties(
            device
        ).is_integrated:  # Jetson: one memory, where file cache counts as used
            free = max(free, host_available_bytes())
    else:
        free = host_available_bytes()
    return free if limit_bytes is None else min(free, limit_bytes)


def host_available_bytes() -> int:
    """Memory of the host that can be had without swapping, within the container's limit.

    Returns:
        Bytes.
    """
    free = int(psutil.virtual_memory().available)
    for limit_file, use_file in CGROUP_FILES:
        limit, use = _number(Path(limit_file)), _number(Path(use_file))
        if limit is not None and use is not None:
            free = min(free, max(0, limit - use + _reclaimable(Path(limit_file).parent)))
    return free


def place_name(device: torch.device) -> str:
    """How a device is called in sentences.

    Args:
        device: which.

    Returns:
        Such as "cuda:0 (NVIDIA H200)" or "the host".
    """
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else "the host"


def _number(file: Path) -> int | None:
    """The number in a file of the kernel's; None where there is none ("max", no such file)."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def _reclaimable(folder: Path) -> int:
    """Bytes of file cache a container can give back: counted as used, yet not in the way."""
    try:
        lines = (folder / "memory.stat").read_text().splitlines()
    except OSError:
        return 0
    values = dict(line.split(maxsplit=1) for line in lines if " " in line)
    try:
        return int(values.get("inactive_file", 0)) + int(values.get("active_file", 0))
    except ValueError:
        return 0
