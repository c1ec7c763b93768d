"""What a child process is told to build, as one JSON object: a build may take minutes and gigabytes, and may crash."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

Ranges = Mapping[str, tuple[int, int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildJob:
    """One graph to build an engine of.

    Args:
        graph: file of the ONNX graph, its weights beside it.
        plan: file to write.
        profiles: least, usual and most by the dimension's name, per profile; empty for a graph of one size.
        workspace_bytes: most memory that a kernel may take for itself.
        timing_cache: file of what is known of kernels' speed, read and written; empty: none.
        level: how long is looked for fast kernels, 0 to 5; None: as TensorRT is set.
        gpu: number of the GPU to build on, among those that this process sees.
    """

    graph: str
    plan: str
    profiles: tuple[Ranges, ...] = field(default_factory=tuple)
    workspace_bytes: int = 0
    timing_cache: str = ""
    level: int | None = None
    gpu: int = 0

    def to_json(self) -> str:
        """For the child.

        Returns:
            One line.
        """
        return json.dumps({**asdict(self), "profiles": [dict(each) for each in self.profiles]})

    @staticmethod
    def from_json(text: str) -> BuildJob:
        """The job of a line.

        Args:
            text: that ``to_json`` made.

        Returns:
            The job.
        """
        data: dict[str, Any] = json.loads(text)
        profiles = [{name: tuple(sizes) for name, sizes in each.items()} for each in data.pop("profiles")]
        return BuildJob(**data, profiles=tuple(profiles))
