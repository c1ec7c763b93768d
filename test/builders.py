"""Small values for tests, each with defaults that are valid."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from n3d_ros.detection import Detection3D
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry import Box3D, CameraIntrinsics
from n3d_ros.geometry.transforms import matrix_to_quaternion, rotation_about_axis


def make_intrinsics(width: int = 64, height: int = 48, focal_px: float = 60.0) -> CameraIntrinsics:
    """A small centred camera."""
    return CameraIntrinsics(
        fx=focal_px, fy=focal_px, cx=(width - 1) / 2, cy=(height - 1) / 2, width=width, height=height
    )


def make_frame(*, depth_m: ArrayLike | float = 1.0, stamp_ns: int = 1_000_000_000, **changes: Any) -> RgbdFrame:
    """A frame of constant colour, by default a wall one metre away."""
    intrinsics = changes.pop("intrinsics", make_intrinsics())
    size = (intrinsics.height, intrinsics.width)
    depth = np.broadcast_to(np.asarray(depth_m, dtype=np.float32), size)
    rgb = changes.pop("rgb", np.full((*size, 3), 128, dtype=np.uint8))
    frame_id = changes.pop("frame_id", "camera_color_optical_frame")
    return RgbdFrame(rgb=rgb, depth_m=depth, intrinsics=intrinsics, stamp_ns=stamp_ns, frame_id=frame_id, **changes)


def make_box(
    center: ArrayLike = (0.0, 0.0, 1.0),
    size: ArrayLike = (0.1, 0.2, 0.3),
    *,
    axis: ArrayLike = (0.0, 0.0, 1.0),
    angle_rad: float = 0.0,
) -> Box3D:
    """A box turned about an axis."""
    orientation = matrix_to_quaternion(rotation_about_axis(axis, angle_rad))
    return Box3D(center=np.asarray(center), size=np.asarray(size), orientation_xyzw=orientation)


def make_detection(label: str = "red box", **changes: Any) -> Detection3D:
    """A detection; keyword arguments of ``make_box`` and of ``Detection3D`` are told apart by name."""
    box_keys = {"center", "size", "axis", "angle_rad"}
    box = make_box(**{key: changes.pop(key) for key in list(changes) if key in box_keys})
    return Detection3D(label=label, box=box, **changes)
