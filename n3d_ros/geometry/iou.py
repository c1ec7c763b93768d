"""Exact overlap of oriented boxes.

The intersection of two boxes is a convex polyhedron: the first box, cut by the six face planes of the second one after
the other. A cut clips every face (Sutherland and Hodgman, CACM 17(1), 1974) and closes the hole with a cap, so the
polyhedron stays closed however nearly faces coincide. Its volume is the sum of pyramids from an inner point to every
face (divergence theorem).

Points are plain tuples here: with four to eight corners a face, numpy's cost per call is several times the arithmetic.
"""

from __future__ import annotations

import math

import numpy as np

from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.boxes import CORNER_SIGNS, Box3D

FACE_CORNERS = ((0, 1, 3, 2), (4, 5, 7, 6), (0, 1, 5, 4), (2, 3, 7, 6), (0, 2, 6, 4), (1, 3, 7, 5))
"""Corner indices around each face: -x, +x, -y, +y, -z, +z."""

RELATIVE_TOLERANCE = 1e-12  # of the boxes' size: what lies nearer to a plane counts as lying on it

Point = tuple[float, float, float]
Plane = tuple[float, float, float, float]
"""n, d with the solid at n . p <= d."""
Face = tuple[Plane, list[Point]]
"""A plane and the corners of the face in it, in order."""


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
    corners: list[Point] = [(x, y, z) for x, y, z in (CORNER_SIGNS * a.size / 2).tolist()]
    planes = _half_spaces(np.zeros(3), np.eye(3), a.size / 2)
    faces: list[Face] = [
        (plane, [corners[i] for i in around]) for plane, around in zip(planes, FACE_CORNERS, strict=True)
    ]
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


def _half_spaces(center: FloatArray, rotation: FloatArray, half: FloatArray) -> list[Plane]:
    """Six planes of a box, in the order of ``FACE_CORNERS``."""
    normals = np.stack([sign * rotation[:, axis] for axis in range(3) for sign in (-1.0, 1.0)])
    planes = np.column_stack([normals, normals @ center + np.repeat(half, 2)])
    return [(x, y, z, d) for x, y, z, d in planes.tolist()]


def _cut(faces: list[Face], plane: Plane, tolerance: float) -> list[Face]:
    """The faces of the solid's part at ``plane``'s inner side, the new cap included."""
    nx, ny, nz, d = plane
    distances = [[nx * x + ny * y + nz * z - d for x, y, z in polygon] for _, polygon in faces]
    if all(value <= tolerance for distance in distances for value in distance):
        return faces
    kept: list[Face] = []
    rim: list[Point] = []
    for (face_plane, polygon), distance in zip(faces, distances, strict=True):
        clipped, crossings = _clip(polygon, distance)
        rim += crossings
        if len(clipped) >= 3:
            kept.append((face_plane, clipped))
    if len(rim) >= 3:
        kept.append((plane, _around(rim, plane)))
    return kept


def _clip(polygon: list[Point], distance: list[float]) -> tuple[list[Point], list[Point]]:
    """The part of a polygon where ``distance`` of its corners is not above 0, and where its border crosses 0."""
    kept: list[Point] = []
    crossings: list[Point] = []
    for i, (point, here) in enumerate(zip(polygon, distance, strict=True)):
        j = (i + 1) % len(polygon)
        if here <= 0:
            kept.append(point)
        if (here <= 0) != (distance[j] <= 0):
            fraction = here / (here - distance[j])
            (x, y, z), (u, v, w) = point, polygon[j]
            crossings.append((x + fraction * (u - x), y + fraction * (v - y), z + fraction * (w - z)))
            kept.append(crossings[-1])
    return kept, crossings


def _main_axis(plane: Plane) -> int:
    """The axis nearest to the plane's normal; dropping it keeps a polygon in the plane convex and in order."""
    return max(range(3), key=lambda axis: abs(plane[axis]))


def _around(points: list[Point], plane: Plane) -> list[Point]:
    """Corners of a convex planar polygon, sorted around their middle."""
    first, second = ((_main_axis(plane) + step) % 3 for step in (1, 2))
    middle_x = sum(point[first] for point in points) / len(points)
    middle_y = sum(point[second] for point in points) / len(points)
    return sorted(points, key=lambda point: math.atan2(point[second] - middle_y, point[first] - middle_x))


def _volume(faces: list[Face]) -> float:
    """Cubic metres inside a closed convex polyhedron."""
    if len(faces) < 4:
        return 0.0
    points = [point for _, polygon in faces for point in polygon]
    x, y, z = (sum(point[axis] for point in points) / len(points) for axis in range(3))
    volume = sum(
        (plane[3] - plane[0] * x - plane[1] * y - plane[2] * z) * _area(polygon, plane) for plane, polygon in faces
    )
    return max(volume / 3, 0.0)


def _area(polygon: list[Point], plane: Plane) -> float:
    """Area of a planar polygon, whichever way it turns: its projection along one axis, scaled back."""
    axis = _main_axis(plane)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    following = polygon[1:] + polygon[:1]
    doubled = sum(p[first] * q[second] - q[first] * p[second] for p, q in zip(polygon, following, strict=True))
    return abs(doubled / plane[axis]) / 2
