"""What all exports share: a folder that is written whole or not at all, a graph that is run beside its network."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch

from n3d_ros.errors import BackendError, ConfigurationError
from n3d_ros.inference.export.checking import largest_difference
from n3d_ros.inference.export.tracing import Tracing
from n3d_ros.inference.export.writing import write_graph
from n3d_ros.inference.graphs import ExportedGraphs, has_graphs

TOLERANCES: Mapping[str, float] = {"float32": 1e-4, "float16": 2e-2}
"""Largest difference between a network and its graph on ONNX Runtime's CPU, as a share of the largest number of an
output. ONNX Runtime computes some float16 operations in float32 and rounds elsewhere than torch; it has no bfloat16 on
a CPU, so such graphs are checked for their structure alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What an export made.

    Args:
        folder: that a runtime loads.
        graphs: what they are.
        differences: largest difference between network and graph, as a share of the largest number, by graph; without
            those that this machine cannot run.
    """

    folder: Path
    graphs: ExportedGraphs
    differences: Mapping[str, float]


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to write into, which becomes ``out`` once all is written.

    Args:
        out: folder to write; one that an export wrote before is replaced.

    Yields:
        An empty folder beside it.

    Raises:
        ConfigurationError: ``out`` holds something else, or there is no room.
    """
    check_place(out)
    partial = out.with_name(f".{out.name}.part-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        yield partial
        if out.exists():
            shutil.rmtree(out)
        partial.rename(out)
    except OSError as error:
        raise ConfigurationError(
            f"{out}: cannot be written ({error.strerror or error}); make room, or name another folder."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def check_place(out: Path) -> None:
    """Refuses to replace what no export wrote.

    Args:
        out: folder to write.

    Raises:
        ConfigurationError: it is there and holds something else.
    """
    if out.exists() and not has_graphs(out) and (not out.is_dir() or any(out.iterdir())):
        raise ConfigurationError(f"{out}: expected no such folder, or one of graphs exported before; name another.")


def write_checked(tracing: Tracing, file: Path, *, dtype: str, tensorrt: str) -> float | None:
    """Writes a graph and runs it beside its network.

    Args:
        tracing: what to write.
        file: of the graph.
        dtype: of the weights.
        tensorrt: oldest version that shall read it.

    Returns:
        The largest difference, as a share of an output's largest number; None where this machine cannot run it.

    Raises:
        BackendError: it cannot be written, or computes something else.
    """
    write_graph(tracing, file, tensorrt=tensorrt)
    if dtype not in TOLERANCES:
        return None
    difference, output = largest_difference(tracing, file)
    if not difference <= TOLERANCES[dtype]:
        raise BackendError(
            f"Export: {file.name} computes something else than the network: {output} differs by {difference:.1e} of "
            f"its largest number, expected at most {TOLERANCES[dtype]:.0e} in {dtype}. Export in float32, and report "
            f"this with the versions {versions()}."
        )
    return difference


def versions() -> dict[str, str]:
    """What makes the graphs.

    Returns:
        Version by name.
    """
    names = ("n3d_ros", "onnx", "onnxscript")
    return {**{name: version(name) for name in names}, "torch": torch.__version__, "python": platform.python_version()}
