"""What depth is estimated from, and what comes back: views in, one estimate per view out. numpy only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from n3d_ros.errors import InputError
from n3d_ros.geometry.arrays import BoolArray, Float32Array, frozen_array
from n3d_ros.geometry.camera import MAX_IMAGE_SIDE_PX, CameraIntrinsics
from n3d_ros.geometry.transforms import RigidTransform


class PoseSource(str, Enum):
    """Where the pose of a view comes from."""

    NONE = "none"  # not given, and a model of single views estimates none
    GIVEN = "given"  # by whoever asked: tf, a calibration
    ESTIMATED = "estimated"  # by the model, from the images alone


class ScaleSource(str, Enum):
    """What makes depth metric; the first two are in metres, the third is not."""

    POSES = "poses"  # distances between the given camera positions
    METRIC_MODEL = "metric_model"  # a metric model and the camera's focal length
    RELATIVE = "relative"  # nothing: depth is right up to one factor, the same for all views of one estimate


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class View:
    """One colour image, and what is known of the camera that took it.

    Args:
        rgb: (H, W, 3) uint8, red green blue, rectified.
        intrinsics: of the image, so of its size; None when unknown: the model's own estimate is used, and said so.
        world_T_camera: camera optical frame to a frame common to all views of one estimate, metres; None when unknown.
    """

    rgb: NDArray[np.uint8]
    intrinsics: CameraIntrinsics | None = None
    world_T_camera: RigidTransform | None = None

    def __post_init__(self) -> None:
        """Checks the image, and that the calibration is of its size.

        Raises:
            InputError: not an (H, W, 3) uint8 image, no pixels or too many, or a calibration of another size.
        """
        _check_image(np.asarray(self.rgb))
        rgb = frozen_array(self.rgb, shape=(None, None, 3), dtype=np.uint8, name="View.rgb")
        camera = self.intrinsics
        if camera is not None and (camera.height, camera.width) != rgb.shape[:2]:
            raise InputError(
                f"View: the image is {rgb.shape[1]}x{rgb.shape[0]} px and its calibration of "
                f"{camera.width}x{camera.height}; resize the calibration with the image (CameraIntrinsics.resized)."
            )
        object.__setattr__(self, "rgb", rgb)


def _check_image(image: NDArray[np.generic]) -> None:
    """Refuses what is no colour image, and says how it becomes one."""
    got = f"got {image.dtype} of shape {image.shape}"
    if image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 1):
        raise InputError(f"View.rgb: expected (H, W, 3) uint8, {got}: a grey image; repeat its channel three times.")
    if image.ndim == 3 and image.shape[2] == 4:
        raise InputError(f"View.rgb: expected (H, W, 3) uint8, {got}: four channels; drop the last (transparency).")
    if image.ndim != 3 or image.shape[2] != 3:
        raise InputError(f"View.rgb: expected (H, W, 3) uint8, {got}; give one rectified colour image.")
    if image.dtype != np.uint8:  # a cast would wrap around without a word
        raise InputError(f"View.rgb: expected (H, W, 3) uint8, {got}; scale it to 0..255 and convert it.")
    if not 0 < min(image.shape[:2]) <= max(image.shape[:2]) <= MAX_IMAGE_SIDE_PX:
        raise InputError(f"View.rgb: expected 1 to {MAX_IMAGE_SIDE_PX} px a side, {got}.")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ViewDepth:
    """What a model says of one view, in the pixels of that view's image.

    Args:
        depth_m: (H, W) float32 z-depth, NaN where there is none (sky); metres unless the estimate's scale is
            ``RELATIVE``, when it is right up to a factor.
        confidence: (H, W) float32, 1 and more, larger is surer and comparable only within one model; None for models
            that give none.
        sky: (H, W) bool, true where the image shows sky; None for models that do not know sky.
        intrinsics: of the image: those given, else the model's estimate, else None.
        intrinsics_estimated: whether ``intrinsics`` are the model's.
        world_T_camera: in the frame of the given poses; with estimated poses in the camera frame of the first view;
            None where it is neither given nor estimated. Its translation has the unit of ``depth_m``; only a given pose
            is always in metres, also beside relative depth.
        pose_source: where that pose comes from.
        agreement: 0 to 1: share of this view's pixels on which the aligned any-view depth and the metric depth differ
            by less than a quarter; None where there is no second opinion.
    """

    depth_m: Float32Array
    confidence: Float32Array | None = None
    sky: BoolArray | None = None
    intrinsics: CameraIntrinsics | None = None
    intrinsics_estimated: bool = False
    world_T_camera: RigidTransform | None = None
    pose_source: PoseSource = PoseSource.NONE
    agreement: float | None = None

    def __post_init__(self) -> None:
        """Checks that everything is of one size.

        Raises:
            InputError: sizes differ, or depth holds infinities, zeros or negative numbers.
        """
        depth = frozen_array(self.depth_m, shape=(None, None), dtype=np.float32, name="ViewDepth.depth_m", finite=False)
        smallest, largest = np.fmin.reduce(depth, axis=None), np.fmax.reduce(depth, axis=None)
        if smallest <= 0 or np.isinf(largest):
            raise InputError(f"ViewDepth.depth_m: expected numbers above 0 or NaN, got {smallest} to {largest}.")
        object.__setattr__(self, "depth_m", depth)
        for name, dtype in (("confidence", np.float32), ("sky", np.bool_)):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(
                    self, name, frozen_array(value, shape=depth.shape, dtype=dtype, name=f"ViewDepth.{name}")
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthEstimate:
    """What a model says of some views together.

    Args:
        views: one for each view asked about, in their order.
        scale_source: what makes depth metric, or that nothing does.
        scale: the factor from an any-view network's own unit to that of ``depth_m``; 1 where relative, and for models
            of single views, whose factor is each view's own: its focal length over 300 px.
        notes: sentences that whoever uses the depth should know: a fallback taken, a calibration guessed.
        stage_ms: milliseconds per step.
    """

    views: tuple[ViewDepth, ...]
    scale_source: ScaleSource
    scale: float = 1.0
    notes: tuple[str, ...] = ()
    stage_ms: tuple[tuple[str, float], ...] = ()

    @property
    def is_metric(self) -> bool:
        """Whether depth is in metres."""
        return self.scale_source is not ScaleSource.RELATIVE
