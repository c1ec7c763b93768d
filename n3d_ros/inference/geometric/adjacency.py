"""How neighbouring patches meet: along how many pixels, with or without a jump, at what angle, convexly or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from n3d_ros.inference.geometric.config import GeometricConfig
from n3d_ros.inference.geometric.grid import Grid
from n3d_ros.inference.geometric.local_planes import LocalPlanes
from n3d_ros.inference.geometric.surfaces import SurfaceMap

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
_BRIDGED_PX = 3  # gaps of missing depth up to this distance from a patch do not part neighbours
_INNER_PX = 2  # planes are read so far from the boundary, where windows lie on one side
_RELATIVE_STEP = 0.004  # a step smaller than this share of inverse depth is no jump
_PIXELS_APART = 3.0  # pixels at a boundary lie up to so many pixels' footprints apart without a gap
_WEIGHTLESS = 1e-6  # so that a mean over no touching pixel falls back on all of them


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Meetings:
    """One row per pair of patches that are neighbours in the image.

    Args:
        first: (n,) label of one patch; first < second.
        second: (n,) label of the other.
        length: (n,) boundary, pixels.
        touching: (n,) part of it without a jump.
        angle_deg: (n,) between the normals there.
        convexity: (n,) about 2 sin(angle / 2) for a convex edge, negative for a concave one, 0 for a flat one.
        near: (n,) part of the boundary whose pixels lie close to each other, overhang allowed.
        near_angle_deg: (n,) angle over that part.
        near_convexity: (n,) convexity over that part.
        front: (n,) pixels of jump where the first is nearer to the camera, less those where the second is.
        first_up: (n,) cosine between up and the first patch's normal along the touching boundary.
        second_up: (n,) the same of the second.
    """

    first: IntArray
    second: IntArray
    length: IntArray
    touching: FloatArray
    angle_deg: FloatArray
    convexity: FloatArray
    near: FloatArray
    near_angle_deg: FloatArray
    near_convexity: FloatArray
    front: FloatArray
    first_up: FloatArray
    second_up: FloatArray

    def __len__(self) -> int:
        return len(self.first)


def boundary_pixels(labels: NDArray[np.int32], surface: NDArray[np.bool_]) -> IntArray:
    """Pairs of pixels that face each other across a boundary between two patches.

    Args:
        labels: (h, w), 0 = no patch.
        surface: (h, w) pixels of supports and walls; they stop the bridging of gaps.

    Returns:
        (n, 4) flat indices: pixel of the lower label, of the higher label, and the same two moved into their patches.
    """
    h, w = labels.shape
    source = _nearest_known(labels, surface)
    flat = labels.ravel()
    reached = np.where(source >= 0, flat[source], -1)
    pairs = []
    for dy, dx in ((0, 1), (1, 0)):
        a, b = reached[: h - dy, : w - dx], reached[dy:, dx:]
        y, x = np.nonzero((a != b) & (a > 0) & (b > 0))
        p, q = source[y, x], source[y + dy, x + dx]
        pairs.append(np.stack([p, q, _moved_in(flat, p, -dy, -dx, h, w), _moved_in(flat, q, dy, dx, h, w)], axis=1))
    found: IntArray = np.concatenate(pairs)
    swap = flat[found[:, 0]] > flat[found[:, 1]]
    found[swap] = found[swap][:, [1, 0, 3, 2]]
    return found


def _nearest_known(labels: NDArray[np.int32], surface: NDArray[np.bool_]) -> IntArray:
    """(h, w) flat index of the nearest pixel with a label or on a surface, -1 where that is too far."""
    present = (labels > 0) | surface
    source = np.full(labels.shape, -1, np.int64)
    at = np.flatnonzero(present)
    if not at.size:
        return source
    distance, nearest = cv2.distanceTransformWithLabels(
        (~present).astype(np.uint8), cv2.DIST_L1, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    pixel_of = np.zeros(int(nearest.max()) + 1, np.int64)
    pixel_of[nearest.ravel()[at]] = at
    reachable = distance <= _BRIDGED_PX
    source[reachable] = pixel_of[nearest[reachable]]
    return source


def _moved_in(flat: NDArray[np.int32], start: IntArray, dy: int, dx: int, h: int, w: int) -> IntArray:
    """The pixels a few steps along (dy, dx), as far as they stay in their patch."""
    moved: IntArray = start.copy()
    for step in range(1, _INNER_PX + 1):
        at = np.clip(start // w + dy * step, 0, h - 1) * w + np.clip(start % w + dx * step, 0, w - 1)
        inside = flat[at] == flat[start]
        moved[inside] = at[inside]
    return moved


def meetings(
    labels: NDArray[np.int32],
    planes: LocalPlanes,
    grid: Grid,
    scene: SurfaceMap,
    config: GeometricConfig,
    *,
    cut_from: Mapping[int, int] | None = None,
) -> Meetings:
    """How all neighbouring patches meet.

    Args:
        labels: (h, w) patches, 0 = none.
        planes: of the frame.
        grid: the working grid.
        scene: the frame's surfaces.
        config: what counts as touching.
        cut_from: label -> the label it was cut from; such pieces do not count as neighbours.

    Returns:
        One row per pair.
    """
    found = boundary_pixels(labels, scene.on_surface)
    flat, points, normals = labels.ravel(), planes.points.reshape(-1, 3), planes.normals.reshape(-1, 3)
    count = int(flat.max()) + 1
    if cut_from:
        origin = np.arange(count)
        for piece in sorted(cut_from):  # pieces of pieces have higher numbers
            origin[piece] = origin[cut_from[piece]]
        found = found[origin[flat[found[:, 0]]] != origin[flat[found[:, 1]]]]
    p, q, inner_p, inner_q = found.T
    keys, row = np.unique(flat[p].astype(np.int64) * count + flat[q], return_inverse=True)
    row = row.reshape(-1)
    size = len(keys)
    step, signed = _step(planes, labels.shape[1], found)
    allowed = config.jump_sigmas * planes.sigma + _RELATIVE_STEP * np.maximum(planes.value.ravel()[p], 0)
    touches = step < allowed
    footprint = _PIXELS_APART * points[p, 2] / min(grid.fx, grid.fy)
    near = np.sqrt(((points[p] - points[q]) ** 2).sum(axis=1)) < config.overhang_m + footprint
    sides = (points[inner_p], points[inner_q], normals[inner_p], normals[inner_q])
    angle, convexity, first_normal, second_normal = _edge(row, size, touches, *sides)
    near_angle, near_convexity, _, _ = _edge(row, size, near, *sides)
    return Meetings(
        first=keys // count,
        second=keys % count,
        length=np.bincount(row, minlength=size),
        touching=np.bincount(row, touches, minlength=size).astype(np.float64),
        angle_deg=angle,
        convexity=convexity,
        near=np.bincount(row, near, minlength=size).astype(np.float64),
        near_angle_deg=near_angle,
        near_convexity=near_convexity,
        front=np.bincount(row, np.sign(signed) * ~touches, minlength=size).astype(np.float64),
        first_up=first_normal @ scene.up,
        second_up=second_normal @ scene.up,
    )


def _step(planes: LocalPlanes, w: int, found: IntArray) -> tuple[FloatArray, FloatArray]:
    """Difference in inverse depth of both sides' planes half-way across the boundary: least size, and signed."""
    p, q, inner_p, inner_q = found.T
    middle_u, middle_v = (p % w + q % w) / 2, (p // w + q // w) / 2
    value, slope_u, slope_v = planes.value.ravel(), planes.slope_u.ravel(), planes.slope_v.ravel()

    def at_middle(pixel: IntArray) -> FloatArray:
        across: FloatArray = slope_u[pixel] * (middle_u - pixel % w) + slope_v[pixel] * (middle_v - pixel // w)
        return value[pixel] + across

    signed = at_middle(p) - at_middle(q)
    return np.minimum(np.abs(signed), np.abs(at_middle(inner_p) - at_middle(inner_q))), signed


def _edge(
    row: IntArray,
    size: int,
    chosen: NDArray[np.bool_],
    points_p: FloatArray,
    points_q: FloatArray,
    normals_p: FloatArray,
    normals_q: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Angle in degrees, convexity, and both mean normals per pair of patches, over the chosen boundary pixels."""
    weight = np.where(chosen, 1.0, _WEIGHTLESS)
    total = np.maximum(np.bincount(row, weight, minlength=size), _WEIGHTLESS)

    def mean(vectors: FloatArray) -> FloatArray:
        columns = [np.bincount(row, weight * vectors[:, k], minlength=size) for k in range(3)]
        return np.stack(columns, axis=1).astype(np.float64) / total[:, None]

    first, second = _unit(mean(normals_p)), _unit(mean(normals_q))
    across = mean(points_q) - mean(points_p)
    convexity = np.einsum("nk,nk->n", second - first, _unit(across))
    cosine = np.clip(np.einsum("nk,nk->n", first, second), -1, 1)
    return np.degrees(np.arccos(cosine)), convexity, first, second


def _unit(vectors: FloatArray) -> FloatArray:
    length = np.sqrt((vectors * vectors).sum(axis=1, keepdims=True))
    unit: FloatArray = vectors / np.maximum(length, 1e-12)
    return unit
