"""The facts of the machine and of what is installed on it. Needs no ROS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

Facts = Mapping[str, Any]


def nothing() -> Mapping[Any, Any]:
    """No facts.

    Returns:
        An empty mapping.
    """
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process that takes part, where it runs on this machine and may be looked at.

    Args:
        pid: its number.
        segment_bytes: size of its largest shared-memory segment; 0: it has none, so it sends over the network.
        variables: of its start that concern the middleware; None: they could not be read.
    """

    pid: int
    segment_bytes: int
    variables: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """This machine.

    Args:
        cores: of the processor.
        busy_share: of all cores while the examination ran, 0 to 1; None: unknown.
        memory_bytes: in all; 0: unknown.
        memory_free_bytes: that programs can still have.
        disk_free_bytes: where recordings would be written.
        disk_path: that place.
        shared_memory_free_bytes: of /dev/shm; None: there is none.
        stale_segment_bytes: in shared memory left by processes that are gone.
        stale_segments: number of them.
        domains: processes of this machine by the ROS domain that they take part in, where that can be told.
        receive_buffer_bytes: largest of a socket; 0: unknown.
    """

    cores: int = 1
    busy_share: float | None = None
    memory_bytes: int = 0
    memory_free_bytes: int = 0
    disk_free_bytes: int = 0
    disk_path: str = "."
    shared_memory_free_bytes: int | None = None
    stale_segment_bytes: int = 0
    stale_segments: int = 0
    domains: Mapping[int, tuple[int, ...]] = field(default_factory=nothing)
    receive_buffer_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What is installed here.

    Args:
        python: version.
        versions: of packages by name; None: not installed.
        environment: variables that concern ROS and its middleware.
        middleware: in use.
        own_process: this one, with its shared memory.
        profile_exists: whether the profile file named in the environment can be read; None: none is named.
        interface_differences: sentences where the built interfaces differ from those this version expects.
        interface_hashes: our own type hashes by type name.
        has_gpu: whether a GPU is seen.
        model_is_there: whether the node's model is a folder that is here; None: none is named, or by a hub id.
    """

    python: str = ""
    versions: Mapping[str, str | None] = field(default_factory=nothing)
    environment: Mapping[str, str] = field(default_factory=nothing)
    middleware: str = "rmw_fastrtps_cpp"
    own_process: Process | None = None
    profile_exists: bool | None = None
    interface_differences: tuple[str, ...] = ()
    interface_hashes: Mapping[str, str] = field(default_factory=nothing)
    has_gpu: bool = False
    model_is_there: bool | None = None
