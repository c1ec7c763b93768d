"""What this machine and this installation are like, read from /proc and the package's metadata. Needs no ROS."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from n3d_ros.ros.doctor.machine import Host, Process
from n3d_ros.ros.transport import OLD_PROFILE_VARIABLE, PROFILE_VARIABLE

SHARED_MEMORY = Path("/dev/shm")  # where Fast DDS keeps its segments; only read here
SEGMENT = re.compile(r"(fastdds|fastrtps)_(?P<id>[0-9a-f]{16})")
PORT = re.compile(r"(fastdds|fastrtps)_port(?P<port>\d{4,5})_el")
FIRST_PORT, PORTS_PER_DOMAIN = 7400, 250  # of the DDS Interoperability Wire Protocol, 9.6.1.3
MIDDLEWARE_VARIABLES = (
    PROFILE_VARIABLE,
    OLD_PROFILE_VARIABLE,
    "FASTDDS_BUILTIN_TRANSPORTS",
    "RMW_IMPLEMENTATION",
    "ROS_DOMAIN_ID",
    "ROS_AUTOMATIC_DISCOVERY_RANGE",
    "ROS_LOCALHOST_ONLY",
    "ROS_STATIC_PEERS",
    "ROS_DISCOVERY_SERVER",
    "ROS_DISTRO",
    "CYCLONEDDS_URI",
)
PACKAGES = {  # module -> distribution
    "numpy": "numpy",
    "scipy": "scipy",
    "cv2": "opencv-python-headless",
    "yaml": "PyYAML",
    "rclpy": "ros-rclpy",
    "n3d_msgs": "n3d_msgs",
    "tf2_ros": "tf2_ros",
    "torch": "torch",
    "transformers": "transformers",
    "safetensors": "safetensors",
    "tokenizers": "tokenizers",
}
FAST_DDS_LIBRARY = re.compile(r"libfast(dds|rtps)\.so")
GPUS = ("/dev/nvidia0", "/dev/nvhost-gpu", "/dev/nvgpu/igpu0")


def _read(path: str) -> str:
    with contextlib.suppress(OSError):
        return Path(path).read_text(encoding="utf-8", errors="replace")
    return ""


def processor_times() -> tuple[int, int]:
    """How long all cores have worked and idled.

    Returns:
        (busy, all) in the kernel's ticks; zeros where /proc does not tell.
    """
    numbers = [int(word) for word in _read("/proc/stat").partition("\n")[0].split()[1:9] if word.isdigit()]
    if len(numbers) < 5:
        return 0, 0
    return sum(numbers) - numbers[3] - numbers[4], sum(numbers)


def examine_host(before: tuple[int, int], disk_path: str = ".") -> Host:
    """This machine now.

    Args:
        before: ``processor_times`` when the examination began.
        disk_path: where recordings would be written.

    Returns:
        The facts.
    """
    busy, total = (now - then for now, then in zip(processor_times(), before, strict=True))
    memory = dict(re.findall(r"^(\w+):\s+(\d+) kB$", _read("/proc/meminfo"), re.MULTILINE))
    stale = stale_segments()
    disk = Path(disk_path).resolve()
    return Host(
        cores=os.cpu_count() or 1,
        busy_share=busy / total if total > 0 else None,
        memory_bytes=int(memory.get("MemTotal", 0)) * 1024,
        memory_free_bytes=int(memory.get("MemAvailable", 0)) * 1024,
        disk_free_bytes=shutil.disk_usage(disk).free if disk.is_dir() else 0,
        disk_path=str(disk),
        shared_memory_free_bytes=shutil.disk_usage(SHARED_MEMORY).free if SHARED_MEMORY.is_dir() else None,
        stale_segment_bytes=sum(stale),
        stale_segments=len(stale),
        domains=domains_here(),
        receive_buffer_bytes=int(_read("/proc/sys/net/core/rmem_max").strip() or 0),
    )


def locked_inodes() -> dict[int, int]:
    """Which process holds a lock on which file, as the kernel tells.

    Returns:
        Process number by inode.
    """
    found = {}
    for line in _read("/proc/locks").splitlines():
        words = line.split()
        if len(words) >= 6 and words[1] == "FLOCK" and words[4].lstrip("-").isdigit():
            inode = words[5].rpartition(":")[2]
            if inode.isdigit():
                found[int(inode)] = int(words[4])
    return found


def _segments() -> list[tuple[int, int]]:
    """Fast DDS's shared-memory segments: (bytes, inode of the file that its owner keeps locked)."""
    found = []
    with contextlib.suppress(OSError):
        for path in SHARED_MEMORY.iterdir():
            if SEGMENT.fullmatch(path.name):
                with contextlib.suppress(OSError):  # it may vanish at any moment
                    found.append((path.stat().st_size, path.with_name(f"{path.name}_el").stat().st_ino))
    return found


def stale_segments() -> list[int]:
    """Sizes of the segments whose process is gone.

    Returns:
        Bytes each.
    """
    locked = locked_inodes()
    return [size for size, inode in _segments() if inode not in locked] if locked else []


def domains_here() -> dict[int, tuple[int, ...]]:
    """ROS domains that processes of this machine take part in, as the shared-memory ports of Fast DDS tell.

    Returns:
        Process numbers by domain.
    """
    locked = locked_inodes()
    found: dict[int, set[int]] = {}
    with contextlib.suppress(OSError):
        for path in SHARED_MEMORY.iterdir():
            match = PORT.fullmatch(path.name)
            if match is None or int(match["port"]) < FIRST_PORT:
                continue
            with contextlib.suppress(OSError):  # it may vanish at any moment
                pid = locked.get(path.stat().st_ino)
                if pid is not None:
                    found.setdefault((int(match["port"]) - FIRST_PORT) // PORTS_PER_DOMAIN, set()).add(pid)
    return {domain: tuple(sorted(pids)) for domain, pids in sorted(found.items())}


def process_facts(pid: int) -> Process:
    """A process of this machine and its shared memory.

    Args:
        pid: its number.

    Returns:
        The facts; segment size 0 when it holds none.
    """
    locked = locked_inodes()
    sizes = [size for size, inode in _segments() if locked.get(inode) == pid]
    return Process(pid=pid, segment_bytes=max(sizes, default=0), variables=_variables(pid))


def _variables(pid: int) -> Mapping[str, str] | None:
    """The middleware's variables among those a process was started with; None when they are not ours to read."""
    try:
        content = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return None
    pairs = (entry.partition(b"=") for entry in content.split(b"\0"))
    all_of_them = {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}
    return {name: all_of_them[name] for name in MIDDLEWARE_VARIABLES if name in all_of_them}


def process_of_gid(gid: bytes, own_gid: bytes) -> tuple[bool | None, Process | None]:
    """Where a Fast DDS endpoint lives, from its identifier: vendor, host, process, the rest.

    Args:
        gid: of the endpoint, 12 bytes or more.
        own_gid: of an endpoint of this very process, to compare with.

    Returns:
        Whether it is on this machine (None: another vendor's identifier), and its process when it can be told.
    """
    if len(gid) < 8 or gid[:2] != own_gid[:2] or own_gid[:2] != b"\x01\x0f":
        return None, None
    if int.from_bytes(own_gid[4:6], "little") != os.getpid() & 0xFFFF:  # another layout than we know
        return None, None
    if gid[2:4] != own_gid[2:4]:
        return False, None
    low = int.from_bytes(gid[4:6], "little")
    owners = {pid for pid in locked_inodes().values() if pid & 0xFFFF == low}
    if len(owners) == 1:
        return True, process_facts(owners.pop())
    return True, _without_segment(low)


def _without_segment(low: int) -> Process | None:
    """The one process with these low 16 bits that uses Fast DDS without a segment; None: there is none, or several.

    A process of another container has its number there; here the same number may be somebody else's.
    """
    numbers = [int(one.name) for one in Path("/proc").iterdir() if one.name.isdigit()]
    candidates = [pid for pid in numbers if pid & 0xFFFF == low and FAST_DDS_LIBRARY.search(_read(f"/proc/{pid}/maps"))]
    return process_facts(candidates[0]) if len(candidates) == 1 else None


def package_versions() -> dict[str, str | None]:
    """Versions of the packages that matter.

    Returns:
        Version by module; "installed" where it has no number, None where it cannot be found.
    """
    return {module: _version(module, distribution) for module, distribution in PACKAGES.items()}


def _version(module: str, distribution: str) -> str | None:
    if importlib.util.find_spec(module) is None:
        return None
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(distribution)
    names = _distributions().get(module, ())
    return importlib.metadata.version(names[0]) if names else "installed"


@functools.cache
def _distributions() -> Mapping[str, Sequence[str]]:
    return importlib.metadata.packages_distributions()


def has_gpu() -> bool:
    """Whether this machine has a GPU of NVIDIA's, as its device files tell.

    Returns:
        False also where the driver is not loaded.
    """
    return any(Path(path).exists() for path in GPUS)


def model_is_there(model: str) -> bool | None:
    """Whether a model that is named by its folder is on this machine.

    Args:
        model: as the parameter has it.

    Returns:
        None for none and for a hub id.
    """
    if not model.startswith(("/", ".", "~")):
        return None
    return Path(model).expanduser().is_dir()


def python_version() -> str:
    """The version of this Python.

    Returns:
        Such as "3.11.9".
    """
    return platform.python_version()
