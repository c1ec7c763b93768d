"""Exact overlap of oriented boxes.

The intersection of two boxes is a convex polyhedron. Its faces are the faces of either box clipped by the six half-spaces
of the other (Sutherland and Hodgman, CACM 17(1), 1974); its volume follows from the divergence theorem as the sum of
pyramids from an inner point to every face. Coinciding faces would be counted from both boxes, so the second box gives
only those that do not lie in a face plane of the first with the same outward side.
"""

from __future__ import annotations

import numpy as np

from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.boxes import CORNER_SIGNS, Box3D

FACE_CORNERS = ((0, 1, 3, 2), (4, 5, 7, 6), (0, 1, 5, 4), (2, 3, 7, 6), (0, 2, 6, 4), (1, 3, 7, 5))
"""Corner indices around each face: -x, +x, -y, +y, -z, +z."""

RELATIVE_TOLERANCE = 1e-9  # of the boxes' size; below it a plane counts as touching


def intersection_volume(a: Box3D, b: Box3D) -> float:
    """The volume that two oriented boxes share, in cubic metres, exact up to rounding.

    Args:
        a: a box.
        b: a box in the same frame.

    Returns:
        Cubic metres, 0 when they are apart or only touch.
    """
    if _are_apart(a, b):
        return 0.0
    # Work in a's axes: its faces become |coordinate| <= half, and coordinates stay small far from the origin.
    half_a = a.size / 2
    corners_b = a.local(b.corners)
    rotation_b = a.rotation.T @ b.rotation
    tolerance = RELATIVE_TOLERANCE * float(max(a.size.max(), b.size.max()))
    planes_a = _half_spaces(np.zeros(3), np.eye(3), half_a)
    planes_b = _half_spaces(a.local(b.center), rotation_b, b.size / 2)
    faces = [(planes_a[i], _clip(_face(CORNER_SIGNS * half_a, i), planes_b, tolerance)) for i in range(6)]
    faces += [
        (planes_b[i], _clip(_face(corners_b, i), planes_a, tolerance))
        for i in range(6)
        if not _coincides(planes_b[i], planes_a, tolerance)
    ]
    faces = [(plane, polygon) for plane, polygon in faces if len(polygon) >= 3]
    if not faces:
        return 0.0
    inner = np.concatenate([polygon for _, polygon in faces]).mean(axis=0)
    volume = sum((plane[3] - plane[:3] @ inner) * _area(polygon, plane[:3]) for plane, polygon in faces) / 3
    return float(min(max(volume, 0.0), a.volume, b.volume))


def iou_3d(a: Box3D, b: Box3D) -> float:
    """Intersection over union of two oriented boxes' volumes.

    Args:
        a: a box.
        b: a box in the same frame.

    Returns:
        0 to 1.
    """
    shared = intersection_volume(a, b)
    return shared / (a.volume + b.volume - shared)


def _are_apart(a: Box3D, b: Box3D) -> bool:
    """Whether the spheres around the boxes do not meet; cheap, and true for most pairs of a scene."""
    reach = (np.linalg.norm(a.size) + np.linalg.norm(b.size)) / 2
    return bool(np.linalg.norm(a.center - b.center) > reach)


def _half_spaces(center: FloatArray, rotation: FloatArray, half: FloatArray) -> FloatArray:
    """(6, 4) planes n, d with the box at n . p <= d, in the order of ``FACE_CORNERS``."""
    normals = np.stack([sign * rotation[:, axis] for axis in range(3) for sign in (-1.0, 1.0)])
    return np.column_stack([normals, normals @ center + np.repeat(half, 2)])


def _face(corners: FloatArray, index: int) -> FloatArray:
    """(4, 3) corners around one face."""
    return corners[list(FACE_CORNERS[index])]


def _coincides(plane: FloatArray, others: FloatArray, tolerance: float) -> bool:
    """Whether one of ``others`` is the same plane with the same outward side."""
    same = (np.abs(others[:, :3] - plane[:3]).max(axis=1) < RELATIVE_TOLERANCE) & (
        np.abs(others[:, 3] - plane[3]) <= tolerance
    )
    return bool(same.any())


def _clip(polygon: FloatArray, planes: FloatArray, tolerance: float) -> FloatArray:
    """(N, 3) part of a planar polygon inside all half-spaces; fewer than three points when none is."""
    for plane in planes:
        if len(polygon) < 3:
            break
        distance = polygon @ plane[:3] - plane[3]
        if (distance <= tolerance).all():
            continue
        polygon = _clip_by_plane(polygon, distance)
    return polygon


def _clip_by_plane(polygon: FloatArray, distance: FloatArray) -> FloatArray:
    """(N, 3) part of a polygon where the signed ``distance`` of its corners is not above zero."""
    kept: list[FloatArray] = []
    for i in range(len(polygon)):
        j = (i + 1) % len(polygon)
        if distance[i] <= 0:
            kept.append(polygon[i])
        if (distance[i] <= 0) != (distance[j] <= 0):
            fraction = distance[i] / (distance[i] - distance[j])
            kept.append(polygon[i] + fraction * (polygon[j] - polygon[i]))
    return np.array(kept) if kept else np.zeros((0, 3))


def _area(polygon: FloatArray, normal: FloatArray) -> float:
    """Area of a planar polygon, whichever way it turns."""
    spokes = polygon[1:] - polygon[0]
    return abs(float(np.cross(spokes[:-1], spokes[1:]).sum(axis=0) @ normal)) / 2
