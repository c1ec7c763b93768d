"""Slivers, handles, knobs and slivers: parts that nothing carries but the side of a larger part."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from n3d_ros.inference.geometric.adjacency import Meetings
from n3d_ros.inference.geometric.config import GeometricConfig
from n3d_ros.inference.geometric.grouping import Grouping
from n3d_ros.inference.geometric.percentiles import percentile

FloatArray = NDArray[np.float64]
_FLOATING_M = 0.03  # a part whose lowest seen points are higher does not stand on the surface
_LOW_PERCENT = 3.0
_MIN_CONTACT_PX = 3
_CARRIES = 0.7  # cosine: a face this upright carries what lies on it
_CARRIES_PX = 4
_ROUNDS = 2


def join_slivers(
    grouping: Grouping, met: Meetings, labels: NDArray[np.int32], height: FloatArray, config: GeometricConfig
) -> None:
    """Joins regions too narrow for a window, or hardly above the surface, to the neighbour they touch most.

    No plane was ever fitted inside them, so how they meet their neighbours says nothing: they are mixed pixels of
    outlines, or the seen edge of a face. What lies at an object's foot no higher than twice the surface's own
    unevenness is its rounded edge or the camera's smoothing of it.

    Args:
        grouping: changed in place.
        met: how patches meet.
        labels: (h, w) patches.
        height: (h, w) metres above the surface below, NaN where there is none.
        config: the windows' radius, the surface's unevenness.
    """
    regions = grouping.region[labels].astype(np.float32)
    edge = np.zeros(labels.shape, np.bool_)
    across, down = regions[:, 1:] != regions[:, :-1], regions[1:] != regions[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    depth = cv2.distanceTransform((~edge).astype(np.uint8), cv2.DIST_L2, 3).ravel()
    for region in sorted(grouping.regions(), key=grouping.size):
        pixels = grouping.pixels(region)
        is_wide = depth[pixels].max() >= config.window_radius_px
        if is_wide and not percentile(height.ravel()[pixels], 98) < 2 * config.min_height_m:
            continue
        rows = np.flatnonzero((grouping.region[met.first] == region) ^ (grouping.region[met.second] == region))
        if rows.size and met.near[rows].max() >= _MIN_CONTACT_PX:
            best = rows[int(np.argmax(met.near[rows]))]
            first, second = int(grouping.region[met.first[best]]), int(grouping.region[met.second[best]])
            grouping.join(second if first == region else first, region)


def join_attachments(grouping: Grouping, met: Meetings, height: FloatArray, config: GeometricConfig) -> None:
    """Joins small parts that neither stand on a surface nor lie on a face to the part they touch most.

    Args:
        grouping: changed in place.
        met: how patches meet.
        height: (h, w) metres above the surface below, NaN where there is none.
        config: how small a part must be.
    """
    flat = height.ravel()
    for _ in range(_ROUNDS):
        before = len(grouping.regions())
        for region in sorted(grouping.regions(), key=grouping.size):
            host = _host(grouping, met, region)
            if host is None or grouping.size(host) * config.attached_ratio < grouping.size(region):
                continue
            lowest = percentile(flat[grouping.pixels(region)], _LOW_PERCENT)
            if not lowest < _FLOATING_M:
                grouping.join(host, region)
        if len(grouping.regions()) == before:
            return


def _host(grouping: Grouping, met: Meetings, region: int) -> int | None:
    """The region that a part touches most; None when it touches none or lies on a face."""
    regions_a, regions_b = grouping.region[met.first], grouping.region[met.second]
    rows = np.flatnonzero((regions_a == region) ^ (regions_b == region))
    rows = rows[met.touching[rows] >= _MIN_CONTACT_PX]
    if not rows.size:
        return None
    is_first = regions_a[rows] == region
    uprightness = np.where(is_first, met.second_up[rows], met.first_up[rows])
    carried = (uprightness > _CARRIES) & (met.touching[rows] >= _CARRIES_PX) & (met.convexity[rows] < 0.1)
    if carried.any():
        return None
    best = int(np.argmax(met.touching[rows]))
    return int(regions_b[rows[best]] if is_first[best] else regions_a[rows[best]])
