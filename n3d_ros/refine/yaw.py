"""The yaw of a box from what one view shows of it: up to two upright sides and the outline."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from n3d_ros.refine.solids import polygon_area
from n3d_ros.refine.view import ObjectView, thinned

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]

_COARSE_YAWS = np.deg2rad(np.arange(20) * 4.5 - 45.0)
_FINE_STEPS = np.deg2rad(np.arange(-8, 9) * 0.5)
_YAW_POINTS = 300
_SIDE_WEIGHT = 1.0  # of the share of points that lie on near sides, against the tightness of the outline
_LINE_TURN_LIMIT_RAD = math.radians(4.0)  # a fitted line may correct the search by no more than this


class YawFit(NamedTuple):
    """Yaw of a box's x axis from the view's x axis, about up, in [-45, 45) degrees, and how sure it is.

    ``side_share``: share of the points within the noise of the near upright sides; ``fill``: area of the outline over
    that of its rectangle (1 for a rectangle, 0.79 for a disc).
    """

    yaw_rad: float
    stddev_rad: float
    side_share: float
    fill: float


def fit_yaw(view: ObjectView, hull: FloatArray) -> YawFit:
    """The yaw under which most points lie on near upright sides and the rectangle is tight.

    Upright sides that face the camera project to lines; they fix the yaw well when they are seen (closeness criterion:
    Zhang, Xu, Dong and Dolan, IV 2017, here for near sides only, since what is far is the outline of the top). Where
    no side is seen the area decides.

    Args:
        view: the object's points.
        hull: (K, 2) metres, trimmed outline in the ground plane.

    Returns:
        The yaw.
    """
    tolerance = max(2.0 * view.depth_stddev_m, 1.5e-3)
    ground = np.array(thinned(view.points, _YAW_POINTS)[:, :2].T, dtype=np.float32, order="C")
    best = float(_COARSE_YAWS[_scores(_COARSE, ground, hull, view.camera, tolerance).argmax()])
    fine = best + _FINE_STEPS
    best = float(fine[_scores(_directions(fine), ground, hull, view.camera, tolerance).argmax()])
    turn, stddev, share = _line_correction(view, best, hull)
    yaw = (best + turn + math.pi / 4) % (math.pi / 2) - math.pi / 4
    low, high = _extents(_direction_pair(yaw), hull)
    fill = polygon_area(hull) / max(float(high[0] - low[0]) * float(high[1] - low[1]), 1e-9)
    return YawFit(yaw, stddev, share, min(fill, 1.0))


def _directions(yaws: FloatArray) -> FloatArray:
    """(2, Y, 2): the x axes, then the y axes, of rectangles at these yaws."""
    directions = np.empty((2, len(yaws), 2))
    directions[0, :, 0] = directions[1, :, 1] = np.cos(yaws)
    directions[0, :, 1] = np.sin(yaws)
    directions[1, :, 0] = -directions[0, :, 1]
    return directions


_COARSE = _directions(_COARSE_YAWS)


def _direction_pair(yaw: float) -> FloatArray:
    """(2, 2): rows are the x and the y axis of a rectangle at this yaw."""
    cosine, sine = math.cos(yaw), math.sin(yaw)
    return np.array([[cosine, sine], [-sine, cosine]])


def _extents(directions: FloatArray, hull: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(...) least and greatest coordinate of the hull along directions (..., 2)."""
    along = directions @ hull.T
    return np.minimum.reduce(along, axis=-1), np.maximum.reduce(along, axis=-1)


def _scores(
    directions: FloatArray, ground: Float32Array, hull: FloatArray, camera: FloatArray, tolerance: float
) -> FloatArray:
    """(Y,) how well a rectangle along each pair of directions (2, Y, 2) explains the points (2, N)."""
    low, high = _extents(directions, hull)
    camera_along = directions @ camera[:2]
    # The side that faces the camera along each axis; none (infinitely far) where the camera is above the rectangle.
    near = np.where(camera_along < low, low, np.where(camera_along > high, high, np.inf))
    # Single precision: points about their own mean are small numbers, and the search is for the largest of few scores.
    gap = (directions / tolerance).astype(np.float32).reshape(-1, 2) @ ground
    gap -= (near / tolerance).astype(np.float32).reshape(-1, 1)
    np.square(gap, out=gap)
    gap = np.minimum(gap[: len(gap) // 2], gap[len(gap) // 2 :])
    gap += 1.0
    closeness = np.add.reduce(np.reciprocal(gap, out=gap), axis=1) / ground.shape[1]
    area = (high[0] - low[0]) * (high[1] - low[1]) + 1e-9
    scores: FloatArray = _SIDE_WEIGHT * closeness + area.min() / area
    return scores


def _line_correction(view: ObjectView, yaw: float, hull: FloatArray) -> tuple[float, float, float]:
    """(turn, stddev, share): a small turn towards lines through the points of near sides, its error, their share."""
    directions = _direction_pair(yaw)
    low, high = (side.tolist() for side in _extents(directions, hull))
    along = directions @ view.points[:, :2].T
    camera_along = (directions @ view.camera[:2]).tolist()
    scatters = np.maximum(view.stddev_along(_box_rows(directions)), 5e-4).tolist()
    tilt = weight = 0.0
    on_side = 0
    for axis, scatter in enumerate(scatters):
        facing = int(camera_along[axis] > high[axis]) - int(camera_along[axis] < low[axis])
        if facing == 0:
            continue
        gap = along[axis] - (high[axis] if facing > 0 else low[axis])
        chosen = np.abs(gap) < 4.0 * scatter + 1e-3
        span, offset = along[1 - axis].compress(chosen), gap.compress(chosen)
        on_side += span.size
        if span.size < 20:
            continue
        spread = span - float(span.sum()) / span.size
        power = float(spread @ spread)
        slope = float(spread @ offset) / max(power, 1e-9)
        tilt += power / scatter**2 * (slope if axis == 1 else -slope)
        weight += power / scatter**2
    share = min(on_side / len(view.points), 1.0)
    outline = view.lateral_stddev_m / max(high[0] - low[0], high[1] - low[1], 1e-3)
    if weight == 0 or share < 0.15:
        return 0.0, min(2.0 * outline + 0.01, math.pi / 4), share
    turn = tilt / weight
    # Neighbouring pixels share their error (disparity steps, smoothing): about one in ten is worth a measurement.
    stddev = math.sqrt(10.0 / weight) + 0.005
    if abs(turn) > _LINE_TURN_LIMIT_RAD:
        return 0.0, max(stddev, abs(turn)), share
    return turn, min(stddev, math.pi / 4), share


def _box_rows(directions: FloatArray) -> FloatArray:
    """(2, 3) horizontal directions (2, 2) with a height of 0."""
    rows = np.zeros((2, 3))
    rows[:, :2] = directions
    return rows
