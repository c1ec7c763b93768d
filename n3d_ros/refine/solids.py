"""Circles and spheres through noisy points, and outlines in the ground plane."""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

MAD_TO_STDDEV = 1.4826  # for a normal distribution
_OUTLIER_SCALES = 2.5  # residuals beyond this many robust standard deviations do not take part
_GAUSS_NEWTON_STEPS = 2
_HOPELESS = 2.0  # the algebraic fit misses the limit by no more than this where the final one meets it
_OUTLINE_SAMPLES = 48
_TRIM_DIRECTIONS = np.stack([np.cos(np.arange(6) * (np.pi / 6)), np.sin(np.arange(6) * (np.pi / 6))], axis=1)


class RoundFit(NamedTuple):
    """A circle (D = 2) or sphere (D = 3) and how well points agree with it.

    ``center`` (D,) m, ``radius`` m, ``scale_m``: robust standard deviation of the points' distances from the surface.
    """

    center: FloatArray
    radius: float
    scale_m: float


def fit_round(points: FloatArray, *, scatter_m: float, tolerance: float) -> RoundFit | None:
    """The circle or sphere nearest to points, or None where they are not round or fix none (too few, on a plane).

    Starts from the algebraic fit (Kasa), which is linear but drawn inwards on short arcs, and takes Gauss-Newton
    steps on the true distances, leaving out points that disagree.

    Args:
        points: (N, D) metres, D = 2 or 3.
        scatter_m: how far the points may scatter about the surface, metres.
        tolerance: what is added to that per metre of radius.

    Returns:
        The fit, its scale at most ``scatter_m + tolerance * radius``.
    """
    count, dimensions = points.shape
    if count < 2 * (dimensions + 1):
        return None
    offset = points.mean(axis=0)
    x = points - offset
    design = np.empty((count, dimensions + 1))
    design[:, :dimensions] = x
    design[:, dimensions] = 1.0
    solution = _solve(design, np.einsum("ij,ij->i", x, x))
    if solution is None:
        return None
    center = solution[:dimensions] / 2
    radius = math.sqrt(max(float(solution[dimensions] + center @ center), 1e-12))
    residual = _distances(x, center)[1] - radius
    if robust_scale(residual) > _HOPELESS * (scatter_m + tolerance * radius):
        return None
    for _ in range(_GAUSS_NEWTON_STEPS):
        ray, distance = _distances(x, center)
        residual = distance - radius
        kept = np.abs(residual) <= _OUTLIER_SCALES * max(robust_scale(residual), 1e-6)
        design[:, :dimensions] = ray / distance[:, None]
        step = _solve(design[kept], residual[kept])
        if step is None:
            return None
        center = center + step[:dimensions]
        radius += float(step[dimensions])
    if not np.isfinite(center).all() or not 0 < radius < 100:
        return None
    scale = robust_scale(_distances(x, center)[1] - radius)
    return RoundFit(center + offset, radius, scale) if scale <= scatter_m + tolerance * radius else None


def _distances(points: FloatArray, center: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Rays (N, D) from a centre and their lengths (N,), above 0."""
    ray = points - center
    return ray, np.sqrt(np.einsum("ij,ij->i", ray, ray)) + 1e-12


def _solve(design: FloatArray, target: FloatArray) -> FloatArray | None:
    """Least squares by normal equations; None when they are singular. (D + 1,)."""
    try:
        solution: FloatArray = np.linalg.solve(design.T @ design, design.T @ target)
    except np.linalg.LinAlgError:
        return None
    return solution


def robust_scale(residual: FloatArray) -> float:
    """Standard deviation of residuals about zero, from their median magnitude.

    Args:
        residual: (N,) metres, N at least 1.

    Returns:
        Metres.
    """
    magnitude = np.abs(residual)
    middle = magnitude.size // 2
    return MAD_TO_STDDEV * float(np.partition(magnitude, middle)[middle])


def trimmed_hull(points: FloatArray, share: float) -> FloatArray:
    """Convex hull (K, 2) of points in the plane without the outermost ``share`` in each of twelve directions.

    A hull rests on its farthest points, so single stray pixels would decide it; trimming takes them away first.

    Args:
        points: (N, 2) metres.
        share: 0 to 0.1, of the points per direction.

    Returns:
        (K, 2) float64 metres, in order around the outline.
    """
    along = _TRIM_DIRECTIONS @ points.T
    count = len(points)
    rank = min(int(share * count), (count - 1) // 2)
    ordered = np.partition(along, (rank, count - 1 - rank), axis=1)
    low, high = ordered[:, rank, None], ordered[:, count - 1 - rank, None]
    kept = ((along >= low) & (along <= high)).all(axis=0)
    chosen = points[kept] if kept.sum() >= 3 else points
    hull = cv2.convexHull(np.ascontiguousarray(chosen, dtype=np.float32))
    return np.asarray(hull, dtype=np.float64).reshape(-1, 2)


def resampled_outline(hull: FloatArray) -> FloatArray:
    """Points at equal distances along a closed polygon, (48, 2).

    Args:
        hull: (K, 2) metres.

    Returns:
        (48, 2) metres.
    """
    closed = np.concatenate([hull, hull[:1]])
    length = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    at = np.linspace(0.0, length[-1], _OUTLINE_SAMPLES, endpoint=False)
    return np.stack([np.interp(at, length, closed[:, 0]), np.interp(at, length, closed[:, 1])], axis=1)


def polygon_area(hull: FloatArray) -> float:
    """Area in square metres of a simple polygon (K, 2).

    Args:
        hull: (K, 2) metres, in order.

    Returns:
        Square metres, at least 0.
    """
    x, y = hull[:, 0], hull[:, 1]
    return abs(float(x[:-1] @ y[1:] - y[:-1] @ x[1:] + x[-1] * y[0] - y[-1] * x[0])) / 2
