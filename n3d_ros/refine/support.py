"""How much of what a camera should see of a solid is backed by measured points."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Solid = Literal["box", "cylinder", "lying_cylinder", "ball"]

MAX_CELLS_PER_EDGE = 7
_POINTS_PER_CELL = 4  # fewer measured points than this per cell would leave cells empty by chance


class Coverage(NamedTuple):
    """Which sides of a box are seen.

    ``ratio``: 0 to 1, share of the surface that faces the camera (weighted by the solid angle it fills in the view)
    with measured points on it. ``faces`` (3, 2): the same per face, first axis x y z, second low or high side; NaN for
    faces that look away. ``rims`` (3, 2): for faces that look away, the share of cells that are backed along the common
    edges with faces that are seen (the far edge of the top tells where the hidden back ends); 0 where there are none.
    """

    ratio: float
    faces: FloatArray
    rims: FloatArray


def coverage(points: FloatArray, camera: FloatArray, half: FloatArray, *, solid: Solid, tolerance_m: float) -> Coverage:
    """Which part of a box's visible faces has points on it.

    Every point is carried along its ray to where the ray enters the box, and marks a cell of that face unless it lies
    deeper than the tolerance. Cells whose ray misses the round solid inside the box are not expected to be backed.

    Args:
        points: (N, 3) metres, along the box's own axes, from its centre.
        camera: (3,) metres, likewise.
        half: (3,) metres, half the box's size.
        solid: what fills the box.
        tolerance_m: how far from the surface a point may lie.

    Returns:
        The coverage.
    """
    side = np.where(camera > half, 1.0, np.where(camera < -half, -1.0, 0.0))
    facing = np.flatnonzero(side)
    faces = np.full((3, 2), np.nan)
    if facing.size == 0:
        return Coverage(0.0, faces, np.zeros((3, 2)))
    along = points.T
    near = along[:, (np.abs(along) <= (half + tolerance_m)[:, None]).all(axis=0)]
    n = min(max(math.isqrt(near.shape[1] // (_POINTS_PER_CELL * facing.size)), 1), MAX_CELLS_PER_EDGE)
    marked = _marked_cells(near, camera, half, side, facing, n, tolerance_m, solid)
    weights = _expected_weights(camera, half, side, facing, n, solid)
    for row, axis in enumerate(facing):
        total = weights[row].sum()
        backed = float((weights[row] * marked[row]).sum() / total) if total > 0 else 0.0
        faces[axis, int(side[axis] > 0)] = backed
    ratio = float((weights * marked).sum() / max(weights.sum(), 1e-12))
    return Coverage(min(ratio, 1.0), faces, _rims(marked, side, facing))


def _marked_cells(
    along: FloatArray,
    camera: FloatArray,
    half: FloatArray,
    side: FloatArray,
    facing: NDArray[np.intp],
    n: int,
    tolerance_m: float,
    solid: Solid,
) -> FloatArray:
    """(F, n, n) 1.0 where one of the points (3, N) lies on that cell of a visible face, else 0."""
    ray = along - camera[:, None]
    enter = (side * half - camera)[facing, None] / np.where(np.abs(ray[facing]) < 1e-9, 1e-9, ray[facing])
    face, t = enter.argmax(axis=0), enter.max(axis=0)
    depth = (1.0 - t) * np.sqrt(np.square(ray).sum(axis=0))
    limit = tolerance_m if solid == "box" else tolerance_m + 0.7 * float(half.mean())
    hit = camera[:, None] + t * ray
    kept = (depth <= limit) & (np.abs(hit) <= (half + tolerance_m)[:, None]).all(axis=0)
    cell = np.clip(((hit / half[:, None] + 1) * (n / 2)).astype(np.intp), 0, n - 1)
    first, second = _FACE_AXES[facing[face]].T
    columns = np.arange(along.shape[1])
    index = (face * n + cell[first, columns]) * n + cell[second, columns]
    counts = np.bincount(index[kept], minlength=facing.size * n * n)
    return (counts > 0).astype(np.float64).reshape(facing.size, n, n)


_FACE_AXES = np.array([[1, 2], [0, 2], [0, 1]])  # the two axes that span the face across each axis


def _expected_weights(
    camera: FloatArray, half: FloatArray, side: FloatArray, facing: NDArray[np.intp], n: int, solid: Solid
) -> FloatArray:
    """(F, n, n) solid angle of each cell as the camera sees it; 0 where its ray misses the solid."""
    at = (np.arange(n) + 0.5) * (2 / n) - 1
    grid = np.empty((facing.size, n, n, 3))
    for row, axis in enumerate(facing):
        first, second = _FACE_AXES[axis]
        grid[row, :, :, axis] = side[axis]
        grid[row, :, :, first] = at[:, None]
        grid[row, :, :, second] = at[None, :]
    ray = grid * half - camera
    distance = np.sqrt(np.einsum("fijk,fijk->fij", ray, ray))
    weights = np.empty(distance.shape)
    for row, axis in enumerate(facing):
        area = half[_FACE_AXES[axis, 0]] * half[_FACE_AXES[axis, 1]]
        weights[row] = area * np.abs(ray[row, :, :, axis]) / distance[row] ** 3
    if solid != "box":
        weights = weights * _hits_solid(camera / half, ray / half, solid)
    return weights


def _hits_solid(origin: FloatArray, ray: FloatArray, solid: Solid) -> NDArray[np.bool_]:
    """(...) whether rays (..., 3) from ``origin`` meet the unit solid (the box scaled to a cube of half size 1)."""
    ring = {"ball": [0, 1, 2], "cylinder": [0, 1], "lying_cylinder": [1, 2]}[solid]
    o, d = origin[ring], ray[..., ring]
    a = np.einsum("...k,...k->...", d, d) + 1e-12
    b = d @ o
    disc = b * b - a * (float(o @ o) - 1)
    meets: NDArray[np.bool_] = disc > 0
    if solid == "ball":
        return meets
    axis = 2 if solid == "cylinder" else 0
    root = np.sqrt(np.maximum(disc, 0))
    along = np.where(np.abs(ray[..., axis]) < 1e-9, 1e-9, ray[..., axis])
    first, second = (-1 - origin[axis]) / along, (1 - origin[axis]) / along
    enter = np.maximum((-b - root) / a, np.minimum(first, second))
    leave = np.minimum((-b + root) / a, np.maximum(first, second))
    hits: NDArray[np.bool_] = meets & (enter <= leave)
    return hits


def _rims(marked: FloatArray, side: FloatArray, facing: NDArray[np.intp]) -> FloatArray:
    """(3, 2) best share of backed cells along the edges that a hidden face shares with visible ones."""
    rims = np.zeros((3, 2))
    n = marked.shape[1]
    for row, axis in enumerate(facing):
        for position, other in enumerate(_FACE_AXES[axis]):
            for high in (0, 1):
                if side[other] == (1.0 if high else -1.0):
                    continue
                at = -1 if high else 0
                line = marked[row, at] if position == 0 else marked[row, :, at]
                rims[other, high] = max(rims[other, high], float(line.sum()) / n)
    return rims
