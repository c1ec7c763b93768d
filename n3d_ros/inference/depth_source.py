"""Where a frame's depth comes from: the camera, a model, or both. The boundary between the node and the models."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from n3d_ros.depth.pixel_source import PixelSource as PixelSource
from n3d_ros.errors import BackendError, ConfigurationError
from n3d_ros.geometry.arrays import BoolArray, Float32Array
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.inference.depth_config import DepthModelConfig
from n3d_ros.inference.grounder import MODEL_PACKAGES, OnProgress

CAMERA, MODEL, FUSED = "camera", "model", "fused"
DEPTH_SOURCES = (CAMERA, MODEL, FUSED)

DEPTH_LOADERS: Mapping[str, str] = MappingProxyType(
    {
        MODEL: "n3d_ros.inference.torch_depth:load_model_depth",
        FUSED: "n3d_ros.inference.depth_fusion:load_fused_depth",
    }
)
"""Name of each source that loads a model, and the function that does; imported only when asked for."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ColorView:
    """A rectified colour image, ready to have its depth found.

    Args:
        rgb: (H, W, 3) uint8, red green blue, rectified.
        intrinsics: of the image.
        stamp_ns: when it was taken, nanoseconds.
        frame_id: the camera's optical frame.
        sensor_depth_m: (H, W) float32 metres registered to the image, NaN where none; None without a depth camera.
        reference_T_camera: this camera to the frame common to all views of one call (the first view's camera), metres;
            None when tf does not say.
        valid: (H, W) bool, false where rectification left no picture; None: there is picture everywhere.
    """

    rgb: NDArray[np.uint8]
    intrinsics: CameraIntrinsics
    stamp_ns: int
    frame_id: str
    sensor_depth_m: Float32Array | None = None
    reference_T_camera: RigidTransform | None = None
    valid: BoolArray | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FoundDepth:
    """The depth of one colour view, in its own pixels.

    Args:
        depth_m: (H, W) float32 metres, NaN where none.
        confidence: (H, W) float32, 1 and more; None where the source gives none.
        sky: (H, W) bool; None where the source does not know.
        source: (H, W) uint8 of ``PixelSource``; None when it is the same everywhere.
        reference_T_camera: estimated by the model; None when it was given, or cannot be estimated.
        facts: numbers about it, by name, for reports and /diagnostics.
        notes: sentences for whoever reads the result.
        stage_ms: milliseconds per step of the call; told with the first view, the others have none.
    """

    depth_m: Float32Array
    confidence: Float32Array | None = None
    sky: BoolArray | None = None
    source: NDArray[np.uint8] | None = None
    reference_T_camera: RigidTransform | None = None
    facts: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    notes: tuple[str, ...] = ()
    stage_ms: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


class DepthSource(Protocol):
    """Finds the metric depth of colour views. Made, used and closed in one thread."""

    @property
    def name(self) -> str:
        """What finds it, such as "da3-small + da3metric-large"."""
        ...

    @property
    def device(self) -> str:
        """Where it runs, such as "cuda:0"."""
        ...

    @property
    def needs_sensor(self) -> bool:
        """Whether views must bring the depth of a camera."""
        ...

    def find(
        self, views: Sequence[ColorView], *, is_cancelled: Callable[[], bool] | None = None
    ) -> tuple[FoundDepth, ...]:
        """The metric depth of each view.

        Args:
            views: seen at one time; the first is the one whose objects are looked for.
            is_cancelled: asked between steps.

        Returns:
            One for each view, in their order.

        Raises:
            InputError: views that cannot be used.
            GroundingError: nothing metric can be found, for instance nothing but sky.
            BackendError: the model failed.
            CancelledError: asked to stop.
        """
        ...

    def facts(self) -> tuple[str, ...]:
        """Sentences about the model: its files, licence, size, memory."""
        ...

    def close(self) -> None:
        """Frees memory."""
        ...


def create_depth_source(source: str, config: DepthModelConfig, *, on_progress: OnProgress | None = None) -> DepthSource:
    """The source of that name, ready to use.

    Args:
        source: a key of ``DEPTH_LOADERS``.
        config: which model, and how it runs.
        on_progress: told of the loading. What it raises ends it.

    Returns:
        The source.

    Raises:
        ConfigurationError: an unknown name, or no model is named.
        BackendError: it cannot be loaded, or what it needs is not installed.
    """
    if source not in DEPTH_LOADERS:
        raise ConfigurationError(f"depth_source: expected one of {', '.join(DEPTH_LOADERS)}, got {source!r}.")
    if not config.model:
        raise ConfigurationError(
            f"depth_source is {source!r} and no depth model is named: set depth_model.model to a folder or a hub id, "
            "or depth_source to 'camera'."
        )
    module, _, attribute = DEPTH_LOADERS[source].partition(":")
    try:
        load = getattr(importlib.import_module(module), attribute)
        loaded: DepthSource = load(config, on_progress=on_progress)
    except ImportError as error:
        needed = (error.name or str(error)).partition(".")[0]
        mend = " Install it with `make setup MODEL=1` or `pip install 'n3d_ros[model]'`."
        raise BackendError(
            f"depth_source {source!r} needs {needed}, which is not installed.{mend if needed in MODEL_PACKAGES else ''}"
        ) from error
    return loaded
