"""Parts of one object on both sides of something that stands before it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from n3d_ros.inference.geometric.config import GeometricConfig
from n3d_ros.inference.geometric.grouping import Grouping
from n3d_ros.inference.geometric.local_planes import LocalPlanes

FloatArray = NDArray[np.float64]
_MIN_PATCH_PX = 12
_SIGHT_LINES = 40  # at most so many lines between two patches are looked along
_STEPS = (np.arange(14) + 1) / 15  # places along each line
_GAP_SLACK = 0.006  # relative: lines this near to what is measured are on the surface
_SEEN_THROUGH = 0.2  # share of lines along which the space between is seen empty, at most
_OPEN_SURFACE = 0.15  # share of a line that another visible surface at the same depth may take
_BLOCKED = 0.5  # share of lines that something nearer or unmeasured covers, at least
_MAX_DENT = 0.3


def join_behind_occluders(
    grouping: Grouping, labels: NDArray[np.int32], planes: LocalPlanes, config: GeometricConfig
) -> None:
    """Joins patches that continue each other where all that parts them is hidden.

    Two visible parts of a convex object are joined by straight lines inside it. Each such line must run behind
    something nearer (or through missing depth): where it passes through space seen empty, the parts are two objects.

    Args:
        grouping: changed in place.
        labels: (h, w) patches.
        planes: of the frame.
        config: how much of both faces must continue.
    """
    share = grouping.relations.continuation()
    common = np.minimum(share, share.T)
    pairs = np.argwhere(np.triu(common > config.continuation_share, 1)) + 1
    sizes = grouping.relations.sizes
    smaller = np.minimum(sizes[pairs[:, 0] - 1], sizes[pairs[:, 1] - 1]) if len(pairs) else np.zeros(0)
    for k in np.argsort(-smaller, kind="stable"):
        first, second = int(pairs[k, 0]), int(pairs[k, 1])
        a, b = int(grouping.region[first]), int(grouping.region[second])
        if a == b or smaller[k] < _MIN_PATCH_PX:
            continue
        # The cheaper question first.
        if grouping.dent_share(a, b) <= _MAX_DENT and _hidden_between(grouping, labels, planes, first, second):
            grouping.join(first, second)


def _hidden_between(
    grouping: Grouping, labels: NDArray[np.int32], planes: LocalPlanes, first: int, second: int
) -> bool:
    """Whether the lines between matching samples of two patches run behind something."""
    relations = grouping.relations
    i, j = np.nonzero(relations.continues[first - 1, :, second - 1])
    if len(i) > _SIGHT_LINES:
        chosen = np.linspace(0, len(i) - 1, _SIGHT_LINES).astype(int)
        i, j = i[chosen], j[chosen]
    p, q = relations.pixels[first - 1, i], relations.pixels[second - 1, j]
    w = labels.shape[1]

    def between(start: FloatArray, end: FloatArray) -> FloatArray:
        line: FloatArray = start[:, None] * (1 - _STEPS) + end[:, None] * _STEPS
        return line

    at = np.rint(between(p // w, q // w)).astype(int) * w + np.rint(between(p % w, q % w)).astype(int)
    # Along a straight line in space, inverse depth is linear in the image.
    expected = between(planes.value.ravel()[p], planes.value.ravel()[q])
    seen = planes.inverse.ravel()[at]
    region = grouping.region[labels.ravel()[at]]
    own = (region == grouping.region[first]) | (region == grouping.region[second])
    slack = 4 * planes.sigma + _GAP_SLACK * expected
    missing = seen == 0
    nearer = ~own & ~missing & (seen > expected + slack)
    farther = ~own & ~missing & (seen < expected - slack)
    level = ~own & ~missing & ~nearer & ~farther
    open_lines = farther.any(axis=1) | (level.mean(axis=1) > _OPEN_SURFACE)
    return bool(open_lines.mean() < _SEEN_THROUGH and (nearer | missing).any(axis=1).mean() > _BLOCKED)
