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
    """Least-squares planes over the window around every pixel.

    In a window without a gap the pixels' own moments are constants; only the others need the general solution.
    """
    side = 2 * radius + 1
    ones: FloatArray = np.ones(side)
    ramp: FloatArray = np.arange(-radius, radius + 1, dtype=np.float64)

    def total(image: FloatArray, along_x: FloatArray, along_y: FloatArray) -> FloatArray:
        summed = cv2.sepFilter2D(image, cv2.CV_64F, along_x, along_y, borderType=cv2.BORDER_CONSTANT)
        return np.asarray(summed, dtype=np.float64)

    full, moment = side * side, radius * (radius + 1) / 3  # pixels of a window, variance of their columns
    w, wi, wj = (
        total(measured, ones / full, ones),
        total(measured, ramp / full, ones),
        total(measured, ones, ramp / full),
    )
    ww = total(measured * measured, ones / full, ones)
    slope_u, slope_v = wi * (1 / moment), wj * (1 / moment)
    variance = np.maximum(ww - w * w - slope_u * wi - slope_v * wj, 0) * (full / (full - 3))
    fits = _Fits(slope_u, slope_v, w, variance)

    known = (measured > 0).astype(np.float32)
    counts = cv2.boxFilter(known, cv2.CV_32F, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT)
    empty = np.flatnonzero(counts < _FILLED * full)
    slope_u.ravel()[empty], slope_v.ravel()[empty], variance.ravel()[empty] = 0.0, 0.0, _NO_FIT
    at = np.flatnonzero((counts >= _FILLED * full) & (counts < full))
    if not at.size:
        return fits

    def known_total(along_x: FloatArray, along_y: FloatArray) -> FloatArray:
        # Whole numbers below 2^24 are exact in single precision.
        summed = cv2.sepFilter2D(known, cv2.CV_32F, along_x, along_y, borderType=cv2.BORDER_CONSTANT)
        return summed.ravel()[at].astype(np.float64)

    count = counts.ravel()[at].astype(np.float64)
    share = 1.0 / count
    mean_i, mean_j = known_total(ramp, ones) * share, known_total(ones, ramp) * share
    ii = known_total(ramp * ramp, ones) * share - mean_i * mean_i
    jj = known_total(ones, ramp * ramp) * share - mean_j * mean_j
    ij = known_total(ramp, ramp) * share - mean_i * mean_j
    share *= full  # the sums of measurements were divided by a full window's count
    mean = w.ravel()[at] * share
    cov_i, cov_j = wi.ravel()[at] * share - mean * mean_i, wj.ravel()[at] * share - mean * mean_j
    spread = ww.ravel()[at] * share - mean * mean
    determinant = ii * jj - ij * ij
    fitted = determinant > _SPREAD * (full / 12) ** 2
    inverse = np.divide(1.0, determinant, out=np.zeros_like(determinant), where=fitted)
    u, v = (jj * cov_i - ij * cov_j) * inverse, (ii * cov_j - ij * cov_i) * inverse
    left = np.maximum(spread - u * cov_i - v * cov_j, 0) * count / np.maximum(count - 3, 1)
    slope_u.ravel()[at], slope_v.ravel()[at] = u, v
    fits.value.ravel()[at] = mean - u * mean_i - v * mean_j
    variance.ravel()[at] = np.where(fitted, left, _NO_FIT)
    return fits


def _best_windows(
    fits: _Fits, measured: FloatArray, radius: int, sigma: float, chosen: NDArray[np.bool_] | None = None
) -> _Fits:
    """Per pixel its own window's plane if that fits, else the best of the eight neighbours' that contain the pixel.

    Changes ``fits`` and returns it.
    """
    own = np.abs(fits.value - measured) < _OWN_PIXEL * sigma
    poor = ((measured > 0) if chosen is None else chosen) & ~((fits.variance < (_GOOD_FIT * sigma) ** 2) & own)
    h, w = measured.shape
    pixel = np.flatnonzero(poor)
    y, x = pixel // w, pixel % w
    slope_u, slope_v = fits.slope_u.ravel(), fits.slope_v.ravel()
    values, variances = fits.value.ravel(), fits.variance.ravel()
    target = measured.ravel()[pixel]
    best = variances[pixel] + 1e6 * ~own.ravel()[pixel]
    choice, value = pixel.copy(), values[pixel]
    for dy in (-radius, 0, radius):
        for dx in (-radius, 0, radius):
            if dx == 0 and dy == 0:
                continue
            at = np.clip(y + dy, 0, h - 1) * w + np.clip(x + dx, 0, w - 1)
            variance = variances[at]
            hopeful = np.flatnonzero(variance < best)  # a plane that misses the pixel only gets worse
            at, variance = at[hopeful], variance[hopeful]
            across, down = at % w - x[hopeful], at // w - y[hopeful]
            predicted = values[at] - slope_u[at] * across - slope_v[at] * down
            variance += 1e6 * (np.abs(predicted - target[hopeful]) >= _OWN_PIXEL * sigma)
            better = np.flatnonzero(variance < best[hopeful])
            taken = hopeful[better]
            best[taken], choice[taken], value[taken] = variance[better], at[better], predicted[better]
    slope_u[pixel], slope_v[pixel] = slope_u[choice], slope_v[choice]
    # Pixels that no window explains keep their own measurement.
    values[pixel], variances[pixel] = np.where(best < 1e5, value, target), best
    return fits


def _normals(fits: _Fits, grid: Grid) -> FloatArray:
    """(h, w, 3) unit normals towards the camera: n . ray is proportional to inverse depth."""
    normals = np.empty((*fits.value.shape, 3))
    normals[..., 0] = fits.slope_u * -grid.fx
    normals[..., 1] = fits.slope_v * -grid.fy
    normals[..., 2] = fits.slope_u * grid.columns + fits.slope_v * grid.rows - fits.value
    length = np.sqrt(normals[..., 0] ** 2 + normals[..., 1] ** 2 + normals[..., 2] ** 2)
    normals *= (1 / np.maximum(length, 1e-12))[..., None]
    return normals
