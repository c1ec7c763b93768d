"""Bowls, mugs, pots: an inside seen over its rim belongs to the outside in front of it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from n3d_ros.inference.geometric.adjacency import Meetings
from n3d_ros.inference.geometric.config import GeometricConfig
from n3d_ros.inference.geometric.grouping import Grouping
from n3d_ros.inference.geometric.percentiles import percentile
from n3d_ros.inference.geometric.scene_axes import ground_axes

FloatArray = NDArray[np.float64]
_MIN_BOUNDARY_PX = 6
_ROUNDS = 3  # an outside in several pieces joins one per round
_TOP_PERCENT = 98.0
_RIM_SAMPLES = 40
_ON_HULL_M = 0.012  # rim points lie this near to the rims' common outline
_ON_HULL_SHARE = 0.6  # handles at the rim widen the outline


def join_containers(
    grouping: Grouping, met: Meetings, points: FloatArray, up: FloatArray, config: GeometricConfig
) -> None:
    """Joins hollow regions with the outside whose rim they share.

    A rim is one closed convex curve: inside and outside reach equally high, and seen from above both ends lie on the
    outline of their union. A solid of the same height behind another has its top face inside that outline.

    Args:
        grouping: changed in place.
        met: how patches meet.
        points: (h, w, 3) metres.
        up: (3,) unit vector.
        config: rim step and band, hollowness.
    """
    flat = points.reshape(-1, 3)
    axes = ground_axes(up)
    for _ in range(_ROUNDS):
        rims: dict[int, tuple[float, FloatArray]] = {}
        changed = False
        for outside, inside in _candidates(grouping, met, config):
            if grouping.region[outside] != outside or grouping.region[inside] != inside:
                continue  # joined earlier in this round: its rim is another one now
            for region in (outside, inside):
                if region not in rims:
                    rims[region] = _rim(flat[grouping.pixels(region)], up, axes, config)
            (top_a, rim_a), (top_b, rim_b) = rims[outside], rims[inside]
            if abs(top_a - top_b) <= config.rim_step_m and _share_outline(rim_a, rim_b):
                grouping.join(outside, inside)
                rims.pop(outside)
                changed = True
        if not changed:
            return


def _candidates(grouping: Grouping, met: Meetings, config: GeometricConfig) -> list[tuple[int, int]]:
    """(outside, inside) pairs of neighbouring regions, longest boundary first."""
    length: dict[tuple[int, int], int] = {}
    for a, b, n in zip(grouping.region[met.first], grouping.region[met.second], met.length, strict=True):
        if a != b:
            key = (int(min(a, b)), int(max(a, b)))
            length[key] = length.get(key, 0) + int(n)
    long = [pair for pair, n in sorted(length.items(), key=lambda item: -item[1]) if n >= _MIN_BOUNDARY_PX]
    hollow = {region: grouping.hollowness(region) for region in {region for pair in long for region in pair}}
    pairs = []
    for a, b in long:
        outside, inside = (a, b) if hollow[a] <= hollow[b] else (b, a)
        if hollow[inside] >= config.hollow_share:
            pairs.append((outside, inside))
    return pairs


def _rim(points: FloatArray, up: FloatArray, axes: FloatArray, config: GeometricConfig) -> tuple[float, FloatArray]:
    """Elevation of a region's top, and (k, 2) horizontal positions of points in the band below it."""
    elevation = points @ up
    top = percentile(elevation, _TOP_PERCENT)
    band = points[elevation > top - config.rim_band_m]
    if len(band) > _RIM_SAMPLES:
        band = band[np.linspace(0, len(band) - 1, _RIM_SAMPLES).astype(int)]
    return top, band @ axes.T


def _share_outline(rim_a: FloatArray, rim_b: FloatArray) -> bool:
    """Whether both rims lie on the outline of their union."""
    hull = cv2.convexHull(np.concatenate([rim_a, rim_b]).astype(np.float32)).astype(np.float32)
    return min(_near_hull(rim_a, hull), _near_hull(rim_b, hull)) >= _ON_HULL_SHARE


def _near_hull(rim: FloatArray, hull: NDArray[np.float32]) -> float:
    near = [abs(cv2.pointPolygonTest(hull, (float(x), float(y)), measureDist=True)) < _ON_HULL_M for x, y in rim]
    return float(np.mean(near))
