"""Surfaces as triangles and as points, and how near two of them lie: accuracy, completeness, F1."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from n3d_ros.errors import InputError
from n3d_ros.geometry.arrays import FloatArray

MAX_CELLS = 2**62  # of the grid of voxel_downsample, so that cells keep distinct numbers


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surface:
    """A triangle mesh.

    Args:
        vertices: (V, 3) float64 metres.
        triangles: (T, 3) int64, rows of vertices.
    """

    vertices: FloatArray
    triangles: NDArray[np.int64]

    @property
    def is_empty(self) -> bool:
        """Whether there is no triangle."""
        return len(self.triangles) == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SurfaceScore:
    """How near a predicted surface is to the true one.

    Args:
        accuracy_m: mean distance of predicted points from the true ones; NaN when there are no predicted points.
        completeness_m: mean distance of true points from the predicted ones; NaN likewise.
        precision: share of the predicted points nearer than the threshold to a true one.
        recall: share of the true points nearer than the threshold to a predicted one.
        threshold_m: that threshold.
    """

    accuracy_m: float
    completeness_m: float
    precision: float
    recall: float
    threshold_m: float

    @property
    def overall_m(self) -> float:
        """Mean of accuracy and completeness, metres (the chamfer distance of the benchmark)."""
        return (self.accuracy_m + self.completeness_m) / 2

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, 0 to 1."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total > 0 else 0.0

    @classmethod
    def nothing(cls, threshold_m: float) -> SurfaceScore:
        """The score of no surface at all.

        Args:
            threshold_m: of the comparison that could not be made.

        Returns:
            Nothing right, distances unknown.
        """
        return cls(accuracy_m=math.nan, completeness_m=math.nan, precision=0.0, recall=0.0, threshold_m=threshold_m)


def sample_points(surface: Surface, count: int, seed: int) -> FloatArray:
    """Points spread evenly over a surface.

    Args:
        surface: triangles with an area.
        count: how many.
        seed: the same seed gives the same points.

    Returns:
        (count, 3) float64 metres; (0, 3) for a surface without area.
    """
    corners = surface.vertices[surface.triangles]
    sides = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    areas = np.linalg.norm(np.cross(*sides), axis=1) / 2
    edges = np.cumsum(areas)
    if not len(edges) or not edges[-1] > 0:
        return np.empty((0, 3))
    random = np.random.default_rng(seed)
    chosen = np.searchsorted(edges, random.uniform(0, edges[-1], count), side="right").clip(max=len(edges) - 1)
    # Osada et al., Shape Distributions (2002), eq. 1: the square root makes the density even.
    along, across = np.sqrt(random.uniform(size=(count, 1))), random.uniform(size=(count, 1))
    a, b, c = corners[chosen].transpose(1, 0, 2)
    points: FloatArray = (1 - along) * a + along * (1 - across) * b + along * across * c
    return points


def voxel_downsample(points: ArrayLike, voxel_m: float) -> FloatArray:
    """One point per occupied cube of a grid: the mean of the points in it.

    Args:
        points: (N, 3) finite, metres.
        voxel_m: edge of the cubes.

    Returns:
        (M, 3) float64, in the order of the cubes.

    Raises:
        InputError: so large an extent that cubes cannot be numbered.
    """
    xyz = np.asarray(points, dtype=np.float64).reshape(-1, 3)
    if not len(xyz):
        return xyz
    cells = np.floor((xyz - xyz.min(axis=0)) / voxel_m + 0.5)
    shape = cells.max(axis=0) + 1
    if not np.prod(shape) < MAX_CELLS:
        extent = np.ptp(xyz, axis=0)
        raise InputError(f"Down-sampling: {extent.max():.3g} m cannot be divided into cubes of {voxel_m:g} m.")
    numbers = (cells @ np.array([shape[1] * shape[2], shape[2], 1])).astype(np.int64)
    _, cell, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    sums = np.stack([np.bincount(cell.ravel(), weights=xyz[:, axis]) for axis in range(3)], axis=1)
    means: FloatArray = sums / counts[:, None]
    return means


def inside_box_of(points: FloatArray, others: FloatArray, margin_m: float) -> FloatArray:
    """The points that lie in the axis-aligned box around others, grown by a margin.

    Args:
        points: (N, 3) metres.
        others: (M, 3) metres, one or more.
        margin_m: on each side.

    Returns:
        (K, 3) of the points.
    """
    low, high = others.min(axis=0) - margin_m, others.max(axis=0) + margin_m
    inside: FloatArray = points[((points >= low) & (points <= high)).all(axis=1)]
    return inside


def compare_points(predicted: ArrayLike, true: ArrayLike, *, threshold_m: float) -> SurfaceScore:
    """How near two sets of points lie.

    Args:
        predicted: (N, 3) metres, in the frame of the true ones; may be empty.
        true: (M, 3) metres.
        threshold_m: a distance below it counts as right.

    Returns:
        The score.

    Raises:
        InputError: no true points.
    """
    p, t = (np.asarray(points, dtype=np.float64).reshape(-1, 3) for points in (predicted, true))
    if not len(t):
        raise InputError("Surfaces: expected true points to compare with, got none; is there any true depth?")
    if not len(p):
        return SurfaceScore.nothing(threshold_m)
    to_true, to_predicted = distances_to(p, t), distances_to(t, p)
    return SurfaceScore(
        accuracy_m=float(to_true.mean()),
        completeness_m=float(to_predicted.mean()),
        precision=float((to_true < threshold_m).mean()),
        recall=float((to_predicted < threshold_m).mean()),
        threshold_m=threshold_m,
    )


def distances_to(points: FloatArray, others: FloatArray) -> FloatArray:
    """Distance of each point from the nearest of the others.

    Args:
        points: (N, 3) metres.
        others: (M, 3) metres, one or more.

    Returns:
        (N,) float64 metres.
    """
    # SciPy's default tree, whose nodes are shrunk to their points, takes minutes for points far from flat walls.
    distances, _ = cKDTree(others, balanced_tree=False, compact_nodes=False).query(points)
    return np.asarray(distances, dtype=np.float64)
