"""Does a runtime of depth graphs compute what the network computes? The depth model's counterpart of ``self_test``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from torch import Tensor

from n3d_ros.depth.preprocess import MEAN, STD
from n3d_ros.errors import ConfigurationError
from n3d_ros.inference.golden_scene import golden_frame
from n3d_ros.inference.graph_backend import GraphSession
from n3d_ros.inference.graphs import DepthGraphs
from n3d_ros.weights.permissions import as_umask_says

SHIFT_PX = 6  # from view to view of the drawn scene
BASELINE_M = 0.05  # between the cameras, where poses are given

LEAST_COSINE: Mapping[str, float] = {"float32": 0.9999, "float16": 0.999, "bfloat16": 0.995}
"""Of each output around its mean, by the dtype of the graphs. Those of half precision are chosen, not learnt."""
LARGEST_ERROR: Mapping[str, float] = {"float32": 1e-3, "float16": 2e-2, "bfloat16": 5e-2}
"""Median relative error of depth."""


def golden_inputs(network_hw: tuple[int, int], views: int, *, poses: bool) -> dict[str, Tensor]:
    """What a depth graph is shown: the drawn scene, moved from view to view.

    Args:
        network_hw: height and width in the network, pixels.
        views: seen together.
        poses: whether the cameras' poses are given.

    Returns:
        images (S, 3, H, W) float32, and with poses w2c (S, 4, 4) and intrinsics (S, 3, 3).
    """
    height, width = network_hw
    frame = golden_frame(width, height)
    rgb = (frame.rgb.astype(np.float32) / 255 - MEAN) / STD
    shown = np.stack([np.roll(rgb, SHIFT_PX * view, axis=1).transpose(2, 0, 1) for view in range(views)])
    inputs = {"images": torch.from_numpy(np.ascontiguousarray(shown, dtype=np.float32))}
    if poses:
        w2c = torch.eye(4).repeat(views, 1, 1)
        w2c[:, 0, 3] = BASELINE_M * torch.arange(views)
        camera = frame.intrinsics
        matrix = torch.tensor([[camera.fx, 0, width / 2], [0, camera.fy, height / 2], [0, 0, 1.0]])
        inputs |= {"w2c": w2c, "intrinsics": matrix.repeat(views, 1, 1)}
    return inputs


def write_depth_goldens(file: Path, outputs: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Writes what the networks say.

    Args:
        file: to write.
        outputs: by graph and output; kept in half precision.
    """
    tensors: dict[str, NDArray[Any]] = {
        f"{graph}.{name}": tensor.float().numpy().astype(np.float16 if name != "pose_encoding" else np.float32)
        for graph, of in outputs.items()
        for name, tensor in of.items()
    }
    save_file(tensors, file, metadata={"n3d_goldens": "depth"})
    as_umask_says(file)


def measure_depth(
    session: GraphSession, graphs: DepthGraphs, name: str, goldens: Path, *, device: torch.device
) -> dict[str, float]:
    """How far a runtime of one graph is from the network.

    Args:
        session: runs the graph.
        graphs: what it is.
        name: of the graph, without ``.onnx``.
        goldens: file that the export kept.
        device: where it computes.

    Returns:
        By output ``..._cosine``, and ``..._depth_error``; NaN where there is no number.

    Raises:
        ConfigurationError: the file is missing or of another model.
        BackendError: the runtime failed.
    """
    try:
        expected = {
            key.rpartition(".")[2]: value.astype(np.float32)
            for key, value in load_file(goldens).items()
            if key.startswith(f"{name}.")
        }
    except (OSError, SafetensorError) as error:
        raise ConfigurationError(f"{goldens}: cannot be read ({error}); export the model again.") from error
    if set(expected) != set(session.output_names):
        raise ConfigurationError(
            f"{goldens}: expected {', '.join(session.output_names)} of {name}, got {', '.join(expected) or 'nothing'}; "
            "export the model again."
        )
    sees_all = name == Path(graphs.any_view).stem
    inputs = golden_inputs(graphs.network_hw, graphs.views if sees_all else 1, poses=sees_all and graphs.takes_poses)
    found = {key: torch.empty(value.shape, device=device) for key, value in expected.items()}
    session.run({key: value.to(device) for key, value in inputs.items()}, found)
    numbers = {key: value.cpu().numpy() for key, value in found.items()}
    figures = {f"{name}_{key}_cosine": _cosine(numbers[key], expected[key]) for key in expected}
    off = np.abs(numbers["depth"] - expected["depth"]) / np.maximum(np.abs(expected["depth"]), 1e-6)
    return {**figures, f"{name}_depth_error": float(np.median(off))}


def depth_failures(found: Mapping[str, float], dtype: str) -> list[str]:
    """What a runtime does not reach.

    Args:
        found: of ``measure_depth``.
        dtype: of the graphs.

    Returns:
        Sentences; empty where it passes.
    """
    told = []
    for name, value in found.items():
        if name.endswith("_error"):
            if not value <= LARGEST_ERROR[dtype]:  # NaN fails too
                told.append(f"{name} {value:.3g}, expected at most {LARGEST_ERROR[dtype]:g}")
        elif not value >= LEAST_COSINE[dtype]:
            told.append(f"{name} {value:.5g}, expected at least {LEAST_COSINE[dtype]:g}")
    return told


def _cosine(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """Of two outputs around the mean of the expected one."""
    mean = expected.mean(dtype=np.float64)
    one, other = found.astype(np.float64).ravel() - mean, expected.astype(np.float64).ravel() - mean
    lengths = np.linalg.norm(one) * np.linalg.norm(other)
    if lengths == 0:
        return 1.0 if np.array_equal(one, other) else float("nan")
    return float(one @ other / lengths)
