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
_SINGULAR = 1e-14  # of the diagonal's product: a determinant below it is rounding
_OUTLINE_SAMPLES = 48
_OUTLINE_SHARES = np.arange(_OUTLINE_SAMPLES) / _OUTLINE_SAMPLES
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
    rows = np.ascontiguousarray(points.T)  # one row per coordinate: sums over points then run along memory
    offset = _row_means(rows)
    x = rows - offset[:, None]
    solution = _kasa(x)
    if solution is None:
        return None
    center, radius = solution
    ray, distance = _distances(x, center)
    residual = distance - radius
    scale = robust_scale(residual)
    if scale > _HOPELESS * (scatter_m + tolerance * radius):
        return None
    for _ in range(_GAUSS_NEWTON_STEPS):
        step = _gauss_newton_step(ray, distance, residual, _OUTLIER_SCALES * max(scale, 1e-6))
        if step is None:
            return None
        center = center + step[0]
        radius += step[1]
        ray, distance = _distances(x, center)
        residual = distance - radius
        scale = robust_scale(residual)
    if not 0 < radius < 100:  # NaN too
        return None
    return RoundFit(center + offset, radius, scale) if scale <= scatter_m + tolerance * radius else None


def _kasa(x: FloatArray) -> tuple[FloatArray, float] | None:
    """Centre (D,) and radius of the algebraic fit to points (D, N) about their mean; None where they fix none.

    Least squares of ``|x|^2 = 2 c.x + k``. About the mean, k is that of the squares and c follows by itself.
    """
    squares = _summed(x * x)
    doubled = solve_symmetric(x @ x.T, x @ squares)
    if doubled is None:
        return None
    center = doubled / 2
    return center, math.sqrt(max(float(squares.sum()) / x.shape[1] + float(center @ center), 1e-12))


def _gauss_newton_step(
    ray: FloatArray, distance: FloatArray, residual: FloatArray, limit: float
) -> tuple[FloatArray, float] | None:
    """Step of centre (D,) and radius that takes residuals (N,) within ``limit`` to zero; None where none is fixed."""
    # Unit rays, ones and residuals as rows: one product of them with themselves holds all sums of the normal equations.
    dimensions = len(ray)
    system = np.empty((dimensions + 2, len(residual)))
    np.divide(ray, distance, out=system[:dimensions])
    system[dimensions] = 1.0
    system[dimensions + 1] = residual
    system = system.compress(np.abs(residual) <= limit, axis=1)
    sums = system @ system.T
    count = float(sums[dimensions, dimensions])
    if count < 1:
        return None
    along, mean = sums[:dimensions, dimensions] / count, float(sums[dimensions, dimensions + 1]) / count
    spread = sums[:dimensions, :dimensions] - count * along[:, None] * along
    step = solve_symmetric(spread, sums[:dimensions, dimensions + 1] - count * mean * along)
    return None if step is None else (step, mean - float(along @ step))


def _row_means(rows: FloatArray) -> FloatArray:
    """(D,) mean of each row; ``mean`` costs three times as much on so little."""
    means: FloatArray = np.add.reduce(rows, axis=1) / rows.shape[1]
    return means


def _summed(rows: FloatArray) -> FloatArray:
    """(N,) sum over the two or three rows (D, N)."""
    total: FloatArray = rows[0] + rows[1]
    return total if len(rows) == 2 else total + rows[2]


def _distances(points: FloatArray, center: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Rays (D, N) from a centre and their lengths (N,), above 0."""
    ray = points - center[:, None]
    return ray, np.sqrt(_summed(ray * ray)) + 1e-12


def solve_symmetric(matrix: FloatArray, target: FloatArray) -> FloatArray | None:
    """The solution (D,) of a symmetric system of two or three equations, None where it fixes none.

    By cofactors: on so little, ``numpy.linalg.solve`` spends ten times the arithmetic on checks.

    Args:
        matrix: (D, D) symmetric, D = 2 or 3.
        target: (D,).

    Returns:
        (D,) float64, or None where the matrix is singular up to rounding.
    """
    values = matrix.tolist()
    if len(values) == 2:
        (a, b), (_, d) = values
        determinant = a * d - b * b
        if not abs(determinant) > _SINGULAR * abs(a * d):
            return None
        p, q = target.tolist()
        return np.array([(d * p - b * q) / determinant, (a * q - b * p) / determinant])
    (a, b, c), (_, d, e), (_, _, f) = values
    aa, bb, cc = d * f - e * e, c * e - b * f, b * e - c * d
    determinant = a * aa + b * bb + c * cc
    if not abs(determinant) > _SINGULAR * abs(a * d * f):
        return None
    dd, ee, ff = a * f - c * c, b * c - a * e, a * d - b * b
    p, q, r = target.tolist()
    solution: FloatArray = np.array([aa * p + bb * q + cc * r, bb * p + dd * q + ee * r, cc * p + ee * q + ff * r])
    solution /= determinant
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
    magnitude.partition(middle)
    return MAD_TO_STDDEV * float(magnitude[middle])


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
    kept = np.logical_and.reduce((along >= low) & (along <= high), axis=0)
    chosen = points.astype(np.float32, order="C")
    if np.count_nonzero(kept) >= 3:
        chosen = chosen.compress(kept, axis=0)
    return np.asarray(cv2.convexHull(chosen), dtype=np.float64).reshape(-1, 2)


def resampled_outline(hull: FloatArray) -> FloatArray:
    """Points at equal distances along a closed polygon, (48, 2).

    Args:
        hull: (K, 2) metres.

    Returns:
        (48, 2) metres.
    """
    closed = np.concatenate([hull, hull[:1]])
    x, y = np.ascontiguousarray(closed.T)
    edges = np.hypot(x[1:] - x[:-1], y[1:] - y[:-1])
    length = np.zeros(len(closed))
    np.cumsum(edges, out=length[1:])
    at = _OUTLINE_SHARES * length[-1]
    outline = np.empty((_OUTLINE_SAMPLES, 2))
    outline[:, 0], outline[:, 1] = np.interp(at, length, x), np.interp(at, length, y)
    return outline


def polygon_area(hull: FloatArray) -> float:
    """Area in square metres of a simple polygon (K, 2).

    Args:
        hull: (K, 2) metres, in order.

    Returns:
        Square metres, at least 0.
    """
    x, y = hull[:, 0], hull[:, 1]
    return abs(float(x[:-1] @ y[1:] - y[:-1] @ x[1:] + x[-1] * y[0] - y[-1] * x[0])) / 2
