"""A depth model's checkpoint as a folder of graphs, each for one number of views of one size."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from n3d_ros.depth.checkpoint import LoadedNetwork, LoadedPair, load_network
from n3d_ros.depth.options import DepthOptions
from n3d_ros.depth.preprocess import network_hw
from n3d_ros.errors import ConfigurationError
from n3d_ros.inference.depth_self_test import golden_inputs, write_depth_goldens
from n3d_ros.inference.export.folders import Exported, check_image, checked_place, new_folder, versions, write_checked
from n3d_ros.inference.export.operators import parse_version
from n3d_ros.inference.export.tracing import trace_of_depth
from n3d_ros.inference.graphs import GOLDENS_FILE, DepthGraphs, Progress, write_graphs
from n3d_ros.weights.json_files import CONFIG_FILE
from n3d_ros.weights.placement import DtypeName, dtype_name
from n3d_ros.whole_files import file_digest

ANY_VIEW_FILE, SINGLE_FILE = "any_view.onnx", "single.onnx"
MAX_VIEWS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthExportOptions:
    """How a depth model is exported.

    Args:
        image: width and height in pixels of the camera.
        resolution: longer side of the image in the network, pixels.
        views: that are seen together.
        poses: whether the cameras' poses are given with the images.
        dtype: of the backbone's projections.
        tensorrt: oldest TensorRT that shall read the graphs.
    """

    image: tuple[int, int]
    resolution: int = 504
    views: int = 1
    poses: bool = False
    dtype: DtypeName = "float32"
    tensorrt: str = "10.3"

    def __post_init__(self) -> None:
        """Checks what no graph can be made for.

        Raises:
            ConfigurationError: naming the option, what is allowed and the value.
        """
        check_image(self.image)
        if not 1 <= self.views <= MAX_VIEWS:
            raise ConfigurationError(f"Views: expected 1 to {MAX_VIEWS}, got {self.views}.")
        if self.poses and self.views == 1:
            raise ConfigurationError("Poses: one view has none to another; export for two views or more.")
        DepthOptions(process_res=self.resolution)  # which checks it
        parse_version(self.tensorrt)


def export_depth_model(
    source: str, out: Path, options: DepthExportOptions, on_progress: Progress | None = None
) -> Exported:
    """Writes a depth model's graphs whole, or no folder.

    Args:
        source: folder of a checkpoint, or hub id.
        out: folder to write; one that an export wrote before is replaced.
        options: how.
        on_progress: told how far it is; what it raises ends it.

    Returns:
        What was made.

    Raises:
        ConfigurationError: files that cannot be used, no room, ``out`` holds something else, or several views are
            asked of a model that sees each by itself.
        BackendError: the network cannot be written, or its graph computes something else.
    """
    tell = on_progress or (lambda _sentence, _share: None)
    out = checked_place(out)
    loaded = load_network(
        source, device="cpu", dtype=options.dtype, on_progress=lambda text, done: tell(text, 0.3 * done)
    )
    parts = _parts(loaded)
    any_view = parts.get(ANY_VIEW_FILE)
    if options.views > 1 and any_view is None:
        raise ConfigurationError(
            f"Views: {loaded.name} sees every view by itself, so its graph is for one; got {options.views}."
        )
    if options.poses and any_view is not None and not any_view.network.config.cam_enc:
        raise ConfigurationError(f"Poses: {loaded.name} takes none; export without them.")
    with new_folder(out) as folder:
        made = _write(folder, loaded, parts, options, lambda text, done: tell(text, 0.3 + 0.7 * done))
    tell(f"Exported to {out}", 1.0)
    return Exported(folder=out, graphs=made.graphs, differences=made.differences)


def _parts(loaded: LoadedNetwork | LoadedPair) -> Mapping[str, LoadedNetwork]:
    """The networks by the file each becomes."""
    if isinstance(loaded, LoadedPair):
        return {ANY_VIEW_FILE: loaded.any_view, SINGLE_FILE: loaded.metric}
    return {ANY_VIEW_FILE if loaded.network.config.gives_poses else SINGLE_FILE: loaded}


def _write(
    folder: Path,
    loaded: LoadedNetwork | LoadedPair,
    parts: Mapping[str, LoadedNetwork],
    options: DepthExportOptions,
    tell: Progress,
) -> Exported:
    """All files of the folder."""
    image_hw = network_hw((options.image[1], options.image[0]), process_res=options.resolution, method=_METHOD)
    dtype = dtype_name(next(iter(parts.values())).dtype)
    differences: dict[str, float] = {}
    goldens: dict[str, dict[str, Tensor]] = {}
    for number, (name, part) in enumerate(parts.items()):
        tell(f"Writing {name}, and running it beside the network", number / len(parts))
        sees_all = name == ANY_VIEW_FILE
        tracing = trace_of_depth(
            part.network, options.views if sees_all else 1, image_hw, poses=sees_all and options.poses
        )
        difference = write_checked(tracing, folder / name, dtype=dtype, tensorrt=options.tensorrt)
        if difference is not None:
            differences[name.removesuffix(".onnx")] = difference
        inputs = golden_inputs(image_hw, options.views if sees_all else 1, poses=sees_all and options.poses)
        with torch.no_grad():
            said = tracing.module(*inputs.values())
        goldens[name.removesuffix(".onnx")] = dict(zip(tracing.outputs, said, strict=True))
    write_depth_goldens(folder / GOLDENS_FILE, goldens)
    shutil.copyfile(loaded.source.folder / CONFIG_FILE, folder / CONFIG_FILE)
    single = parts.get(SINGLE_FILE)
    graphs = DepthGraphs(
        name=loaded.name,
        source=loaded.source.source,
        made_with=versions(),
        dtype=dtype,
        licence=loaded.source.terms(),
        network_hw=image_hw,
        views=options.views,
        takes_poses=options.poses,
        any_view=ANY_VIEW_FILE if ANY_VIEW_FILE in parts else "",
        single=SINGLE_FILE if single is not None else "",
        single_is_metric=single is not None and single.is_metric,
        files={file.name: file_digest(file) for file in sorted(folder.iterdir())},
    )
    write_graphs(folder, graphs)
    return Exported(folder=folder, graphs=graphs, differences=differences)


_METHOD = DepthOptions().method
