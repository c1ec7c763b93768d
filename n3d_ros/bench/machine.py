"""What figures were measured on: processor, memory, system, GPU, and the versions of what computes."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("n3d_ros", "numpy", "torch", "transformers", "onnxruntime", "onnxruntime-gpu", "tensorrt")
QUERY_TIMEOUT_S = 5.0
MAX_WORDS = 200  # characters of what others say of themselves


def cpu_name(root: Path = Path("/")) -> str:
    """The processor's or the board's name.

    Args:
        root: of the file system.

    Returns:
        As the kernel has it: of the processor where it knows that, else of the board (Jetson, Raspberry Pi).
    """
    found = re.search(r"^model name\s*:\s*(.+)$", _text(root / "proc/cpuinfo"), flags=re.MULTILINE)
    if found:
        return found[1].strip()
    board = _text(root / "proc/device-tree/model").strip("\0 \n")
    return board or platform.processor() or platform.machine()


def machine_facts(root: Path = Path("/")) -> dict[str, Any]:
    """The machine, without its name.

    Args:
        root: of the file system.

    Returns:
        Plain values; "gpus" is empty where no GPU of NVIDIA's tells of itself.
    """
    memory = re.search(r"^MemTotal:\s+(\d+) kB", _text(root / "proc/meminfo"), flags=re.MULTILINE)
    system = re.search(r'^PRETTY_NAME="?([^"\n]+)', _text(root / "etc/os-release"), flags=re.MULTILINE)
    return {
        "cpu": cpu_name(root),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(int(memory[1]) / 2**20, 1) if memory else None,
        "os": system[1] if system else platform.system(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "gpus": gpu_facts(),
        "load": round(os.getloadavg()[0], 2),
    }


def versions() -> dict[str, str]:
    """Versions of what is installed, of the packages that compute.

    Returns:
        By name; what is not there is left out.
    """
    return {name: found for name in PACKAGES if (found := _version(name))}


def _version(name: str) -> str:
    """Of an installed package; empty: it is not there."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def gpu_facts() -> list[dict[str, str]]:
    """The GPUs that NVIDIA's driver knows.

    Returns:
        Name, driver and memory of each; empty without its tool.
    """
    keys = ("name", "driver_version", "memory.total")
    return [dict(zip(keys, line, strict=True)) for line in gpu_query(keys) if len(line) == len(keys)]


def gpu_query(keys: Sequence[str]) -> list[list[str]]:
    """What nvidia-smi says of each GPU.

    Args:
        keys: of ``nvidia-smi --help-query-gpu``.

    Returns:
        One list of words per GPU; empty where the tool is missing or fails.
    """
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    command = [tool, f"--query-gpu={','.join(keys)}", "--format=csv,noheader,nounits"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=QUERY_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [[word.strip()[:MAX_WORDS] for word in line.split(",")] for line in result.stdout.splitlines() if line]


def _text(path: Path) -> str:
    """A small file of the kernel; empty where there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
