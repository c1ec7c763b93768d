"""Space between bodies: the gap of two oriented boxes, their footprints seen from above, outlines of surfaces."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from n3d_ros.detection import SupportSurface
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.boxes import BOX_EDGES, Box3D

FIRST_ENDS, SECOND_ENDS = (np.array([pair[end] for pair in BOX_EDGES]) for end in (0, 1))
TINY = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gap:
    """The shortest way from one box to another.

    Args:
        length_m: 0 when they touch or overlap.
        start: (3,) metres: a point of the first box that is nearest to the second.
        end: (3,) metres: that of the second.
    """

    length_m: float
    start: FloatArray
    end: FloatArray


def gap_between(a: Box3D, b: Box3D) -> Gap:
    """The free space between two oriented boxes.

    The shortest way between two convex solids that are apart ends at a corner of one of them, or runs between two
    edges; both kinds are tried for all corners and edges, so the result is exact.

    Args:
        a: a box.
        b: a box in the same frame.

    Returns:
        The gap; of length 0 between the centres when the boxes overlap.
    """
    if not _are_apart(a, b):
        middle = (a.center + b.center) / 2
        return Gap(length_m=0.0, start=middle, end=middle)
    on_b, on_a = nearest_in(b, a.corners), nearest_in(a, b.corners)
    edges_a, edges_b = _nearest_of_edges(a, b)
    starts = np.concatenate([a.corners, on_a, edges_a])
    ends = np.concatenate([on_b, b.corners, edges_b])
    distances = np.linalg.norm(ends - starts, axis=1)
    k = int(np.argmin(distances))
    return Gap(length_m=float(distances[k]), start=starts[k], end=ends[k])


def nearest_in(box: Box3D, points: FloatArray) -> FloatArray:
    """The points of a box that are nearest to given points.

    Args:
        box: the box.
        points: (N, 3) metres.

    Returns:
        (N, 3) metres; points inside are their own nearest.
    """
    inside: FloatArray = box.center + np.clip(box.local(points), -box.size / 2, box.size / 2) @ box.rotation.T
    return inside


def _are_apart(a: Box3D, b: Box3D) -> bool:
    """Whether a plane parts the boxes (separating axes; Gottschalk, OBBTree, 1996)."""
    axes_a, axes_b = a.rotation.T, b.rotation.T
    crossed = np.cross(axes_a[:, None, :], axes_b[None, :, :]).reshape(-1, 3)
    norms = np.linalg.norm(crossed, axis=1)
    crossed = crossed[norms > 1e-6] / norms[norms > 1e-6, None]  # parallel edges give no axis of their own
    axes = np.concatenate([axes_a, axes_b, crossed])
    reach = np.abs(axes @ a.rotation) @ a.size / 2 + np.abs(axes @ b.rotation) @ b.size / 2
    return bool((np.abs(axes @ (b.center - a.center)) > reach + TINY).any())


def _nearest_of_edges(a: Box3D, b: Box3D) -> tuple[FloatArray, FloatArray]:
    """Nearest points of each pair of edges whose lines are nearest within both edges; (N, 3) twice."""
    p = np.repeat(a.corners[FIRST_ENDS], 12, axis=0)
    u = np.repeat(a.corners[SECOND_ENDS] - a.corners[FIRST_ENDS], 12, axis=0)
    q = np.tile(b.corners[FIRST_ENDS], (12, 1))
    v = np.tile(b.corners[SECOND_ENDS] - b.corners[FIRST_ENDS], (12, 1))
    uu, vv, uv = (u * u).sum(1), (v * v).sum(1), (u * v).sum(1)
    across = p - q
    du, dv = (u * across).sum(1), (v * across).sum(1)
    determinant = uu * vv - uv * uv
    is_skew = determinant > 1e-9 * uu * vv  # the nearest points of parallel edges include a corner
    safe = np.where(is_skew, determinant, 1.0)
    s, t = (uv * dv - vv * du) / safe, (uu * dv - uv * du) / safe
    kept = is_skew & (s >= 0) & (s <= 1) & (t >= 0) & (t <= 1)
    return (p + s[:, None] * u)[kept], (q + t[:, None] * v)[kept]


# --- seen from above --------------------------------------------------------------------------------------------------


def footprint(box: Box3D, up: FloatArray) -> FloatArray:
    """The outline of a box seen from above.

    Args:
        box: the box.
        up: (3,) unit vector.

    Returns:
        (N, 2) metres, the corners of a convex polygon, counter-clockwise, in axes of the level plane.
    """
    return _convex_hull(box.corners @ _level_axes(up))


def shared_footprint(a: Box3D, b: Box3D, up: FloatArray) -> float:
    """The share of a box's footprint that lies over or under another box.

    Args:
        a: the box whose footprint counts as 1.
        b: the other box.
        up: (3,) unit vector.

    Returns:
        0 to 1.
    """
    whole = footprint(a, up)
    return min(_area(_clipped(whole, footprint(b, up))) / max(_area(whole), TINY), 1.0)


def within_outline(surface: SupportSurface, point: FloatArray, *, margin_m: float) -> bool:
    """Whether a point lies over or under a surface's seen extent.

    Args:
        surface: the surface; what of it is hidden behind objects is not part of the outline, so its hull counts.
        point: (3,) metres.
        margin_m: how far beside the outline still counts.

    Returns:
        True when it does.
    """
    axes, hull, outward = _seen_extent(surface)
    at = point @ axes
    if len(hull) < 3:
        return bool(np.linalg.norm(surface.outline @ axes - at, axis=1).min() <= margin_m)
    return bool((((at - hull) * outward).sum(1) <= margin_m).all())


@lru_cache(maxsize=32)
def _seen_extent(surface: SupportSurface) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Level axes, the hull of the outline in them, and the outward normals of its edges; one surface is asked often."""
    axes = _level_axes(surface.normal)
    hull = _convex_hull(surface.outline @ axes)
    if len(hull) < 3:
        return axes, hull, hull
    edges = np.roll(hull, -1, axis=0) - hull
    return axes, hull, np.column_stack([edges[:, 1], -edges[:, 0]]) / np.linalg.norm(edges, axis=1, keepdims=True)


def _level_axes(up: FloatArray) -> FloatArray:
    """(3, 2) two unit vectors perpendicular to ``up``, right-handed with it."""
    first = np.eye(3)[int(np.argmin(np.abs(up)))]
    first = first - (first @ up) * up
    first = first / np.linalg.norm(first)
    return np.column_stack([first, np.cross(up, first)])


def _convex_hull(points: FloatArray) -> FloatArray:
    """Corners of the convex hull, counter-clockwise (Andrew's monotone chain, 1979)."""
    ordered = sorted({(float(x), float(y)) for x, y in points})
    if len(ordered) < 3:
        return np.array(ordered).reshape(-1, 2)

    def chain(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
        kept: list[tuple[float, float]] = []
        for x, y in points:
            while len(kept) >= 2 and _turn(kept[-2], kept[-1], (x, y)) <= 0:
                kept.pop()
            kept.append((x, y))
        return kept[:-1]

    return np.array(chain(ordered) + chain(ordered[::-1]))


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    """Above 0 for a turn to the left at b."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _clipped(polygon: FloatArray, window: FloatArray) -> FloatArray:
    """The part of a convex polygon inside another one (Sutherland and Hodgman, 1974)."""
    kept = [np.asarray(point) for point in polygon]
    for i in range(len(window)):
        start, along = window[i], window[(i + 1) % len(window)] - window[i]
        inside = [float(along[0] * (p[1] - start[1]) - along[1] * (p[0] - start[0])) for p in kept]
        clipped: list[FloatArray] = []
        for k, point in enumerate(kept):
            after = (k + 1) % len(kept)
            if inside[k] >= 0:
                clipped.append(point)
            if (inside[k] >= 0) != (inside[after] >= 0):
                clipped.append(point + (kept[after] - point) * inside[k] / (inside[k] - inside[after]))
        kept = clipped
    return np.array(kept).reshape(-1, 2)


def _area(polygon: FloatArray) -> float:
    """Area of a polygon given counter-clockwise."""
    if len(polygon) < 3:
        return 0.0
    x, y = polygon[:, 0], polygon[:, 1]
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)
