"""Patches: connected pieces of smooth surface, cut at jumps and creases."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from n3d_ros.inference.geometric.config import GeometricConfig
from n3d_ros.inference.geometric.local_planes import LocalPlanes

BoolArray = NDArray[np.bool_]
LabelArray = NDArray[np.int32]
_CREASE_REACH = 2  # working pixels to each side over which the wide crease is looked for
_MIN_CORE_PX = 8  # smaller cores are noise; their pixels go to a neighbour
_MIN_REST_PX = 6
_GROW_STEPS = 5  # about the width that a crease band and a window's radius leave unassigned
_GROW_COST = 8.0  # sigmas (and angle, weighted) up to which a neighbour's plane explains a pixel
_ANGLE_WEIGHT = 15.0  # 1 - cos(angle) to sigmas: 45 degrees count as 4.4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Links:
    """Which neighbouring pixels lie on one smooth surface.

    Args:
        right: (h, w - 1) between a pixel and the one to its right.
        down: (h - 1, w) between a pixel and the one below.
        core: (h, w) pixels away from creases.
    """

    right: BoolArray
    down: BoolArray
    core: BoolArray


def smooth_links(planes: LocalPlanes, config: GeometricConfig) -> Links:
    """Links between pixels whose planes continue each other.

    Args:
        planes: of the frame.
        config: thresholds of jumps and creases.

    Returns:
        The links.
    """
    jump = config.jump_sigmas * planes.sigma
    bend = np.cos(np.radians(config.crease_deg))
    wide = np.cos(np.radians(config.wide_crease_deg))
    # Axis by axis in memory: sums over a last axis of three are slow.
    n, value = np.ascontiguousarray(np.moveaxis(planes.normals, 2, 0), dtype=np.float32), planes.value
    ahead, behind = value + planes.slope_u, value - planes.slope_u
    right = (np.abs(ahead[:, :-1] - value[:, 1:]) < jump) & (np.abs(behind[:, 1:] - value[:, :-1]) < jump)
    right &= _cosine(n[:, :, :-1], n[:, :, 1:]) > bend
    below, above = value + planes.slope_v, value - planes.slope_v
    down = (np.abs(below[:-1] - value[1:]) < jump) & (np.abs(above[1:] - value[:-1]) < jump)
    down &= _cosine(n[:, :-1], n[:, 1:]) > bend
    k = _CREASE_REACH
    core = np.ones(value.shape, dtype=np.bool_)
    core[:, k:-k] &= _cosine(n[:, :, : -2 * k], n[:, :, 2 * k :]) >= wide
    core[k:-k] &= _cosine(n[:, : -2 * k], n[:, 2 * k :]) >= wide
    return Links(right=right, down=down, core=core)


def _cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    product: NDArray[np.float32] = a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
    return product


def connected(links: Links, inside: BoolArray) -> LabelArray:
    """Pixels joined by links.

    Pixels and links are drawn into an image of twice the size, so that OpenCV's component labelling follows links.

    Args:
        links: of the frame.
        inside: (h, w) pixels that take part.

    Returns:
        (h, w) int32, 0 outside, otherwise a number per component.
    """
    h, w = inside.shape
    drawn = np.zeros((2 * h - 1, 2 * w - 1), np.uint8)
    drawn[::2, ::2] = inside
    drawn[::2, 1::2] = links.right & inside[:, 1:] & inside[:, :-1]
    drawn[1::2, ::2] = links.down & inside[1:] & inside[:-1]
    _, labels = cv2.connectedComponents(drawn, connectivity=4, ltype=cv2.CV_32S)
    return np.ascontiguousarray(labels[::2, ::2], dtype=np.int32)


def in_order(labels: LabelArray) -> NDArray[np.int64]:
    """Indices of labels by rising label, equal ones in their order.

    Args:
        labels: (n,) not negative.

    Returns:
        (n,) int64.
    """
    small = labels.size > 0 and labels.max() < 2**16  # 16 bits are sorted by radix, ten times as fast
    order: NDArray[np.int64] = np.argsort(labels.astype(np.uint16) if small else labels, kind="stable")
    return order


def find_patches(planes: LocalPlanes, links: Links, inside: BoolArray) -> LabelArray:
    """Smooth pieces of what lies inside.

    Args:
        planes: of the frame.
        links: of the frame.
        inside: (h, w) pixels to cut up.

    Returns:
        (h, w) int32: 0 outside and for specks, otherwise 1 .. n without gaps.
    """
    labels = connected(links, inside & links.core)
    small = np.bincount(labels.ravel()) < _MIN_CORE_PX
    small[0] = False
    labels[small[labels]] = 0
    _grow(labels, planes, inside)
    rest = connected(links, inside & (labels == 0))
    counts = np.bincount(rest.ravel())
    counts[0] = 0
    kept = (counts >= _MIN_REST_PX)[rest]
    labels = np.where(kept, rest + labels.max(), labels)
    return renumbered(labels)


def renumbered(labels: NDArray[np.integer]) -> LabelArray:
    """The same labels as 0 .. n without gaps, in the same order.

    Args:
        labels: (h, w), 0 = none.

    Returns:
        (h, w) int32.
    """
    used = np.bincount(labels.ravel()) > 0
    used[0] = False
    number = np.cumsum(used).astype(np.int32)
    number[~used] = 0
    result: LabelArray = number[labels]
    return result


def _grow(labels: LabelArray, planes: LocalPlanes, inside: BoolArray) -> None:
    """Gives pixels near creases to the neighbouring patch whose plane explains them best. Changes ``labels``."""
    h, w = labels.shape
    normals = planes.normals.reshape(-1, 3)
    flat, value = labels.ravel(), planes.value.ravel()
    slope_u, slope_v, inverse = planes.slope_u.ravel(), planes.slope_v.ravel(), planes.inverse.ravel()
    for _ in range(_GROW_STEPS):
        at = np.flatnonzero((inside & (labels == 0)).ravel())
        if not at.size:
            return
        y, x = at // w, at % w
        best = np.full(at.size, np.inf)
        winner = np.zeros(at.size, np.int32)
        for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
            other = np.clip(y + dy, 0, h - 1) * w + np.clip(x + dx, 0, w - 1)
            near = np.flatnonzero(flat[other] > 0)
            source, sink = other[near], at[near]
            miss = np.abs(value[source] - slope_u[source] * dx - slope_v[source] * dy - inverse[sink]) / planes.sigma
            cost = miss + _ANGLE_WEIGHT * (1 - np.einsum("nk,nk->n", normals[sink], normals[source]))
            better = cost < best[near]
            best[near[better]] = cost[better]
            winner[near[better]] = flat[source[better]]
        good = best < _GROW_COST
        if not good.any():
            return
        flat[at[good]] = winner[good]
