"""A depth model from what the user named: weights in PyTorch, or a folder of exported graphs in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from n3d_ros.depth.loading import load_depth_model
from n3d_ros.depth.model import DepthModel
from n3d_ros.depth.options import DepthOptions
from n3d_ros.errors import ConfigurationError
from n3d_ros.inference.graphs import has_graphs

if TYPE_CHECKING:  # torch comes with it
    from n3d_ros.weights.placement import DtypeName


def load_depth(
    source: str | Path,
    *,
    metric: str | Path | None = None,
    device: str = "auto",
    dtype: DtypeName = "auto",
    options: DepthOptions | None = None,
    on_progress: Callable[[str, float], None] | None = None,
) -> DepthModel:
    """The depth model of a folder or a repository, ready to estimate depth.

    Args:
        source: folder of weights or of graphs, or hub id, of any released model.
        metric: the same, of the same sort, of a metric model that makes an any-view model's depth metric; None without.
        device: "auto", "cpu", "cuda" or "cuda:i".
        dtype: "auto", "float32", "bfloat16" or "float16"; of graphs "auto" alone, since they are made in one.
        options: how depth is estimated; None for the defaults.
        on_progress: told a sentence and the share done; what it raises ends the loading.

    Returns:
        The model.

    Raises:
        ConfigurationError: files that are missing, incomplete or of another kind, two models that are no pair, no such
            device, or a package is not installed.
        BackendError: graphs that cannot be loaded here.
    """
    are_graphs = {name: has_graphs(Path(name).expanduser()) for name in map(str, filter(None, (source, metric)))}
    if not any(are_graphs.values()):
        return load_depth_model(
            source, metric=metric, device=device, dtype=dtype, options=options, on_progress=on_progress
        )
    if not all(are_graphs.values()):
        raise ConfigurationError(
            f"depth model: expected weights or exported graphs for both, got {source} and {metric}; export the other "
            "too (`n3d export`), or name the weights of both."
        )
    if dtype != "auto":
        raise ConfigurationError(
            f"depth model: dtype is what graphs are exported in; leave it auto, or export {source} with "
            f"--dtype {dtype}."
        )
    try:
        from n3d_ros.inference.graph_depth import load_depth_graphs
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"depth model: {error.name} is not installed; depth from a model needs the extra [model]: "
            "pip install 'n3d_ros[model]'."
        ) from error
    return load_depth_graphs(source, metric=metric, device=device, options=options, on_progress=on_progress)
