"""What it means that an object was not found: is its place empty, hidden, or out of view?

Rays through the core of the object's box are compared with the measured depth. The core is half as large as the box,
because no object fills its box to the corners, but every ray through the core of a ball, a can or a bowl meets it.
"""

from __future__ import annotations

from enum import Enum

import numpy as np

from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.camera import project
from n3d_ros.geometry.transforms import RigidTransform

CORE_SHARE = 0.5  # of each length: the largest cube whose every inner ray meets the ball inscribed in the box is 0.58
CORE_TICKS = 5  # samples per edge
MIN_MEASURED_SHARE = 0.3  # of the rays in view must have depth to judge at all
MOST = 0.6  # of the measured rays must agree
DEPTH_TOLERANCE_M = 0.01  # at one metre
DEPTH_TOLERANCE_PER_M = 0.01  # grows with the square of distance, as structured light and stereo do
NEAREST_M = 0.05  # nearer than any depth camera sees


def _core() -> FloatArray:
    """(CORE_TICKS ** 3, 3) points of a lattice through the core of the unit box -0.5 .. 0.5."""
    ticks = (np.arange(CORE_TICKS) / (CORE_TICKS - 1) - 0.5) * CORE_SHARE
    lattice: FloatArray = np.stack(np.meshgrid(ticks, ticks, ticks, indexing="ij"), axis=-1).reshape(-1, 3)
    return lattice


CORE = _core()


class Visibility(Enum):
    """What a look says about a place."""

    OUT_OF_VIEW = "out of view"
    HIDDEN = "hidden"  # something nearer is measured, or nothing is measured
    EMPTY = "empty"  # what is measured lies behind it
    OCCUPIED = "occupied"  # something is measured there


def visibility(box: Box3D, *, scene_T_camera: RigidTransform, frame: RgbdFrame, visible_share: float) -> Visibility:
    """What the frame's depth says about the place of a box.

    Args:
        box: in the scene frame.
        scene_T_camera: pose of the camera at the frame's stamp.
        frame: the look.
        visible_share: share of the core that must lie in the picture.

    Returns:
        The finding.
    """
    # The pose in the camera by hand: checked transforms would cost more than all that follows.
    camera_R_scene = scene_T_camera.rotation.T
    center, axes = camera_R_scene @ (box.center - scene_T_camera.translation), camera_R_scene @ box.rotation
    pixels, share = _core_pixels(center, axes, box.size, frame)
    if share < visible_share:
        return Visibility.OUT_OF_VIEW
    measured = frame.depth_m[pixels[:, 1], pixels[:, 0]].astype(np.float64)
    known = np.isfinite(measured)
    if known.mean() < MIN_MEASURED_SHARE:
        return Visibility.HIDDEN
    near, far = _depth_inside(center, axes, box.size, pixels[known], frame)
    measured = measured[known]
    tolerance = DEPTH_TOLERANCE_M + DEPTH_TOLERANCE_PER_M * far**2
    if (measured > far + tolerance).mean() >= MOST:
        return Visibility.EMPTY
    if (measured < near - tolerance).mean() >= MOST:
        return Visibility.HIDDEN
    return Visibility.OCCUPIED


def _core_pixels(center: FloatArray, axes: FloatArray, size: FloatArray, frame: RgbdFrame) -> tuple[FloatArray, float]:
    """(N, 2) pixels (u, v) that see a box's core, each once, and the share of the core that is in the picture."""
    points = center + (CORE * size) @ axes.T
    points = points[points[:, 2] > NEAREST_M]
    at = np.round(project(points, frame.intrinsics))
    width = frame.intrinsics.width
    inside = ((at >= 0) & (at < [width, frame.intrinsics.height])).all(axis=1)
    u, v = at[inside].astype(int).T
    numbers = np.unique(v * width + u)  # by number: unique rows cost ten times as much
    return np.column_stack([numbers % width, numbers // width]), float(inside.sum()) / len(CORE)


def _depth_inside(
    center: FloatArray, axes: FloatArray, size: FloatArray, pixels: FloatArray, frame: RgbdFrame
) -> tuple[FloatArray, FloatArray]:
    """(N,) z-depths at which each pixel's ray enters and leaves a box (slab method of Kay and Kajiya, 1986)."""
    k = frame.intrinsics
    rays = np.column_stack(
        [(pixels[:, 0] - k.cx) / k.fx, (pixels[:, 1] - k.cy) / k.fy, np.ones(len(pixels))]
    )  # z = 1, so the parameter along the ray is z-depth
    directions, origin = rays @ axes, -center @ axes
    directions = np.where(np.abs(directions) < 1e-12, 1e-12, directions)
    low, high = (-size / 2 - origin) / directions, (size / 2 - origin) / directions
    near, far = np.minimum(low, high).max(axis=1), np.maximum(low, high).min(axis=1)
    # pixels are rounded to the grid, so the ray of a tiny box may pass beside it: its centre's depth stands for both
    missed = near > far
    return np.where(missed, center[2], near), np.where(missed, center[2], far)
