"""Solids are mostly convex: faces that meet convexly are one object's, faces that meet in a hollow are two objects'.

The local test is that of locally convex connected patches (Stein et al., CVPR 2014); the global one asks that the
union's points stay behind its faces.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from n3d_ros.inference.geometric.adjacency import Meetings
from n3d_ros.inference.geometric.config import GeometricConfig
from n3d_ros.inference.geometric.grouping import Grouping

_MIN_TOUCHING_PX = 4
_CLEAR_EDGE_DEG = 25.0  # faces at a clear edge may be parted by an overhang
_CLEAR_CONVEXITY = 0.3
_CLEAR_DENT = 0.1


def join_convex(grouping: Grouping, met: Meetings, config: GeometricConfig) -> None:
    """Joins patches that meet convexly, longest contact first, as long as the union stays convex.

    Args:
        grouping: changed in place.
        met: how patches meet.
        config: how much may be missing.
    """
    share = met.touching / np.maximum(met.length, 1)
    convex = (met.convexity > 0) | (met.angle_deg < config.flat_deg)
    joined = (share >= config.contact_share) & (met.touching >= _MIN_TOUCHING_PX) & convex
    joined |= _overhanging_edges(grouping, met, config)
    order = np.argsort(-met.touching * share - 0.1 * met.near, kind="stable")
    for k in order[joined[order]]:
        a, b = int(grouping.region[met.first[k]]), int(grouping.region[met.second[k]])
        if a != b and grouping.dent_share(a, b) <= config.max_dent_share:
            grouping.join(a, b)


def _overhanging_edges(grouping: Grouping, met: Meetings, config: GeometricConfig) -> NDArray[np.bool_]:
    """(n,) pairs at a clear convex edge, with a step no larger than a lid's or a rim's."""
    before = grouping.relations.clearly_before
    a, b = met.first - 1, met.second - 1
    dent = np.maximum(before[a, b], before[b, a])
    return (
        (met.near >= config.contact_share * met.length)
        & (met.near >= 2 * _MIN_TOUCHING_PX)
        & (met.near_convexity > _CLEAR_CONVEXITY)
        & (met.near_angle_deg > _CLEAR_EDGE_DEG)
        & (dent < _CLEAR_DENT)
    )
