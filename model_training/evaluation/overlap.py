"""How far boxes overlap: along the camera's axes, as they are turned, in the image, and in measured points.

Things that look the same after a turn have no orientation of their own there: their true box is turned to the found
one's before the two are compared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from n3d_ros.geometry.arrays import BoolArray, FloatArray
from n3d_ros.geometry.boxes import BOX_EDGES, Box3D
from n3d_ros.geometry.camera import CameraIntrinsics, project
from n3d_ros.geometry.iou import iou_3d
from n3d_ros.geometry.transforms import RigidTransform

NEAR_M = 0.05  # edges are cut here before they are projected: nothing nearer has a place in the image
_BALL = 1.15  # longest side to shortest, up to which what is called a ball is one: a pear lies one way or another
_POINTS_MARGIN_M = 1e-6  # points on a box's very surface are inside, whatever rounding says

Rectangle = tuple[float, float, float, float]
"""Left, top, right, bottom, pixels counted from the image's corner (the first pixel spans 0 to 1)."""


def hull(box: Box3D) -> Box3D:
    """The tightest box along the frame's axes around a box.

    Args:
        box: turned or not.

    Returns:
        A box without a turn.
    """
    corners = box.corners
    low, high = corners.min(axis=0), corners.max(axis=0)
    return Box3D.axis_aligned((low + high) / 2, high - low)


def aligned_iou(found: Sequence[Box3D], truths: Sequence[Box3D]) -> FloatArray:
    """Intersection over union of the boxes' hulls along the frame's axes.

    Args:
        found: N boxes.
        truths: M boxes in the same frame.

    Returns:
        (N, M) float64, 0 to 1.
    """
    if not found or not truths:
        return np.zeros((len(found), len(truths)))
    (low_n, high_n), (low_m, high_m) = _extents(found), _extents(truths)
    shared = np.minimum(high_n[:, None], high_m[None]) - np.maximum(low_n[:, None], low_m[None])
    volume: FloatArray = np.prod(np.maximum(shared, 0.0), axis=-1)
    union = np.prod(high_n - low_n, axis=-1)[:, None] + np.prod(high_m - low_m, axis=-1)[None] - volume
    overlap: FloatArray = volume / union
    return overlap


def _extents(boxes: Sequence[Box3D]) -> tuple[FloatArray, FloatArray]:
    """(N, 3) lowest and highest coordinates."""
    corners = np.stack([box.corners for box in boxes])
    return corners.min(axis=1), corners.max(axis=1)


def oriented_iou(found: Box3D, truth: Box3D, *, symmetry: str = "none", shape: str = "") -> float:
    """Intersection over union of two turned boxes, fair to things that look the same after a turn.

    Args:
        found: a box.
        truth: the true box in the same frame.
        symmetry: of the truth about its z axis: "none", "half_turn", "quarter_turn" or "round".
        shape: "ball": no orientation at all, where its sides are as long as one another.

    Returns:
        0 to 1.
    """
    return max(iou_3d(found, likeness) for likeness in _likenesses(truth, found, symmetry, shape))


def _likenesses(truth: Box3D, found: Box3D, symmetry: str, shape: str) -> list[Box3D]:
    """The true box as it may be described, given what of its turn can be told. Half turns leave a box as it is."""
    if shape == "ball" and truth.size.max() <= _BALL * truth.size.min():
        return [truth, Box3D(center=truth.center, size=truth.size, orientation_xyzw=found.orientation_xyzw)]
    if symmetry == "round":
        return [truth, _turned_to(truth, found)]
    if symmetry == "quarter_turn":
        x, y, z = truth.size
        swapped = Box3D(center=truth.center, size=np.array([y, x, z]), orientation_xyzw=truth.orientation_xyzw)
        return [truth, swapped]
    return [truth]


def _turned_to(truth: Box3D, found: Box3D) -> Box3D:
    """The true box turned about its z axis so that one of its sides faces as one of the found box's does."""
    z = truth.rotation[:, 2]
    across = found.rotation - np.outer(z, z @ found.rotation)  # (3, 3), axes of the found box as columns
    x = across[:, int(np.linalg.norm(across, axis=0).argmax())]
    x = x / np.linalg.norm(x)  # of three axes at right angles, one at least is never along z
    pose = RigidTransform(rotation=np.stack([x, np.cross(z, x), z], axis=1), translation=truth.center)
    return Box3D(center=truth.center, size=truth.size, orientation_xyzw=pose.orientation_xyzw)


def points_iou(found: Sequence[Box3D], masks: Sequence[BoolArray], points: ArrayLike) -> FloatArray:
    """Of measured points, those in a box against those of an object: a box that swallows the table loses.

    Args:
        found: N boxes.
        masks: M objects: which points are theirs, (P,) bool each.
        points: (P, 3) metres, all measured points of the frame.

    Returns:
        (N, M) float64, 0 to 1; 0 where neither has a point.
    """
    xyz = np.asarray(points, dtype=np.float64).reshape(-1, 3)
    overlap = np.zeros((len(found), len(masks)))
    for row, box in enumerate(found):
        inside = box.contains(xyz, margin_m=_POINTS_MARGIN_M)
        count = int(inside.sum())
        for column, mask in enumerate(masks):
            shared = int(inside[mask].sum())
            union = count + int(mask.sum()) - shared
            overlap[row, column] = shared / union if union else 0.0
    return overlap


def share_inside(box: Box3D, other: Box3D) -> float:
    """The share of a box's volume that lies in another, to a sixty-fourth.

    Args:
        box: the box.
        other: in the same frame.

    Returns:
        0 to 1.
    """
    steps = (np.arange(4) + 0.5) / 4 - 0.5
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
    return float(other.contains(box.center + (grid * box.size) @ box.rotation.T).mean())


def projected_rectangle(box: Box3D, intrinsics: CameraIntrinsics) -> Rectangle | None:
    """The extent in the image of a box's corners, cut at the image's border.

    Args:
        box: camera optical frame.
        intrinsics: the camera.

    Returns:
        The rectangle; None where the box is behind the camera or beside the image.
    """
    points = _in_front(box.corners)
    if not len(points):
        return None
    pixels = project(points, intrinsics) + 0.5  # pixel centres lie at integers, the image's corner at -0.5
    left, top = np.clip(pixels.min(axis=0), 0.0, (intrinsics.width, intrinsics.height))
    right, bottom = np.clip(pixels.max(axis=0), 0.0, (intrinsics.width, intrinsics.height))
    if right <= left or bottom <= top:
        return None
    return float(left), float(top), float(right), float(bottom)


def _in_front(corners: NDArray[np.float64]) -> FloatArray:
    """(K, 3) corners in front of the camera, and where edges pass the plane at ``NEAR_M``."""
    kept = [corner for corner in corners if corner[2] >= NEAR_M]
    for first, second in BOX_EDGES:
        a, b = corners[first], corners[second]
        if (a[2] < NEAR_M) != (b[2] < NEAR_M):
            kept.append(a + (b - a) * ((NEAR_M - a[2]) / (b[2] - a[2])))
    return np.array(kept).reshape(-1, 3)


def rectangle_iou(first: Rectangle | None, second: Rectangle | None) -> float:
    """Intersection over union of two rectangles.

    Args:
        first: None has no area.
        second: likewise.

    Returns:
        0 to 1.
    """
    if first is None or second is None:
        return 0.0
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    shared = max(width, 0.0) * max(height, 0.0)
    union = sum((right - left) * (bottom - top) for left, top, right, bottom in (first, second)) - shared
    return shared / union if union > 0 else 0.0


def rectangle_offset(first: Rectangle, second: Rectangle, intrinsics: CameraIntrinsics) -> float:
    """The distance of two rectangles' centres as a fraction of the image.

    Args:
        first: a rectangle.
        second: another.
        intrinsics: of the image.

    Returns:
        Length of the way between the centres, its x in image widths and its y in image heights.
    """
    size = (intrinsics.width, intrinsics.height)
    way = [(first[k] + first[k + 2] - second[k] - second[k + 2]) / 2 / size[k] for k in (0, 1)]
    return math.hypot(*way)
