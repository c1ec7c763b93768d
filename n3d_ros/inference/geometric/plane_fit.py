"""Planes through many pixels: robust least squares in inverse depth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from n3d_ros.inference.geometric.grid import Grid
from n3d_ros.inference.geometric.local_planes import LocalPlanes

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
_MOST_PIXELS = 4000  # more do not steady a plane
_MIN_FLAT_PX = 16
_TRIM_SIGMAS = (6.0, 4.0, 3.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plane:
    """A plane in the camera optical frame: normal . p + offset is a point's height on the side of the camera.

    Args:
        normal: (3,) unit, towards the camera.
        offset_m: metres, above 0.
    """

    normal: FloatArray
    offset_m: float

    def height(self, points: FloatArray) -> FloatArray:
        """(...) metres above the plane for points (..., 3)."""
        above: FloatArray = points @ self.normal + self.offset_m
        return above


def fit_plane(planes: LocalPlanes, grid: Grid, pixels: IntArray) -> Plane | None:
    """The plane of most of the given pixels.

    Args:
        planes: of the frame.
        grid: the working grid.
        pixels: (n,) flat indices of pixels with depth.

    Returns:
        The plane; None when the pixels lie on a line or in a sight line.
    """
    if len(pixels) > _MOST_PIXELS:
        pixels = pixels[np.linspace(0, len(pixels) - 1, _MOST_PIXELS).astype(np.int64)]
    # Rows x, y, 1 of the rays and inverse depth: one product with itself gives all sums of the normal equations.
    known = np.empty((4, len(pixels)))
    known[:3], known[3] = grid.rays.reshape(-1, 3)[pixels].T, planes.inverse.ravel()[pixels]
    # Inverse depth is g . ray with g = -normal / offset: linear in what is sought.
    g = _solve(known @ known.T)
    for sigmas in _TRIM_SIGMAS:
        if g is None:
            return None
        # Lenses bend planes: allow half a percent beyond noise.
        kept = np.abs(g @ known[:3] - known[3]) < sigmas * planes.sigma + 0.005 * known[3]
        if np.count_nonzero(kept) < 3:
            return None
        g = _solve((known * kept) @ known.T)
    length = 0.0 if g is None else float(np.linalg.norm(g))
    if g is None or length < 1e-6:
        return None
    return Plane(normal=-g / length, offset_m=1.0 / length)


def patch_normals(
    planes: LocalPlanes, grid: Grid, pixels: IntArray, sizes: IntArray, max_scatter: float
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """One least-squares plane per patch, for all patches at once.

    Args:
        planes: of the frame.
        grid: the working grid.
        pixels: flat indices of all patches' pixels, patch by patch.
        sizes: (n,) pixels of each patch, at least 1 each.
        max_scatter: sigmas that a flat patch's pixels may scatter about its plane.

    Returns:
        (n, 3) unit normals towards the camera, and (n,) whether the patch is flat: its normal holds all over it.
    """
    if not len(sizes):
        return np.zeros((0, 3)), np.zeros(0, np.bool_)
    starts = np.cumsum(sizes) - sizes
    rays, inverse = grid.rays.reshape(-1, 3)[pixels], planes.inverse.ravel()[pixels]

    def total(values: FloatArray) -> FloatArray:
        summed: FloatArray = np.add.reduceat(values, starts)
        return summed

    x, y = rays[:, 0], rays[:, 1]
    xx, xy, yy, sx, sy = (total(v) for v in (x * x, x * y, y * y, x, y))
    system = np.stack([xx, xy, sx, xy, yy, sy, sx, sy, sizes.astype(np.float64)], axis=1).reshape(-1, 3, 3)
    right = np.stack([total(x * inverse), total(y * inverse), total(inverse)], axis=1)
    # A little of the identity keeps lines and single pixels solvable; they are not flat by the test below.
    system += 1e-9 * np.eye(3)
    g = np.linalg.solve(system, right[..., None])[..., 0]
    miss = np.einsum("nk,nk->n", rays, np.repeat(g, sizes, axis=0)) - inverse
    scatter = np.sqrt(total(miss * miss) / np.maximum(sizes - 3, 1))
    length = np.linalg.norm(g, axis=1)
    flat = (scatter < max_scatter * planes.sigma) & (sizes >= _MIN_FLAT_PX) & (length > 1e-6)
    return -g / np.maximum(length, 1e-12)[:, None], flat


def _solve(sums: FloatArray) -> FloatArray | None:
    """The plane from the (4, 4) sums of products of x, y, 1 and inverse depth; None for a line or sight line."""
    system = sums[:3, :3]
    if np.linalg.det(system) < 1e-12 * float(np.trace(system)) ** 3:
        return None
    return np.asarray(np.linalg.solve(system, sums[:3, 3]), dtype=np.float64)
