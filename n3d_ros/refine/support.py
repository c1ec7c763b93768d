"""How much of what a camera should see of a solid is backed by measured points."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Solid = Literal["box", "cylinder", "lying_cylinder", "ball"]
_Number = TypeVar("_Number", np.float64, np.intp)

MAX_CELLS_PER_EDGE = 7
_ROWS = np.arange(3)
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
    near = along.compress(_within(along, half + tolerance_m), axis=1)
    n = min(max(math.isqrt(near.shape[1] // (_POINTS_PER_CELL * facing.size)), 1), MAX_CELLS_PER_EDGE)
    marked = _marked_cells(near, camera, half, side, facing, n, tolerance_m, solid)
    weights = _expected_weights(camera, half, side, facing, n, solid)
    totals = np.add.reduce(weights, axis=1).tolist()
    backed = np.add.reduce(weights * marked, axis=1).tolist()
    for axis, total, share in zip(facing.tolist(), totals, backed, strict=True):
        faces[axis, int(side[axis] > 0)] = share / total if total > 0 else 0.0
    ratio = sum(backed) / max(sum(totals), 1e-12)
    return Coverage(min(ratio, 1.0), faces, _rims(marked.reshape(-1, n, n), side.tolist(), facing.tolist()))


def _within(along: FloatArray, limit: FloatArray) -> NDArray[np.bool_]:
    """(N,) whether points (3, N) lie no farther out than ``limit`` (3,) along any axis."""
    within: NDArray[np.bool_] = np.logical_and.reduce(np.abs(along) <= limit[:, None], axis=0)
    return within


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
    """(F, n * n) 1.0 where one of the points (3, N) lies on that cell of a visible face, else 0."""
    ray = along - camera[:, None]
    towards = ray if facing.size == 3 else ray.take(facing, axis=0)
    enter = (side * half - camera)[facing, None] / np.where(np.abs(towards) < 1e-9, 1e-9, towards)
    t = np.maximum.reduce(enter, axis=0)
    depth = (1.0 - t) * np.sqrt(_summed(ray * ray))
    limit = tolerance_m if solid == "box" else tolerance_m + 0.7 * float(half.sum()) / 3
    hit = ray
    hit *= t
    hit += camera[:, None]
    kept = (depth <= limit) & _within(hit, half + tolerance_m)
    hit *= (n / 2 / half)[:, None]
    hit += n / 2
    cell = np.maximum(np.minimum(hit, n - 1, out=hit), 0.0, out=hit).astype(np.intp)
    face = enter.argmax(axis=0)
    cell *= _cell_strides(n).take(facing.take(face), axis=1)
    index = face * (n * n) + _summed(cell)
    counts = np.bincount(index.compress(kept), minlength=facing.size * n * n)
    return (counts > 0).astype(np.float64).reshape(facing.size, n * n)


def _summed(rows: NDArray[_Number]) -> NDArray[_Number]:
    """(...) sum over three rows (3, ...); ``sum`` costs three times as much on so little."""
    total: NDArray[_Number] = rows[0] + rows[1]
    total += rows[2]
    return total


_FACE_AXES = ((1, 2), (0, 2), (0, 1))  # the two axes that span the face across each axis


@lru_cache(maxsize=MAX_CELLS_PER_EDGE)
def _cell_strides(n: int) -> NDArray[np.intp]:
    """(3, 3) what a step along each axis (row) counts in the numbers of the cells of each axis's face (column)."""
    return np.array([[0, n, n], [n, 0, 1], [1, 1, 0]], dtype=np.intp)


@lru_cache(maxsize=256)
def _unit_cells(side: tuple[float, ...], n: int) -> FloatArray:
    """(3, F, n * n) centres of the cells of the visible faces, for a box of half size 1."""
    at = (np.arange(n) + 0.5) * (2 / n) - 1
    facing = [axis for axis in range(3) if side[axis]]
    cells = np.empty((3, len(facing), n, n))
    for row, axis in enumerate(facing):
        first, second = _FACE_AXES[axis]
        cells[axis, row] = side[axis]
        cells[first, row] = at[:, None]
        cells[second, row] = at[None, :]
    cells.flags.writeable = False
    return cells.reshape(3, len(facing), n * n)


def _expected_weights(
    camera: FloatArray, half: FloatArray, side: FloatArray, facing: NDArray[np.intp], n: int, solid: Solid
) -> FloatArray:
    """(F, n * n) solid angle of each cell as the camera sees it; 0 where its ray misses the solid."""
    ray = _unit_cells(tuple(side.tolist()), n) * half[:, None, None] - camera[:, None, None]
    squared = _summed(ray * ray)
    area = half[0] * half[1] * half[2] / half[facing]
    weights: FloatArray = np.abs(ray[facing, _ROWS[: facing.size]]) / (squared * np.sqrt(squared))
    weights *= area[:, None]
    if solid != "box":
        weights *= _hits_solid(camera / half, ray / half[:, None, None], solid)
    return weights


def _hits_solid(origin: FloatArray, ray: FloatArray, solid: Solid) -> NDArray[np.bool_]:
    """(...) whether rays (3, ...) from ``origin`` meet the unit solid (the box scaled to a cube of half size 1)."""
    ring = {"ball": (0, 1, 2), "cylinder": (0, 1), "lying_cylinder": (1, 2)}[solid]
    o = origin.tolist()
    a: FloatArray = sum((ray[k] * ray[k] for k in ring[1:]), ray[ring[0]] * ray[ring[0]]) + 1e-12
    b: FloatArray = sum((ray[k] * o[k] for k in ring[1:]), ray[ring[0]] * o[ring[0]])
    disc = b * b - a * (sum(o[k] * o[k] for k in ring) - 1)
    meets: NDArray[np.bool_] = disc > 0
    if solid == "ball":
        return meets
    axis = 2 if solid == "cylinder" else 0
    root = np.sqrt(np.maximum(disc, 0))
    along = np.where(np.abs(ray[axis]) < 1e-9, 1e-9, ray[axis])
    first, second = (-1 - o[axis]) / along, (1 - o[axis]) / along
    enter = np.maximum((-b - root) / a, np.minimum(first, second))
    leave = np.minimum((-b + root) / a, np.maximum(first, second))
    hits: NDArray[np.bool_] = meets & (enter <= leave)
    return hits


def _rims(marked: FloatArray, side: list[float], facing: list[int]) -> FloatArray:
    """(3, 2) best share of backed cells along the edges that a hidden face shares with visible ones."""
    rims = [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
    n = marked.shape[1]
    # [F][low, high] backed cells along the edges of a face: those across its first axis, then across its second
    edges = (
        np.add.reduce(marked[:, :: max(n - 1, 1)], axis=2).tolist(),
        np.add.reduce(marked[:, :, :: max(n - 1, 1)], axis=1).tolist(),
    )
    for row, axis in enumerate(facing):
        for position, other in enumerate(_FACE_AXES[axis]):
            for high in (0, 1):
                if side[other] != (1.0 if high else -1.0):
                    backed = edges[position][row][-high]  # a face of one cell has one edge for both ends
                    rims[other][high] = max(rims[other][high], backed / n)
    return np.array(rims)
