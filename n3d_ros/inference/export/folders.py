"""What all exports share: a folder that is written whole or not at all, a graph that is run beside its network."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from safetensors import SafetensorError

from n3d_ros.errors import BackendError, ConfigurationError
from n3d_ros.inference.export.checking import largest_difference
from n3d_ros.inference.export.tracing import Tracing
from n3d_ros.inference.export.writing import write_graph
from n3d_ros.inference.graphs import GRAPHS_FILE, ExportedGraphs, has_graphs
from n3d_ros.inference.language_model.calibration import CALIBRATION_FILE
from n3d_ros.weights.json_files import MAX_CONFIG_BYTES, read_json
from n3d_ros.whole_files import writer_name

FORMER_CALIBRATION = "calibration.former.json"
"""Where a calibration is kept that was fitted to graphs which are replaced."""

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
        out: folder to write, of ``checked_place``; one that an export wrote before is replaced.

    Yields:
        An empty folder beside it.

    Raises:
        ConfigurationError: ``out`` holds something else, or there is no room.
    """
    partial, former = (out.with_name(f".{out.name}.{word}-{writer_name()}") for word in ("part", "former"))
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        yield partial
        if checked_place(out).exists():  # once more: minutes may have passed, and what is there is going to be removed
            _keep_calibration(out, partial)
            out.rename(former)
        partial.rename(out)
    except (OSError, SafetensorError) as error:
        raise ConfigurationError(f"{out}: cannot be written ({error}); make room, or name another folder.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(former, ignore_errors=True)


def checked_place(out: Path) -> Path:
    """The folder to write, where nothing is replaced that no export wrote.

    Args:
        out: as the user named it.

    Returns:
        Its full path, links followed.

    Raises:
        ConfigurationError: it is there and holds something else, or no folder can have that name.
    """
    try:
        folder = out.expanduser().resolve()
        if not folder.name:
            raise ConfigurationError(f"{out}: expected a folder below the root; name another.")
        if not folder.exists():
            return folder
        found = {path.name for path in folder.iterdir()} if folder.is_dir() else {folder.name}
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigurationError(f"{out}: no folder can be written there ({error}); name another.") from error
    strangers = sorted(found - _names_of_export(folder))
    if strangers:
        raise ConfigurationError(
            f"{out}: expected no such folder, or one of graphs exported before and nothing else; it holds "
            f"{', '.join(strangers[:3])}. Name another."
        )
    return folder


def _names_of_export(folder: Path) -> set[str]:
    """What an export may have left in a folder; nothing where it is not one of graphs."""
    if not has_graphs(folder):
        return set()
    files = read_json(folder / GRAPHS_FILE, limit=MAX_CONFIG_BYTES).get("files")
    return {*(files if isinstance(files, dict) else ()), GRAPHS_FILE, CALIBRATION_FILE, FORMER_CALIBRATION}


def _keep_calibration(former: Path, folder: Path) -> None:
    """Keeps a calibration that was fitted to the graphs before, under another name, where it is not the model's own."""
    fitted, own = former / CALIBRATION_FILE, folder / CALIBRATION_FILE
    if fitted.is_file() and (not own.is_file() or own.read_bytes() != fitted.read_bytes()):
        shutil.copyfile(fitted, folder / FORMER_CALIBRATION)


def check_image(image: tuple[int, int]) -> None:
    """Refuses a size that no camera has.

    Args:
        image: width and height in pixels.

    Raises:
        ConfigurationError: naming it.
    """
    if min(image) < 1:
        raise ConfigurationError(f"Image size: expected width and height above 0, got {image[0]}x{image[1]}.")


def write_checked(
    tracing: Tracing, file: Path, *, dtype: str, tensorrt: str, weights_of: Path | None = None
) -> float | None:
    """Writes a graph and runs it beside its network.

    Args:
        tracing: what to write.
        file: of the graph.
        dtype: of the weights.
        tensorrt: oldest version that shall read it.
        weights_of: graph in the same folder whose weights it takes.

    Returns:
        The largest difference, as a share of an output's largest number; None where this machine cannot run it.

    Raises:
        BackendError: it cannot be written, or computes something else.
    """
    write_graph(tracing, file, tensorrt=tensorrt, weights_of=weights_of)
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
