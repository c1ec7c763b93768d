"""An object's points as one camera sees them: along up and the two horizontal directions of the line of sight."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from n3d_ros.errors import InputError
from n3d_ros.refine.noise import DepthNoise

FloatArray = NDArray[np.float64]

_Scalar = TypeVar("_Scalar", bound=np.generic)

_VERTICAL_SIGHT = 0.02  # sine of the angle to the vertical under which a line of sight has no horizontal direction


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ObjectView:
    """Points of one object in a frame made for it.

    Its axes are: x to the camera's right, y away from the camera, both horizontal, and z up; its origin the mean of the
    points. So nothing that follows depends on how the camera is rolled or where the object is in the image.

    Args:
        points: (N, 3) float64 metres, finite, at most as many as asked for; its columns lie together in memory.
        camera: (3,) metres, the camera.
        axes: (3, 3), rows are the three axes in the camera optical frame.
        origin: (3,) metres, camera optical frame.
        total: how many finite points there were before thinning.
        sight: (3,) unit vector from the camera to the object.
        depth_stddev_m: standard deviation of the points along their rays.
        lateral_stddev_m: standard deviation of the object's outline across the rays.
    """

    points: FloatArray
    camera: FloatArray
    axes: FloatArray
    origin: FloatArray
    total: int
    sight: FloatArray
    depth_stddev_m: float
    lateral_stddev_m: float

    @property
    def up(self) -> FloatArray:
        """(3,) up in the camera optical frame."""
        upward: FloatArray = self.axes[2]
        return upward

    def stddev_along(self, directions: FloatArray) -> FloatArray:
        """Scatter of single points along directions, (K,) metres.

        Args:
            directions: (K, 3) unit vectors in the view's axes.

        Returns:
            (K,) metres.
        """
        squared = (directions @ self.sight) ** 2
        depth, lateral = self.depth_stddev_m**2, self.lateral_stddev_m**2
        stddev: FloatArray = np.sqrt(depth * squared + lateral * np.maximum(1 - squared, 0))
        return stddev


def unit_up(up: ArrayLike) -> FloatArray:
    """``up`` as a (3,) float64 vector of length one.

    Args:
        up: (3,) camera optical frame.

    Returns:
        (3,) unit vector.

    Raises:
        InputError: another shape, not finite, or far from length one.
    """
    vector = np.asarray(up, dtype=np.float64)
    length = _length(vector) if vector.shape == (3,) else float("nan")
    if not 0.5 < length < 2.0:
        raise InputError(f"up: expected a (3,) unit vector in the camera frame, got {np.asarray(up).tolist()}.")
    return vector / length


def finite_points(points: ArrayLike) -> FloatArray:
    """(N, 3) float64, the rows of ``points`` that are finite.

    Args:
        points: (N, 3) metres, NaN where unknown.

    Returns:
        (M, 3) metres.

    Raises:
        InputError: another shape.
    """
    array = np.asarray(points)
    if array.ndim != 2 or array.shape[1] != 3:
        raise InputError(f"points: expected (N, 3) metres, got shape {array.shape}.")
    if not np.isfinite(array.sum(dtype=np.float64)):  # one sum finds a NaN ten times as fast as a look at every row
        array = array[np.isfinite(array).all(axis=1)]
    return np.asarray(array, dtype=np.float64)


def thinned(points: NDArray[_Scalar], limit: int) -> NDArray[_Scalar]:
    """At most ``limit`` rows, evenly taken: the same ones on every run.

    Args:
        points: (N, ...) rows.
        limit: at least 1.

    Returns:
        (M, ...) rows in their order.
    """
    count = len(points)
    if count <= limit:
        return points
    if points.flags.c_contiguous:
        return points.take(_even_rows(count, limit), axis=0)
    # Columns that lie together in memory are taken together.
    taken: NDArray[_Scalar] = points.T.take(_even_rows(count, limit), axis=-1).T
    return taken


@lru_cache(maxsize=256)
def _even_rows(count: int, limit: int) -> NDArray[np.intp]:
    """(limit,) rows evenly taken from ``count``: a few pairs of numbers recur for each large object."""
    # A stride shares factors with the image width and would take columns; fractions of it wander over them.
    rows = (np.arange(limit) * (count / limit)).astype(np.intp)
    rows.flags.writeable = False
    return rows


def horizontal_axes(up: FloatArray, direction: FloatArray) -> FloatArray:
    """(3, 3) rows right, away, up for a line of sight; about the camera's own x where the sight is vertical.

    Args:
        up: (3,) unit vector, camera optical frame.
        direction: (3,) from the camera to the object, any length above 0.

    Returns:
        (3, 3) rotation, rows are the axes in the camera optical frame.
    """
    away = direction - (direction @ up) * up
    if _length(away) < _VERTICAL_SIGHT * _length(direction):
        right_hint = np.array([1.0, 0.0, 0.0]) if abs(up[0]) < 0.9 else np.array([0.0, 1.0, 0.0])
        away = np.cross(up, right_hint)
    away = away / _length(away)
    return np.array([_cross(away, up), away, up])


def _cross(a: FloatArray, b: FloatArray) -> FloatArray:
    """Cross product (3,); ``numpy.cross`` costs ten times as much for one pair."""
    (ax, ay, az), (bx, by, bz) = a.tolist(), b.tolist()
    return np.array([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])


def object_view(points: FloatArray, up: FloatArray, noise: DepthNoise, limit: int) -> ObjectView:
    """The points in axes along the line of sight.

    Args:
        points: (N, 3) finite metres, camera optical frame, N at least 1.
        up: (3,) unit vector, camera optical frame.
        noise: the camera's noise.
        limit: thin to this many points.

    Returns:
        The view.
    """
    kept = thinned(points, limit)
    rows = np.ascontiguousarray(kept.T)
    origin = np.add.reduce(rows, axis=1) / len(kept)
    axes = horizontal_axes(up, origin)
    away = axes @ origin  # from the camera
    distance = _length(origin)
    return ObjectView(
        points=(axes @ rows - away[:, None]).T,
        camera=-away,
        axes=axes,
        origin=origin,
        total=len(points),
        sight=away / distance,
        depth_stddev_m=noise.at(max(float(origin[2]), 0.0)),
        lateral_stddev_m=noise.lateral_rad * distance,
    )


def _length(vector: FloatArray) -> float:
    """Length of a (3,) vector; ``numpy.linalg.norm`` costs five times as much."""
    return math.sqrt(float(vector @ vector))
