"""Exact overlap of oriented boxes.

The intersection of two boxes is a convex polyhedron: the first box, cut by the six face planes of the second one after
the other. A cut clips every face (Sutherland and Hodgman, CACM 17(1), 1974) and closes the hole with a cap, so the
polyhedron stays closed however nearly faces coincide. Its volume is the sum of pyramids from an inner point to every
face (divergence theorem).
"""

from __future__ import annotations

import numpy as np

from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.boxes import CORNER_SIGNS, Box3D

FACE_CORNERS = ((0, 1, 3, 2), (4, 5, 7, 6), (0, 1, 5, 4), (2, 3, 7, 6), (0, 2, 6, 4), (1, 3, 7, 5))
"""Corner indices around each face: -x, +x, -y, +y, -z, +z."""

RELATIVE_TOLERANCE = 1e-12  # of the boxes' size: what lies nearer to a plane counts as lying on it

Face = tuple[FloatArray, FloatArray]
"""A plane (4,) n, d with the solid at n . p <= d, and the (N, 3) corners of the face in it, in order."""


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
    # Work in a's axes: coordinates stay small however far from the origin the boxes are.
    tolerance = RELATIVE_TOLERANCE * float(max(a.size.max(), b.size.max()))
    corners = CORNER_SIGNS * a.size / 2
    planes = _half_spaces(np.zeros(3), np.eye(3), a.size / 2)
    faces: list[Face] = [(planes[i], corners[list(FACE_CORNERS[i])]) for i in range(6)]
    for plane in _half_spaces(a.local(b.center), a.rotation.T @ b.rotation, b.size / 2):
        faces = _cut(faces, plane, tolerance)
    return min(_volume(faces), a.volume, b.volume)


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


def _cut(faces: list[Face], plane: FloatArray, tolerance: float) -> list[Face]:
    """The faces of the solid's part at ``plane``'s inner side, the new cap included."""
    distances = [polygon @ plane[:3] - plane[3] for _, polygon in faces]
    if all((distance <= tolerance).all() for distance in distances):
        return faces
    kept: list[Face] = []
    rim: list[FloatArray] = []
    for (face_plane, polygon), distance in zip(faces, distances, strict=True):
        clipped, crossings = _clip(polygon, distance)
        rim += crossings
        if len(clipped) >= 3:
            kept.append((face_plane, clipped))
    if len(rim) >= 3:
        kept.append((plane, _around(np.array(rim), plane[:3])))
    return kept


def _clip(polygon: FloatArray, distance: FloatArray) -> tuple[FloatArray, list[FloatArray]]:
    """(N, 3) part of a polygon where ``distance`` of its corners is not above 0, and where its border crosses 0."""
    inside = distance <= 0
    if inside.all():
        return polygon, []
    if not inside.any():
        return polygon[:0], []
    kept: list[FloatArray] = []
    crossings: list[FloatArray] = []
    for i in range(len(polygon)):
        j = (i + 1) % len(polygon)
        if inside[i]:
            kept.append(polygon[i])
        if inside[i] != inside[j]:
            fraction = distance[i] / (distance[i] - distance[j])
            crossings.append(polygon[i] + fraction * (polygon[j] - polygon[i]))
            kept.append(crossings[-1])
    return np.array(kept), crossings


def _around(points: FloatArray, normal: FloatArray) -> FloatArray:
    """(N, 3) corners of a convex planar polygon, sorted around their middle."""
    # Dropping the axis nearest to the normal keeps the polygon convex and the order around it.
    flat = np.delete(points - points.mean(axis=0), int(np.argmax(np.abs(normal))), axis=1)
    ordered: FloatArray = points[np.argsort(np.arctan2(flat[:, 1], flat[:, 0]), kind="stable")]
    return ordered


def _volume(faces: list[Face]) -> float:
    """Cubic metres inside a closed convex polyhedron."""
    if len(faces) < 4:
        return 0.0
    inner = np.concatenate([polygon for _, polygon in faces]).mean(axis=0)
    volume = sum((plane[3] - plane[:3] @ inner) * _area(polygon, plane[:3]) for plane, polygon in faces) / 3
    return max(float(volume), 0.0)


def _area(polygon: FloatArray, normal: FloatArray) -> float:
    """Area of a planar polygon, whichever way it turns: its projection along one axis, scaled back."""
    axis = int(np.argmax(np.abs(normal)))
    x, y = polygon[:, (axis + 1) % 3], polygon[:, (axis + 2) % 3]
    doubled = float(x[:-1] @ y[1:] - x[1:] @ y[:-1] + x[-1] * y[0] - x[0] * y[-1])
    return abs(doubled / normal[axis]) / 2
