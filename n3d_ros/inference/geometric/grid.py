"""The working grid: a frame thinned to a size that can be afforded, as inverse depth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from n3d_ros.geometry.camera import CameraIntrinsics

FloatArray = NDArray[np.float64]
_SAME_SURFACE = 0.01  # relative: pixels of one block that lie farther behind its nearest belong to another surface
_SAME_SURFACE_PER_M = 0.005


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grid:
    """Where the working pixels lie.

    Args:
        stride: image pixels per working pixel, along both axes.
        offsets: positions inside a block whose depth is used.
        fx: focal length along x, working pixels.
        fy: focal length along y, working pixels.
        columns: (w,) image x of each column before the principal point is taken off: u - cx, working pixels.
        rows: (h, 1) the same for rows.
        rays: (h, w, 3) x, y, z = 1 of each working pixel's ray.
    """

    stride: int
    offsets: tuple[int, ...]
    fx: float
    fy: float
    columns: FloatArray
    rows: FloatArray
    rays: FloatArray

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rays.shape[0], self.rays.shape[1]


@lru_cache(maxsize=8)
def grid_of(intrinsics: CameraIntrinsics, max_pixels: int) -> Grid:
    """The working grid of a camera.

    Args:
        intrinsics: of the depth image.
        max_pixels: bound on the number of working pixels.

    Returns:
        The grid, kept for the next frame of the same camera.
    """
    stride = max(1, math.ceil(math.sqrt(intrinsics.width * intrinsics.height / max_pixels)))
    # Of large blocks four pixels are enough: sums over all would cost more than they tell.
    offsets = tuple(range(stride)) if stride <= 3 else (stride // 4, stride - 1 - stride // 4)
    middle = sum(offsets) / len(offsets)
    h, w = intrinsics.height // stride, intrinsics.width // stride
    fx, fy = intrinsics.fx / stride, intrinsics.fy / stride
    columns: FloatArray = np.arange(w, dtype=np.float64) - (intrinsics.cx - middle) / stride
    rows: FloatArray = (np.arange(h, dtype=np.float64) - (intrinsics.cy - middle) / stride)[:, None]
    rays = np.empty((h, w, 3))
    rays[..., 0], rays[..., 1], rays[..., 2] = columns / fx, rows / fy, 1.0
    return Grid(stride=stride, offsets=offsets, fx=fx, fy=fy, columns=columns, rows=rows, rays=rays)


def inverse_depth(
    depth_m: NDArray[np.float32], grid: Grid, *, nearest_m: float, farthest_m: float
) -> NDArray[np.float32]:
    """Inverse depth on the working grid.

    Args:
        depth_m: (H, W) metres, NaN where unknown.
        grid: the working grid of the same camera.
        nearest_m: nearer depth counts as none.
        farthest_m: farther depth counts as none.

    Returns:
        (h, w) float32 1/m, 0 where unknown: the mean over each block's nearest surface, so that outlines stay sharp.
    """
    h, w = grid.shape
    views = []
    for i in grid.offsets:
        for j in grid.offsets:
            z = depth_m[i : h * grid.stride : grid.stride, j : w * grid.stride : grid.stride]
            known = (z >= nearest_m) & (z <= farthest_m)
            with np.errstate(divide="ignore", invalid="ignore"):  # a division of all is faster than one of some
                views.append(np.where(known, np.float32(1) / z, np.float32(0)))
    if len(views) == 1:
        only: NDArray[np.float32] = views[0]
        return only
    nearest = np.maximum.reduce(views)
    limit = np.maximum(nearest * np.float32(1 - _SAME_SURFACE) - np.float32(_SAME_SURFACE_PER_M), np.float32(1e-6))
    total, count = np.zeros_like(nearest), np.zeros_like(nearest)
    for view in views:
        kept = view >= limit
        total += view * kept
        count += kept
    inverse: NDArray[np.float32] = total / np.maximum(count, 1)
    return inverse


def to_image(labels: NDArray[np.int32], grid: Grid, shape: tuple[int, int]) -> NDArray[np.int32]:
    """Labels of the working grid at the image's resolution.

    Args:
        labels: (h, w).
        grid: the working grid.
        shape: rows and columns of the image.

    Returns:
        (H, W) int32, the nearest working pixel's label.
    """
    rows = np.minimum(np.arange(shape[0]) // grid.stride, labels.shape[0] - 1)
    columns = np.minimum(np.arange(shape[1]) // grid.stride, labels.shape[1] - 1)
    return np.ascontiguousarray(labels[rows][:, columns])
