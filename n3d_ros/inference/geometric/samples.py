"""A few points of every patch against those of every other: who stands before whom, who continues whom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from n3d_ros.inference.geometric.config import GeometricConfig
from n3d_ros.inference.geometric.grid import Grid
from n3d_ros.inference.geometric.local_planes import LocalPlanes
from n3d_ros.inference.geometric.plane_fit import patch_normals

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
PER_PATCH = 24  # samples of a patch; enough for shares in steps of 4 %
_MOST_SAMPLES = 1600  # in all: the comparison is quadratic
_NOISE_SIGMAS = 3.0
_SAME_PLANE_M = 0.004  # tangent planes of one surface miss each other's points by less, besides noise
_SAME_PLANE_SLOPE = 0.04  # and by this much per metre of distance: normals are off by 2 degrees
_SAME_NORMAL_DEG = 20.0
_FLAT_SIGMAS = 1.5  # a patch that scatters less about one plane has that plane's normal everywhere


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SampleRelations:
    """Relations between n patches; row and column k belong to label k + 1.

    Args:
        sizes: (n,) pixels of each patch.
        ordered: all labelled pixels' flat indices, patch by patch.
        starts: (n,) where each patch begins in ``ordered``.
        is_flat: (n,) patches that are plane.
        pixels: (n, m) flat indices of each patch's samples.
        before: (n, n) share of sample pairs in which the column's point stands before the row's tangent plane.
        clearly_before: (n, n) the same, allowing for tangent planes that are tilted by noise.
        continues: (n, m, n, m) whether two samples lie in each other's tangent plane with like normals.
    """

    sizes: IntArray
    ordered: IntArray
    starts: IntArray
    is_flat: NDArray[np.bool_]
    pixels: IntArray
    before: FloatArray
    clearly_before: FloatArray
    continues: NDArray[np.bool_]

    def continuation(self) -> FloatArray:
        """(n, n) share of the row's samples that some sample of the column continues."""
        share: FloatArray = self.continues.any(axis=3).mean(axis=1)
        return share


def sample_relations(
    labels: NDArray[np.int32], planes: LocalPlanes, grid: Grid, config: GeometricConfig
) -> SampleRelations:
    """Compares evenly chosen samples of all patches.

    Args:
        labels: (h, w) patches 1 .. n, 0 = none.
        planes: of the frame.
        grid: the working grid.
        config: how hollow a convex thing may be.

    Returns:
        The relations.
    """
    flat = labels.ravel()
    order = np.argsort(flat, kind="stable")
    sizes = np.bincount(flat)
    starts = np.cumsum(sizes) - sizes
    count = len(sizes) - 1
    per_patch = int(np.clip(_MOST_SAMPLES // max(count, 1), 6, PER_PATCH))
    places = starts[1:, None] + ((np.arange(per_patch) + 0.5) / per_patch * sizes[1:, None]).astype(np.int64)
    pixels = order[places]
    at = pixels.ravel()
    # Relative to a middle point, so that single precision is enough.
    points = planes.points.reshape(-1, 3)[at]
    points32 = (points - points.mean(axis=0)).astype(np.float32) if len(at) else points.astype(np.float32)
    whole, is_flat = patch_normals(planes, grid, order[len(order) - sizes[1:].sum() :], sizes[1:], _FLAT_SIGMAS)
    local = planes.normals.reshape(-1, 3)[at]
    normals = np.where(np.repeat(is_flat, per_patch)[:, None], np.repeat(whole, per_patch, axis=0), local)
    normals = normals.astype(np.float32)
    height = normals @ points32.T - (normals * points32).sum(axis=1)[:, None]
    noise = (_NOISE_SIGMAS * planes.sigma * points[:, 2] ** 2).astype(np.float32)
    shape = (count, per_patch, count, per_patch)
    square = (points32 * points32).sum(axis=1)
    apart = np.sqrt(np.maximum(square[:, None] + square[None] - 2 * points32 @ points32.T, 0))
    # A plane known over a short stretch is uncertain far away, in proportion.
    stretch = np.sqrt(np.repeat(sizes[1:], per_patch)) / 2 * points[:, 2] / min(grid.fx, grid.fy)
    slope = _SAME_PLANE_SLOPE + planes.sigma * points[:, 2] ** 2 / np.maximum(stretch, 1e-6)
    tilt = apart * slope.astype(np.float32)[:, None]
    before = (height > config.dent_m + noise[None]).reshape(shape).mean(axis=(1, 3))
    clearly = (height > config.dent_m + noise[None] + tilt).reshape(shape).mean(axis=(1, 3))
    slack = _SAME_PLANE_M + np.maximum(noise[:, None], noise[None]) + tilt
    level = np.abs(height) < slack
    continues = level & level.T
    continues &= normals @ normals.T > np.cos(np.radians(_SAME_NORMAL_DEG))
    return SampleRelations(
        sizes=sizes[1:],
        ordered=order,
        starts=starts[1:],
        is_flat=is_flat,
        pixels=pixels,
        before=before,
        clearly_before=clearly,
        continues=continues.reshape(shape),
    )
