"""A plane at every pixel, sharp at creases and jumps.

In inverse depth a plane is linear in pixel coordinates and the noise of a triangulating camera is constant, so ordinary
least squares over a window is the right fit. A window that straddles a crease fits badly; each pixel whose own window
does takes the best of the eight windows that still contain it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from n3d_ros.inference.geometric.grid import Grid

FloatArray = NDArray[np.float64]
_NO_FIT = 1e9
_FILLED = 0.5  # share of a window that must have depth
_SPREAD = 0.05  # determinant of a window's pixel covariance, against a full window's, below which no plane is fitted
_GOOD_FIT = 1.4  # sigmas: a window that scatters less needs no replacement
_OWN_PIXEL = 4.0  # sigmas: a pixel must lie so near to the plane it takes
_STEADY_DEG = 6.0  # windows are widened where noise would tilt their planes by more (one standard deviation)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LocalPlanes:
    """A plane per working pixel: inverse depth at offset (i, j) pixels is value + slope_u * i + slope_v * j.

    Args:
        inverse: (h, w) measured inverse depth, 1/m, 0 = none.
        value: (h, w) inverse depth of the fitted plane at the pixel.
        slope_u: (h, w) its change per column.
        slope_v: (h, w) its change per row.
        normals: (h, w, 3) unit, towards the camera; meaningless where inverse is 0.
        points: (h, w, 3) metres, measured, 0 where none.
        sigma: noise of one working pixel's inverse depth, 1/m.
    """

    inverse: FloatArray
    value: FloatArray
    slope_u: FloatArray
    slope_v: FloatArray
    normals: FloatArray
    points: FloatArray
    sigma: float

    @property
    def valid(self) -> NDArray[np.bool_]:
        """(h, w) where there is depth."""
        return self.inverse > 0


@dataclass(slots=True)
class _Fits:
    """Windows' planes: slopes, value at the centre, residual variance."""

    slope_u: FloatArray
    slope_v: FloatArray
    value: FloatArray
    variance: FloatArray


def local_planes(
    inverse: NDArray[np.float32], grid: Grid, *, radius: int, wide_radius: int, floor: float, ceiling: float
) -> LocalPlanes:
    """Planes at every pixel of a frame.

    Args:
        inverse: (h, w) inverse depth, 1/m, 0 = none.
        grid: the working grid.
        radius: of the windows, working pixels.
        wide_radius: of the windows used where noise would tilt the small ones.
        floor: least noise believed, 1/m.
        ceiling: largest noise believed, 1/m.

    Returns:
        The planes, with the frame's own noise.
    """
    measured = inverse.astype(np.float64)
    fits = _window_fits(measured, radius)
    sigma = _noise(fits.variance, measured, floor, ceiling)
    best = _best_windows(fits, measured, radius, sigma)
    # A slope over (2r+1)^2 pixels has standard deviation sigma / sqrt(n r (r + 1) / 3); times f z it is an angle.
    count = (2 * radius + 1) ** 2
    slope_stddev = sigma / np.sqrt(count * radius * (radius + 1) / 3)
    limit = slope_stddev * grid.fx / np.radians(_STEADY_DEG)
    far = (measured > 0) & (measured < limit)
    if far.sum() > 0.01 * (measured > 0).sum():
        _widen(best, far, measured, wide_radius, sigma)
    depth = np.divide(1.0, measured, out=np.zeros_like(measured), where=measured > 0)
    return LocalPlanes(
        inverse=measured,
        value=best.value,
        slope_u=best.slope_u,
        slope_v=best.slope_v,
        normals=_normals(best, grid),
        points=grid.rays * depth[..., None],
        sigma=sigma,
    )


def _widen(best: _Fits, far: NDArray[np.bool_], measured: FloatArray, radius: int, sigma: float) -> None:
    """Gives far pixels the planes of wide windows where those fit. Changes ``best``; works on the rows that matter."""
    rows = np.flatnonzero(far.any(axis=1))
    around = slice(max(int(rows[0]) - 2 * radius, 0), int(rows[-1]) + 2 * radius + 1)
    part, chosen = measured[around], far[around]
    wide = _best_windows(_window_fits(part, radius), part, radius, sigma, chosen)
    chosen = chosen & (wide.variance < 16 * sigma**2)
    for name in ("slope_u", "slope_v", "value"):
        np.copyto(getattr(best, name)[around], getattr(wide, name), where=chosen)


def _noise(variance: FloatArray, measured: FloatArray, floor: float, ceiling: float) -> float:
    """The frame's noise: what planes leave unexplained in the median window; most of any room is smooth."""
    fitted = (variance < _NO_FIT / 2) & (measured > 0)
    if not fitted.any():
        return floor
    return float(np.clip(1.15 * np.sqrt(np.median(variance[fitted])), floor, ceiling))


def _window_fits(measured: FloatArray, radius: int) -> _Fits:
    """Least-squares planes over the window around every pixel, from ten windowed sums."""
    known = (measured > 0).astype(np.float64)
    side = 2 * radius + 1
    ones: FloatArray = np.ones(side)
    ramp: FloatArray = np.arange(-radius, radius + 1, dtype=np.float64)

    def total(image: FloatArray, along_x: FloatArray, along_y: FloatArray) -> FloatArray:
        summed = cv2.sepFilter2D(image, cv2.CV_64F, along_x, along_y, borderType=cv2.BORDER_CONSTANT)
        return np.asarray(summed, dtype=np.float64)

    count = total(known, ones, ones)
    share = 1.0 / np.maximum(count, 1)
    mean_i, mean_j = total(known, ramp, ones) * share, total(known, ones, ramp) * share
    mean = total(measured, ones, ones) * share
    ii = total(known, ramp * ramp, ones) * share - mean_i * mean_i
    jj = total(known, ones, ramp * ramp) * share - mean_j * mean_j
    ij = total(known, ramp, ramp) * share - mean_i * mean_j
    wi = total(measured, ramp, ones) * share - mean * mean_i
    wj = total(measured, ones, ramp) * share - mean * mean_j
    ww = total(measured * measured, ones, ones) * share - mean * mean
    determinant = ii * jj - ij * ij
    fitted = (count >= _FILLED * side * side) & (determinant > _SPREAD * (side * side / 12) ** 2)
    inverse = np.divide(1.0, determinant, out=np.zeros_like(determinant), where=fitted)
    slope_u, slope_v = (jj * wi - ij * wj) * inverse, (ii * wj - ij * wi) * inverse
    variance = np.maximum(ww - slope_u * wi - slope_v * wj, 0) * count / np.maximum(count - 3, 1)
    variance[~fitted] = _NO_FIT
    return _Fits(slope_u, slope_v, mean - slope_u * mean_i - slope_v * mean_j, variance)


def _best_windows(
    fits: _Fits, measured: FloatArray, radius: int, sigma: float, chosen: NDArray[np.bool_] | None = None
) -> _Fits:
    """Per pixel its own window's plane if that fits, else the best of the eight neighbours' that contain the pixel."""
    own = np.abs(fits.value - measured) < _OWN_PIXEL * sigma
    poor = ((measured > 0) if chosen is None else chosen) & ~((fits.variance < (_GOOD_FIT * sigma) ** 2) & own)
    y, x = np.nonzero(poor)
    h, w = measured.shape
    target = measured[y, x]
    best = np.where(own[y, x], fits.variance[y, x], fits.variance[y, x] + 1e6)
    choice = (y * w + x).astype(np.int64)
    value = fits.value[y, x]
    for dy in (-radius, 0, radius):
        for dx in (-radius, 0, radius):
            if dx == 0 and dy == 0:
                continue
            at = np.clip(y + dy, 0, h - 1) * w + np.clip(x + dx, 0, w - 1)
            predicted = (
                fits.value.ravel()[at]
                - fits.slope_u.ravel()[at] * (at % w - x)
                - fits.slope_v.ravel()[at] * (at // w - y)
            )
            miss = np.abs(predicted - target) >= _OWN_PIXEL * sigma
            variance = fits.variance.ravel()[at] + 1e6 * miss
            better = variance < best
            best = np.where(better, variance, best)
            choice[better] = at[better]
            value = np.where(better, predicted, value)
    result = _Fits(fits.slope_u.copy(), fits.slope_v.copy(), fits.value.copy(), fits.variance.copy())
    result.slope_u[y, x] = fits.slope_u.ravel()[choice]
    result.slope_v[y, x] = fits.slope_v.ravel()[choice]
    # Pixels that no window explains keep their own measurement.
    result.value[y, x] = np.where(best < 1e5, value, target)
    result.variance[y, x] = best
    return result


def _normals(fits: _Fits, grid: Grid) -> FloatArray:
    """(h, w, 3) unit normals towards the camera: n . ray is proportional to inverse depth."""
    normals = np.empty((*fits.value.shape, 3))
    normals[..., 0] = fits.slope_u * -grid.fx
    normals[..., 1] = fits.slope_v * -grid.fy
    normals[..., 2] = fits.slope_u * grid.columns + fits.slope_v * grid.rows - fits.value
    length = np.sqrt(np.einsum("hwk,hwk->hw", normals, normals))
    normals /= np.maximum(length, 1e-12)[..., None]
    return normals
