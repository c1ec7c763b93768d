"""A few points of every patch against those of every other: who stands before whom, who continues whom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from n3d_ros.inference.geometric.config import GeometricConfig
from n3d_ros.inference.geometric.grid import Grid
from n3d_ros.inference.geometric.local_planes import LocalPlanes
from n3d_ros.inference.geometric.patches import in_order
from n3d_ros.inference.geometric.plane_fit import patch_normals

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
PER_PATCH = 24  # samples of a patch; enough for shares in steps of 4 %
_MOST_SAMPLES = 1600  # in all: the comparison is quadratic
_NOISE_SIGMAS = 3.0
_SAME_PLANE_M = 0.004  # tangent planes of one surface miss each other's points by less, besides noise
_SAME_PLANE_SLOPE = 0.04  # and by this much per metre of distance: normals are off by 2 degrees
_SAME_NORMAL_DEG = 20.0
_BLOCK_ROWS = 96  # samples compared with all others at once: 0.6 MB a matrix
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
        # The relation is symmetric, and numpy is fast along the first axes.
        share: FloatArray = self.continues.any(axis=1).mean(axis=2).T
        return share


def _shares(chosen: NDArray[np.bool_], per_patch: int) -> FloatArray:
    """Share of chosen pairs per pair of patches, of (a * per_patch, b * per_patch) pairs of samples."""
    across = chosen.shape[1]
    down = np.add.reduce(chosen.view(np.uint8).reshape(-1, per_patch, across), axis=1, dtype=np.uint8)
    counts = np.add.reduce(down.reshape(len(down), -1, per_patch), axis=2, dtype=np.int64)
    shares: FloatArray = counts / per_patch**2
    return shares


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
    order = in_order(flat)
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
    noise = (_NOISE_SIGMAS * planes.sigma * points[:, 2] ** 2).astype(np.float32)
    shape = (count, per_patch, count, per_patch)
    square = (points32 * points32).sum(axis=1)
    one = np.ones_like(square)
    # With a column more, one product gives heights over tangent planes, with two more squared distances.
    tangents = np.column_stack([normals, -(normals * points32).sum(axis=1)])
    targets = np.stack([*points32.T, one])
    ends, others = np.column_stack([points32, square, one]), np.stack([*(-2 * points32.T), one, square])
    # A plane known over a short stretch is uncertain far away, in proportion.
    stretch = np.sqrt(np.repeat(sizes[1:], per_patch)) / 2 * points[:, 2] / min(grid.fx, grid.fy)
    slope = _SAME_PLANE_SLOPE + planes.sigma * points[:, 2] ** 2 / np.maximum(stretch, 1e-6)
    slope32 = slope.astype(np.float32)
    before, clearly = np.empty((count, count)), np.empty((count, count))
    level = np.empty((len(at), len(at)), np.bool_)
    dent, like = config.dent_m + noise, np.float32(np.cos(np.radians(_SAME_NORMAL_DEG)))
    step = max(1, _BLOCK_ROWS // per_patch)
    for first in range(0, count, step):  # a block of rows at a time: its matrices stay in the processor's cache
        patches = slice(first, min(first + step, count))
        rows = slice(patches.start * per_patch, patches.stop * per_patch)
        height, tilt = tangents[rows] @ targets, ends[rows] @ others
        np.sqrt(np.maximum(tilt, 0, out=tilt), out=tilt)
        tilt *= slope32[rows, None]
        before[patches] = _shares(height > dent, per_patch)
        clearly[patches] = _shares(height - tilt > dent, per_patch)
        tilt += np.maximum(noise[rows, None], noise)
        tilt += np.float32(_SAME_PLANE_M)
        level[rows] = np.abs(height, out=height) < tilt
        level[rows] &= normals[rows] @ normals.T > like
    continues = level & level.T
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
