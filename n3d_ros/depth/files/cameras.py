"""Cameras as files: a trajectory as TUM writes it, JSON with everything, and COLMAP's text model.

Pixels of the JSON count from the centre of the first pixel, COLMAP's from its corner: half a pixel more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.geometry.transforms import RigidTransform

DECIMALS = 9
TUM_HEADER = "# timestamp tx ty tz qx qy qz qw, world_T_camera of the optical frame (x right, y down, z forward)"


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameCamera:
    """The camera of one frame.

    Args:
        index: of the frame.
        name: of the frame.
        stamp_ns: nanoseconds; None for images without a clock.
        intrinsics: None when neither given nor estimated.
        intrinsics_estimated: whether they are the model's.
        world_T_camera: None when not known.
        pose_source: value of ``PoseSource``.
        scale_source: value of ``ScaleSource``.
        segment: frames of another one lie in another world.
    """

    index: int
    name: str
    stamp_ns: int | None
    intrinsics: CameraIntrinsics | None
    intrinsics_estimated: bool
    world_T_camera: RigidTransform | None
    pose_source: str
    scale_source: str
    segment: int = 0


def cameras_document(cameras: Sequence[FrameCamera], *, unit: str) -> dict[str, Any]:
    """All cameras for JSON.

    Args:
        cameras: in order.
        unit: of positions: "m", "relative", or "mixed" where frames differ.

    Returns:
        Plain values.
    """
    return {
        "unit": unit,
        "axes": "optical: x right, y down, z forward; pixels from the centre of the first one",
        "frames": [_camera_values(camera) for camera in cameras],
    }


def _camera_values(camera: FrameCamera) -> dict[str, Any]:
    """One camera for JSON."""
    k, pose = camera.intrinsics, camera.world_T_camera
    numbers = None
    if k is not None:
        numbers = {"fx": k.fx, "fy": k.fy, "cx": k.cx, "cy": k.cy, "width": k.width, "height": k.height}
    placed = None
    if pose is not None:
        placed = {"translation": _rounded(pose.translation), "orientation_xyzw": _rounded(pose.orientation_xyzw)}
    return {
        "index": camera.index,
        "name": camera.name,
        "stamp_ns": camera.stamp_ns,
        "intrinsics": numbers,
        "intrinsics_estimated": camera.intrinsics_estimated,
        "world_T_camera": placed,
        "pose_source": camera.pose_source,
        "scale_source": camera.scale_source,
        "segment": camera.segment,
    }


def _rounded(values: Any) -> list[float]:
    """Numbers for JSON."""
    return [round(float(value), DECIMALS) for value in values]


def tum_text(cameras: Sequence[FrameCamera]) -> str:
    """The trajectory in the format of the TUM RGB-D benchmark, which evo and others read.

    Args:
        cameras: those without a pose are left out; the index stands for the time where there is no stamp.

    Returns:
        Lines.
    """
    lines = [TUM_HEADER]
    for camera in cameras:
        if camera.world_T_camera is None:
            continue
        stamp_ns = camera.index * 1_000_000_000 if camera.stamp_ns is None else camera.stamp_ns
        seconds = f"{stamp_ns // 1_000_000_000}.{stamp_ns % 1_000_000_000:09d}"
        pose = camera.world_T_camera
        numbers = [*pose.translation, *pose.orientation_xyzw]
        lines.append(" ".join([seconds, *(f"{float(number):.9f}" for number in numbers)]))
    return "\n".join(lines) + "\n"


def colmap_texts(cameras: Sequence[FrameCamera]) -> dict[str, str]:
    """The cameras as a text model of COLMAP, with no points: ``cameras.txt``, ``images.txt``, ``points3D.txt``.

    Args:
        cameras: those without pose or intrinsics are left out.

    Returns:
        Contents by file name.
    """
    known = [c for c in cameras if c.world_T_camera is not None and c.intrinsics is not None]
    models: dict[CameraIntrinsics, int] = {}
    images = ["# IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME"]
    for number, camera in enumerate(known, 1):
        assert camera.world_T_camera is not None and camera.intrinsics is not None  # chosen above
        model = models.setdefault(camera.intrinsics, len(models) + 1)
        back = camera.world_T_camera.inverse()
        x, y, z, w = back.orientation_xyzw
        numbers = " ".join(f"{float(value):.9f}" for value in (w, x, y, z, *back.translation))
        images += [f"{number} {numbers} {model} {camera.name}", ""]  # the second line would hold 2-D points
    lines = ["# CAMERA_ID, MODEL, WIDTH, HEIGHT, fx, fy, cx, cy"]
    for k, model in models.items():
        numbers = " ".join(f"{float(value):.6f}" for value in np.array([k.fx, k.fy, k.cx + 0.5, k.cy + 0.5]))
        lines.append(f"{model} PINHOLE {k.width} {k.height} {numbers}")
    return {
        "cameras.txt": "\n".join(lines) + "\n",
        "images.txt": "\n".join(images) + "\n",
        "points3D.txt": "# none: see the point cloud\n",
    }
