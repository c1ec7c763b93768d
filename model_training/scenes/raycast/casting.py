"""Where rays meet surfaces: all surfaces of an object against all rays that may meet it, at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_training.scenes.raycast.solids import CastShape, Surfaces
from n3d_ros.geometry.arrays import Float32Array

NEAREST = np.float32(0.05)  # in front of the camera, as rays count: their z is 1, so this is depth in metres
PARALLEL = np.float32(1e-12)  # stands for a direction along a slab
INFINITE = np.float32(np.inf)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hits:
    """The first surface that each ray meets.

    Args:
        rays: (M,) int64 indices of the rays that meet the object.
        distance: (M,) float32 along the ray, in lengths of its direction.
        piece: (M,) int32 piece of the object.
        normal: (M, 3) float32 unit vector out of the surface, towards the ray's origin, object frame.
        local: (M, 3) float32 the surface's own coordinates, -1 to 1 (heights of cones and discs 0 to 1).
    """

    rays: NDArray[np.int64]
    distance: Float32Array
    piece: NDArray[np.int32]
    normal: Float32Array
    local: Float32Array


def _describe(
    found: Sequence[_Meeting], rays: NDArray[np.int64], nearest: Float32Array, first: NDArray[np.int64]
) -> Hits:
    """Normals, pieces and own coordinates of the surfaces met."""
    normal = np.empty((len(rays), 3), np.float32)
    local = np.empty((len(rays), 3), np.float32)
    piece = np.empty(len(rays), np.int32)
    base = 0
    for one in found:
        count = len(one.surfaces.piece)
        mine = np.flatnonzero((first >= base) & (first < base + count))
        if len(mine):
            which = first[mine] - base
            alone = count == 1  # a table's top: thousands of rays, and no need to look up which surface
            way = one.way[0][:, rays[mine]].T if alone else one.way[which, :, rays[mine]]
            point = one.start[which] + nearest[mine, None] * way
            inner = one.kind.normal(one.surfaces.numbers[which], point)
            away = np.einsum("ni,ni->n", inner, way) > 0
            inner[away] *= -1  # a surface seen from within: the inside of a bowl
            if alone:
                normal[mine] = turned(one.surfaces.matrix[0].T, inner.T).T
            else:
                normal[mine] = np.einsum("nij,ni->nj", one.surfaces.matrix[which], inner)
            local[mine], piece[mine] = point, one.surfaces.piece[which]
        base += count
    normal /= np.maximum(np.sqrt(np.einsum("ni,ni->n", normal, normal)), np.float32(1e-12))[:, None]
    return Hits(rays=rays, distance=nearest, piece=piece, normal=normal, local=local)


def _box_normal(_: Float32Array, point: Float32Array) -> Float32Array:
    """(M, 3) outwards on the sides of the cube from -1 to 1."""
    side, rows = np.abs(point).argmax(axis=1), np.arange(len(point))
    normal = np.zeros_like(point)
    normal[rows, side] = np.sign(point[rows, side])
    return normal


def _ball_normal(_: Float32Array, point: Float32Array) -> Float32Array:
    """(M, 3) outwards on the unit ball."""
    return np.array(point, np.float32)


def _cone_normal(numbers: Float32Array, point: Float32Array) -> Float32Array:
    """(M, 3) outwards on x^2 + y^2 = (r + s z)^2."""
    normal = np.array(point, np.float32)
    normal[:, 2] = -(numbers[:, 0] + numbers[:, 1] * point[:, 2]) * numbers[:, 1]
    return normal


def _disc_normal(_: Float32Array, point: Float32Array) -> Float32Array:
    """(M, 3) up."""
    normal = np.zeros_like(point)
    normal[:, 2] = 1
    return normal


def turned(matrix: Float32Array, directions: Float32Array) -> Float32Array:
    """The product of a small matrix and many columns, without BLAS: its threads cost more than such a product.

    Args:
        matrix: (M, 3) float32.
        directions: (3, N) float32.

    Returns:
        (M, N) float32.
    """
    x, y, z = directions
    product: Float32Array = matrix[:, 0, None] * x
    product += matrix[:, 1, None] * y
    product += matrix[:, 2, None] * z
    return product


def _ahead(distance: Float32Array, valid: NDArray[np.bool_]) -> Float32Array:
    """Distances, infinite where they do not count."""
    ahead: Float32Array = np.where(valid & (distance > NEAREST), distance, INFINITE)
    return ahead


def _meet_boxes(_: Surfaces, start: Float32Array, way: Float32Array) -> Float32Array:
    """(P, N) distance to boxes, by slabs."""
    inverse = 1 / np.where(way == 0, PARALLEL, way)  # infinity minus infinity would be no number
    middle, reach = -start[:, :, None] * inverse, np.abs(inverse)
    enter, leave = (middle - reach).max(axis=1), (middle + reach).min(axis=1)
    return _ahead(enter, enter < leave)


def _meet_ellipsoids(_: Surfaces, start: Float32Array, way: Float32Array) -> Float32Array:
    """(P, N) distance to unit balls."""
    a = np.einsum("pin,pin->pn", way, way)
    b = np.einsum("pin,pi->pn", way, start)
    c = np.einsum("pi,pi->p", start, start)[:, None] - 1
    inside = b * b - a * c
    return _ahead((-b - np.sqrt(inside)) / a, inside > 0)


def _meet_cones(surfaces: Surfaces, start: Float32Array, way: Float32Array) -> Float32Array:
    """(P, N) distance to cones: x^2 + y^2 = (r + s z)^2 between two heights."""
    r, s, low, high = (surfaces.numbers[:, k, None] for k in range(4))
    x, y, z = (start[:, k, None] for k in range(3))
    dx, dy, dz = way[:, 0], way[:, 1], way[:, 2]
    radius = r + s * z
    a = dx * dx + dy * dy - (s * dz) ** 2
    b = dx * x + dy * y - s * radius * dz
    c = x * x + y * y - radius * radius
    root = np.sqrt(b * b - a * c)  # NaN where the ray misses: fails every comparison below
    best = np.full(a.shape, INFINITE)
    for sign in (-1, 1):
        distance = (-b + sign * root) / a
        height = z + distance * dz
        valid = (height >= low) & (height <= high) & (r + s * height >= 0)
        best = np.minimum(best, _ahead(distance, valid))
    return best


def _meet_discs(surfaces: Surfaces, start: Float32Array, way: Float32Array) -> Float32Array:
    """(P, N) distance to level rings."""
    level, inner, outer = (surfaces.numbers[:, k, None] for k in range(3))
    distance = (level - start[:, 2, None]) / way[:, 2]
    x, y = start[:, 0, None] + distance * way[:, 0], start[:, 1, None] + distance * way[:, 1]
    squared = x * x + y * y
    return _ahead(distance, (squared >= inner * inner) & (squared <= outer * outer))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """How one kind of surface is met."""

    name: str
    meet: Callable[[Surfaces, Float32Array, Float32Array], Float32Array]
    normal: Callable[[Float32Array, Float32Array], Float32Array]


_KINDS = (
    _Kind(name="boxes", meet=_meet_boxes, normal=_box_normal),
    _Kind(name="ellipsoids", meet=_meet_ellipsoids, normal=_ball_normal),
    _Kind(name="cones", meet=_meet_cones, normal=_cone_normal),
    _Kind(name="discs", meet=_meet_discs, normal=_disc_normal),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Meeting:
    """All rays against all surfaces of a kind, in the surfaces' own coordinates: (P, 3), (P, 3, N) and (P, N)."""

    kind: _Kind
    surfaces: Surfaces
    start: Float32Array
    way: Float32Array
    distance: Float32Array


def _meet(kind: _Kind, surfaces: Surfaces, origin: Float32Array, directions: Float32Array) -> _Meeting:
    """Distances to all surfaces of a kind."""
    start = surfaces.matrix @ origin + surfaces.offset
    way = turned(surfaces.matrix.reshape(-1, 3), directions).reshape(-1, 3, directions.shape[1])
    return _Meeting(kind=kind, surfaces=surfaces, start=start, way=way, distance=kind.meet(surfaces, start, way))


def cast(shape: CastShape, origin: Float32Array, directions: Float32Array) -> Hits:
    """What rays from one point meet of an object.

    Args:
        shape: the object.
        origin: (3,) float32, object frame.
        directions: (3, N) float32, object frame.

    Returns:
        The rays that meet it.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        found = [
            _meet(kind, surfaces, origin, directions)
            for kind in _KINDS
            if len((surfaces := getattr(shape, kind.name)).piece)
        ]
        distances = np.concatenate([one.distance for one in found])
    first = distances.argmin(axis=0)
    nearest = distances[first, np.arange(len(first))]
    rays = np.flatnonzero(nearest < INFINITE)
    return _describe(found, rays, nearest[rays], first[rays])
