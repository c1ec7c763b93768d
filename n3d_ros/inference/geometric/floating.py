"""Nothing floats: what is seen to hang over free space belongs to what stands below it.

A lamp's shade, the screen of a monitor: the stalk that carries them is too thin for the camera. Where the space right
below a part is seen empty, and nothing broad enough to carry the part ends there, the part joins the region that
stands under it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from n3d_ros.inference.geometric.config import GeometricConfig
from n3d_ros.inference.geometric.grid import Grid
from n3d_ros.inference.geometric.grouping import Grouping
from n3d_ros.inference.geometric.local_planes import LocalPlanes
from n3d_ros.inference.geometric.percentiles import percentile, percentiles
from n3d_ros.inference.geometric.scene_axes import ground_axes
from n3d_ros.inference.geometric.surfaces import SurfaceMap

FloatArray = NDArray[np.float64]
_FLOATING_M = 0.03  # a part whose lowest seen points are higher does not stand on the surface
_LOW_PERCENT, _HIGH_PERCENT = 3.0, 97.0
_BELOW_PX = 4  # so far below its lower edge, depth tells whether there is something; nearer lie mixed pixels
_OPEN_SHARE = 0.6  # share of the lower edge below which free space is seen
_SLACK = 0.02  # relative: depth that differs less is the same surface
_LEVEL_M = 0.02  # what ends so near to the part's lower end may carry it
_CARRIES_SHARE = 0.3  # of the part's width across the view; on less it would tip over
_UNDER_SHARE = 0.3  # of the smaller footprint that must be common
_LONGEST_GAP_M = 0.35  # stalks and stands of things that stand on tables
_HULL_POINTS = 200


@dataclass(slots=True, eq=False)
class _Part:
    """A region seen from the side and from above."""

    region: int
    low_m: float
    high_m: float
    hull: NDArray[np.float32]
    area_m2: float
    floats: bool


def join_floating(
    grouping: Grouping,
    labels: NDArray[np.int32],
    planes: LocalPlanes,
    grid: Grid,
    scene: SurfaceMap,
    config: GeometricConfig,
) -> None:
    """Joins parts over free space to what stands below them, the lowest part first.

    Args:
        grouping: changed in place.
        labels: (h, w) patches.
        planes: of the frame.
        grid: the working grid.
        scene: heights above the surfaces, and up.
        config: the least size of an object.
    """
    axes = ground_axes(scene.up)
    large = [region for region in grouping.regions() if grouping.size(region) >= config.min_object_px]
    if not any(_floats(grouping.pixels(region), scene) for region in large):
        return
    parts = [_part(grouping, region, planes, scene, axes) for region in large]
    for part in sorted((p for p in parts if p.floats), key=lambda p: (p.low_m, p.region)):
        below = [other for other in parts if other is not part and _lies_below(other, part)]
        if not below or any(_carries(other, part) for other in below):
            continue
        if _open_below(grouping, labels, planes, grid, scene.up, part.region) < _OPEN_SHARE:
            continue
        host = max(below, key=lambda other: (other.high_m, other.region))
        grouping.join(host.region, part.region)
        parts.remove(part)
        merged = _part(grouping, host.region, planes, scene, axes)
        parts[parts.index(host)] = merged


def _part(grouping: Grouping, region: int, planes: LocalPlanes, scene: SurfaceMap, axes: FloatArray) -> _Part:
    pixels = grouping.pixels(region)
    points = planes.points.reshape(-1, 3)[pixels]
    elevation = points @ scene.up
    low, high = percentiles(elevation, _LOW_PERCENT, _HIGH_PERCENT)
    thinned = points[:: max(1, len(points) // _HULL_POINTS)]
    hull = cv2.convexHull((thinned @ axes.T).astype(np.float32)).astype(np.float32)[:, 0]
    return _Part(
        region=region,
        low_m=float(low),
        high_m=float(high),
        hull=hull,
        area_m2=float(cv2.contourArea(hull)),
        floats=_floats(pixels, scene),
    )


def _floats(pixels: NDArray[np.int64], scene: SurfaceMap) -> bool:
    """Whether a region's lowest seen points are off the surface below; unknown heights count as off."""
    return not percentile(scene.height.ravel()[pixels], _LOW_PERCENT) < _FLOATING_M


def _lies_below(other: _Part, part: _Part) -> bool:
    """Whether a region stands under a part, seen from above, and ends not far below it."""
    if other.high_m > part.low_m + _LEVEL_M + 0.5 * (part.high_m - part.low_m):
        return False
    if part.low_m - other.high_m > _LONGEST_GAP_M:
        return False
    return _common_area(other, part) >= _UNDER_SHARE * min(other.area_m2, part.area_m2)


def _carries(other: _Part, part: _Part) -> bool:
    """Whether a region ends where a part begins, and is wide enough to carry it.

    Width is compared across the view: how far a body reaches backwards is hidden below what it carries.
    """
    if abs(other.high_m - part.low_m) > _LEVEL_M:
        return False
    (left, right), (other_left, other_right) = _span(part), _span(other)
    return min(right, other_right) - max(left, other_left) >= _CARRIES_SHARE * (right - left)


def _span(part: _Part) -> tuple[float, float]:
    across = part.hull[:, 0]  # the first ground axis is the camera's right
    return float(across.min()), float(across.max())


def _common_area(a: _Part, b: _Part) -> float:
    return float(cv2.intersectConvexConvex(a.hull, b.hull)[0]) if len(a.hull) > 2 and len(b.hull) > 2 else 0.0


def _open_below(
    grouping: Grouping, labels: NDArray[np.int32], planes: LocalPlanes, grid: Grid, up: FloatArray, region: int
) -> float:
    """Share of a region's lower edge right below which the camera sees something clearly farther away."""
    h, w = labels.shape
    pixels = grouping.pixels(region)
    depth = 1 / planes.inverse.ravel()[pixels]
    middle = planes.points.reshape(-1, 3)[pixels].mean(axis=0)
    # Derivative of the pixel of (middle - t up) with respect to t, but for the common factor 1 / z.
    x, y = middle[0] / middle[2], middle[1] / middle[2]
    down = np.array([grid.fx * (up[2] * x - up[0]), grid.fy * (up[2] * y - up[1])])
    length = float(np.linalg.norm(down))
    if length < 1e-6:  # looking straight along gravity: nothing is seen below anything
        return 0.0
    step = np.rint(down / length * _BELOW_PX).astype(int)
    rows, columns = pixels // w + step[1], pixels % w + step[0]
    inside = (rows >= 0) & (rows < h) & (columns >= 0) & (columns < w)
    at = np.where(inside, rows * w + columns, 0)
    leaves = ~inside | (grouping.region[labels.ravel()[at]] * (labels.ravel()[at] > 0) != region)
    if not leaves.any():
        return 0.0
    seen = planes.inverse.ravel()[at]
    farther = inside & (seen > 0) & (seen < 1 / (depth * (1 + _SLACK)) - 3 * planes.sigma)
    return float(farther[leaves].mean())
