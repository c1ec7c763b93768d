"""Exported graphs of a depth model, behind the boundary of ``n3d_ros.depth.runner``.

TensorRT runs them where the cache has an engine of them for this machine, else ONNX Runtime.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from n3d_ros.depth.model import DepthModel
from n3d_ros.depth.network.pose_encoding import decode_pose
from n3d_ros.depth.network.reference_view import LEAST_VIEWS
from n3d_ros.depth.options import DepthOptions
from n3d_ros.depth.runner import NetworkViews
from n3d_ros.depth.torch_runner import usable_cameras
from n3d_ros.errors import BackendError, ConfigurationError, InputError
from n3d_ros.geometry.arrays import Float32Array, FloatArray
from n3d_ros.inference.graph_backend import GraphSession
from n3d_ros.inference.graphs import NOT_MADE_FOR, DepthGraphs, Progress, check_files, read_graphs
from n3d_ros.inference.onnx_session import OnnxSession, choose_runtime_device
from n3d_ros.weights.placement import choose_device

logger = logging.getLogger(__name__)

EXPORTED_REFERENCE = "saddle_balanced"  # the rule that is in graphs of three unposed views and more
POSE_NUMBERS = 9


class GraphDepthRunner:
    """Runs one graph.

    Args:
        session: of the graph.
        graphs: what it is.
        device: where it computes.
        is_any_view: whether it sees views together.
    """

    def __init__(self, session: GraphSession, graphs: DepthGraphs, *, device: torch.device, is_any_view: bool) -> None:
        self._session: GraphSession | None = session
        self._graphs, self._device, self._is_any_view = graphs, device, is_any_view

    @property
    def takes_poses(self) -> bool:
        """Whether it can be told where the cameras are."""
        return self._is_any_view and self._graphs.takes_poses

    def run(
        self,
        images: Float32Array,
        *,
        options: DepthOptions,
        w2c: FloatArray | None = None,
        matrices: FloatArray | None = None,
    ) -> NetworkViews:
        """What the network says of the images.

        Args:
            images: (S, 3, H, W) float32, normalised, of the size and number that the graph is made for.
            options: the reference view and the pose method, which are those of the graph.
            w2c: (S, 4, 4) float64 given poses, normalised as networks take them; with a graph that takes them.
            matrices: (S, 3, 3) float64 camera matrices of these images, corner coordinates; with ``w2c`` only.

        Returns:
            Depth, and what else the network gives.

        Raises:
            InputError: images or options that the graph is not made for.
            BackendError: the graph failed, or is closed.
        """
        if self._session is None:
            raise BackendError(f"{self._graphs.name}: the model is closed; load it again.")
        self._check(images, options, has_poses=w2c is not None)
        if not self._is_any_view:  # each view by itself
            seen = [self._maps({"images": _tensor(view[None], self._device)}) for view in images]
            return NetworkViews(
                depth=np.concatenate([maps["depth"] for maps in seen]),
                sky=np.concatenate([maps["sky"] for maps in seen]),
            )
        inputs = {"images": _tensor(images, self._device)}
        if w2c is not None and matrices is not None:
            inputs |= {"w2c": _tensor(w2c, self._device), "intrinsics": _tensor(matrices, self._device)}
        maps = self._maps(inputs)
        encodings = torch.from_numpy(maps["pose_encoding"])
        poses, cameras = (part.numpy() for part in decode_pose(encodings, self._graphs.network_hw))
        found = usable_cameras(poses, cameras)
        return NetworkViews(depth=maps["depth"], confidence=maps["confidence"], w2c=found[0], matrices=found[1])

    def close(self) -> None:
        """Frees memory."""
        self._session = None

    def _maps(self, inputs: dict[str, Tensor]) -> dict[str, Float32Array]:
        """Every output of the graph, on the host."""
        assert self._session is not None
        views = len(inputs["images"])
        outputs = {
            name: torch.empty(
                (views, POSE_NUMBERS) if name == "pose_encoding" else (views, *self._graphs.network_hw),
                device=self._device,
            )
            for name in self._session.output_names
        }
        self._session.run(inputs, outputs)
        return {name: tensor.cpu().numpy() for name, tensor in outputs.items()}

    def _check(self, images: Float32Array, options: DepthOptions, *, has_poses: bool) -> None:
        """Refuses what the graph is not made for."""
        graphs, (views, _, height, width) = self._graphs, images.shape
        if (height, width) != graphs.network_hw:
            raise _not_made_for(
                f"Image: the depth graph is made for {graphs.network_hw[1]}x{graphs.network_hw[0]} px in the network, "
                f"this one has {width}x{height}; export the model for this camera (`n3d export --image WIDTHxHEIGHT`)"
            )
        if not self._is_any_view:
            return
        if views != graphs.views:
            raise _not_made_for(
                f"Views: the depth graph is made for {graphs.views} at a time, got {views}; export the model for them "
                "(`n3d export --views N`), or give it so many (`n3d depth --views single`: one)"
            )
        if has_poses != graphs.takes_poses:
            raise _not_made_for(
                f"Poses: the depth graph is made {'with' if graphs.takes_poses else 'without'} them; export it "
                f"{'without' if graphs.takes_poses else 'with'} (`n3d export --poses`)"
            )
        if options.pose_method != "camera":
            raise _not_made_for(f"Poses by {options.pose_method}: graphs have no ray maps", or_else="")
        chooses = views >= LEAST_VIEWS and not has_poses
        if chooses and options.reference_view != EXPORTED_REFERENCE:
            raise _not_made_for(
                f"Reference view: graphs choose it by {EXPORTED_REFERENCE}, got {options.reference_view}", or_else=""
            )


def _not_made_for(what: str, *, or_else: str = "or ") -> InputError:
    """The error about what a graph is not made for, and no graph could be where there is nothing else to do."""
    return InputError(f"{what}; {or_else}load the model's weights in its place.", reason=NOT_MADE_FOR)


def load_depth_graphs(
    source: str | Path,
    *,
    metric: str | Path | None = None,
    device: str = "auto",
    options: DepthOptions | None = None,
    on_progress: Callable[[str, float], None] | None = None,
) -> DepthModel:
    """The depth model of exported graphs.

    Args:
        source: folder that ``n3d export`` wrote of any depth model.
        metric: the same of a metric model, which makes an any-view model's depth metric; None without.
        device: "auto", "cpu", "cuda" or "cuda:i".
        options: how depth is estimated; None for the defaults.
        on_progress: told a sentence and the share done; what it raises ends the loading.

    Returns:
        The model.

    Raises:
        ConfigurationError: files that are missing or damaged, or two models that are no pair.
        BackendError: ONNX Runtime is missing or cannot load a graph.
    """
    tell = on_progress or (lambda _sentence, _share: None)
    folders = [Path(folder).expanduser() for folder in (source, metric) if folder is not None]
    graphs = [read_graphs(folder, DepthGraphs) for folder in folders]
    if len(graphs) == 2 and (graphs[0].single or not graphs[1].single_is_metric):
        raise ConfigurationError(
            "depth model: expected graphs of an any-view model such as da3-small, and beside them those of a metric "
            f"one such as da3metric-large, got {graphs[0].name} and {graphs[1].name}."
        )
    runners: dict[str, GraphDepthRunner] = {}
    facts: list[str] = []
    places: list[torch.device] = []
    for number, (folder, each) in enumerate(zip(folders, graphs, strict=True)):
        sessions, place, told = _sessions(
            folder,
            each,
            device,
            lambda text, done, n=number: tell(text, (n + done) / len(graphs)),  # type: ignore[misc]
        )
        facts += [*each.lines(), *told]
        places.append(place)
        for kind, session in sessions.items():
            runners[kind] = GraphDepthRunner(session, each, device=place, is_any_view=kind == "any_view")
    tell("The depth graphs are ready", 1.0)
    return DepthModel(
        name=" + ".join(each.name for each in graphs),
        device=str(places[0]),
        any_view=runners.get("any_view"),
        single=runners.get("single"),
        single_is_metric=graphs[-1].single_is_metric,
        options=options,
        facts=facts,
    )


def _sessions(
    folder: Path, graphs: DepthGraphs, device: str, tell: Progress
) -> tuple[dict[str, GraphSession], torch.device, list[str]]:
    """The graphs of a folder, loaded, where they compute, and what is to be said of it."""
    kinds = {kind: name for kind in ("any_view", "single") if (name := getattr(graphs, kind))}
    notes: list[str] = []
    if choose_device(device).type == "cuda":
        try:
            found, place, engine = _engines(folder, kinds, device)
        except BackendError as error:
            notes.append(f"{'note':9} not TensorRT: {error.message}")
            logger.warning("Depth model: not TensorRT: %s", error.message)
        else:
            tell("The depth engine is loaded", 1.0)
            return found, place, [f"{'engine':9} {engine}"]
    check_files(folder, graphs.files, tell)
    place = choose_runtime_device(device)
    return {kind: OnnxSession(folder / name, device=place) for kind, name in kinds.items()}, place, notes


def _engines(folder: Path, kinds: Mapping[str, str], device: str) -> tuple[dict[str, GraphSession], torch.device, str]:
    """The engines that the cache has of the graphs of a folder."""
    from n3d_ros.inference.tensorrt.store import EngineStore
    from n3d_ros.inference.tensorrt.targets import DepthTarget, EngineOptions, depth_session, find_target

    target = find_target(folder, EngineOptions(device=device))
    assert isinstance(target, DepthTarget)
    plans = EngineStore().checked(target.key()).folder
    sessions: dict[str, GraphSession] = {
        kind: depth_session(target, plans, Path(name).stem) for kind, name in kinds.items()
    }
    return sessions, target.device, target.machine.in_words()


def _tensor(array: Float32Array | FloatArray, device: torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)).to(device)
