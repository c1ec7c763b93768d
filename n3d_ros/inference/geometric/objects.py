"""Regions that are objects: large enough, carried by a surface or another object, not furniture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from n3d_ros.inference.geometric.config import GeometricConfig
from n3d_ros.inference.geometric.grouping import Grouping
from n3d_ros.inference.geometric.local_planes import LocalPlanes
from n3d_ros.inference.geometric.percentiles import percentile, percentiles
from n3d_ros.inference.geometric.surfaces import SurfaceMap

FloatArray = NDArray[np.float64]
_STANDS_M = 0.03  # seen points this near above a surface: the object stands on it
_UNDER_SHARE = 0.5
_CUT_SIDES = 3  # of the image: what reaches so many is what the camera looks at, not a thing in view
_EDGE_PX = 2  # working pixels without a full window
_SPANS = 0.85  # share of the way from a surface up to the next: what reaches so far is a leg, side or back of both


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ObjectSegment:
    """The seen part of one object.

    Args:
        label: its number in the label image, from 1.
        points: (N, 3) float64 metres, its working pixels in the camera optical frame.
        base_m: elevation (up . p) of what it stands on, metres; None when that is not known.
        support: index of the surface below it, -1 when none.
    """

    label: int
    points: FloatArray
    base_m: float | None
    support: int


def select_objects(
    grouping: Grouping,
    patches: NDArray[np.int32],
    planes: LocalPlanes,
    scene: SurfaceMap,
    config: GeometricConfig,
) -> tuple[tuple[ObjectSegment, ...], NDArray[np.int32]]:
    """Objects among the regions, largest first.

    Args:
        grouping: patches joined to regions.
        patches: (h, w) labels of the patches.
        planes: of the frame.
        scene: surfaces and heights above them.
        config: least and largest sizes.

    Returns:
        The objects, and their labels on the working grid, (h, w) int32.
    """
    labels = np.zeros(patches.shape, np.int32)
    flat_points = planes.points.reshape(-1, 3)
    objects: list[ObjectSegment] = []
    regions = sorted(grouping.regions(), key=lambda r: -grouping.size(r))
    for region in regions:
        pixels = grouping.pixels(region)
        if len(pixels) < config.min_object_px:
            break
        points = flat_points[pixels]
        if _sides_reached(pixels, patches.shape) >= _CUT_SIDES or not _is_object(points, pixels, scene, config):
            continue
        support = _support_of(scene, pixels)
        objects.append(
            ObjectSegment(label=len(objects) + 1, points=points, base_m=_base(points, scene, support), support=support)
        )
        labels.ravel()[pixels] = len(objects)
    return tuple(objects), labels


def _is_object(points: FloatArray, pixels: NDArray[np.int64], scene: SurfaceMap, config: GeometricConfig) -> bool:
    """Whether a region is high enough, no larger than an object, and no part of a table or shelf above it."""
    low, high = percentiles(np.ascontiguousarray(points.T), 2, 98)
    if np.linalg.norm(high - low) > config.max_object_m:
        return False
    if not scene.surfaces:
        return True
    height = scene.height.ravel()[pixels]
    top = percentile(height[~np.isnan(height)], 99)
    if top < config.min_object_height_m:
        return False
    below_top = scene.ceiling.ravel()[pixels]
    under = np.isfinite(below_top)
    return not (under.mean() > _UNDER_SHARE and top > _SPANS * (top + percentile(below_top[under], 2)))


def _sides_reached(pixels: NDArray[np.int64], shape: tuple[int, int]) -> int:
    """How many sides of the image a region reaches."""
    y, x = pixels // shape[1], pixels % shape[1]
    low, high_y, high_x = _EDGE_PX, shape[0] - 1 - _EDGE_PX, shape[1] - 1 - _EDGE_PX
    return sum((int(y.min() <= low), int(y.max() >= high_y), int(x.min() <= low), int(x.max() >= high_x)))


def _support_of(scene: SurfaceMap, pixels: NDArray[np.int64]) -> int:
    """Index of the surface under most of a region, -1 for none."""
    below = scene.support.ravel()[pixels]
    below = below[below >= 0]
    return int(np.bincount(below).argmax()) if below.size else -1


def _base(points: FloatArray, scene: SurfaceMap, support: int) -> float | None:
    """Elevation of the surface where an object stands on it, else None."""
    if support < 0:
        return None
    height = scene.surfaces[support].plane.height(points)
    if percentile(height, 1) > _STANDS_M:
        return None
    return float(np.median(points @ scene.up - height))
