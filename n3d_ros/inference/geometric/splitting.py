"""Tops of equal height that touch: one flat patch over several objects, told apart by the sides below it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from n3d_ros.inference.geometric.adjacency import Meetings
from n3d_ros.inference.geometric.config import GeometricConfig
from n3d_ros.inference.geometric.local_planes import LocalPlanes
from n3d_ros.inference.geometric.samples import SampleRelations
from n3d_ros.inference.geometric.scene_axes import ground_axes

FloatArray = NDArray[np.float64]
_MIN_SIDE_PX = 40
_MIN_EDGE_PX = 6
_TOP_COSINE = 0.9
_SIDE_COSINE = 0.5
_CONFLICT = 0.25  # share of one side that stands before the other: they enclose a hollow
_CELL_M = 0.005  # raster on which the nearest side is looked up
_MOST_CELLS = 600


def split_shared_tops(
    labels: NDArray[np.int32],
    relations: SampleRelations,
    met: Meetings,
    planes: LocalPlanes,
    up: FloatArray,
    config: GeometricConfig,
) -> dict[int, int]:
    """Cuts tops that two or more sides claim which cannot belong to one convex solid. Changes ``labels``.

    A side that meets the top convexly is a side of what lies under it. Where two such sides stand before each other,
    they are two objects', and each pixel of the top goes to the side that is nearer on the ground.

    Args:
        labels: (h, w) patches 1 .. n.
        relations: of the patches.
        met: how they meet.
        planes: of the frame.
        up: (3,) unit vector against gravity.
        config: what counts as touching.

    Returns:
        New label -> the label that it was cut from; pieces of one top must not be joined directly.
    """
    convex = (met.touching >= np.maximum(_MIN_EDGE_PX, config.contact_share * met.length)) & (met.convexity > 0)
    cut_from: dict[int, int] = {}
    following = int(labels.max()) + 1
    first_is_top = (met.first_up > _TOP_COSINE) & (np.abs(met.second_up) < _SIDE_COSINE)
    second_is_top = (met.second_up > _TOP_COSINE) & (np.abs(met.first_up) < _SIDE_COSINE)
    tops = np.where(first_is_top, met.first, np.where(second_is_top, met.second, 0))
    sides = np.where(first_is_top, met.second, met.first)
    usable = convex & (tops > 0) & (relations.sizes[sides - 1] >= _MIN_SIDE_PX)
    for top in np.unique(tops[usable]):
        claims = sides[usable & (tops == top)]
        groups = _groups(claims, relations)
        if len(groups) < 2:
            continue
        pixels = np.flatnonzero(labels.ravel() == top)
        owner = _nearest(pixels, groups, labels, planes, up)
        sizes = np.bincount(owner, minlength=len(groups))
        if np.sort(sizes)[-2] < _MIN_SIDE_PX:
            continue
        for group in range(1, len(groups)):
            labels.ravel()[pixels[owner == group]] = following
            cut_from[following] = int(top)
            following += 1
    return cut_from


def _groups(claims: NDArray[np.int64], relations: SampleRelations) -> list[list[int]]:
    """Sides that can belong to one solid, largest first: each joins the first group that it does not conflict with."""
    groups: list[list[int]] = []
    before = relations.clearly_before
    for side in sorted((int(s) for s in claims), key=lambda s: (-relations.sizes[s - 1], s)):
        for group in groups:
            if all(max(before[side - 1, g - 1], before[g - 1, side - 1]) < _CONFLICT for g in group):
                group.append(side)
                break
        else:
            groups.append([side])
    return groups


def _nearest(
    pixels: NDArray[np.int64],
    groups: list[list[int]],
    labels: NDArray[np.int32],
    planes: LocalPlanes,
    up: FloatArray,
) -> NDArray[np.int64]:
    """For every pixel the group of sides that is nearest on the ground."""
    points, axes = planes.points.reshape(-1, 3), ground_axes(up)
    ground = points[pixels] @ axes.T
    low = ground.min(axis=0) - 0.1
    size = np.clip(np.ceil((ground.max(axis=0) + 0.1 - low) / _CELL_M), 2, _MOST_CELLS).astype(int)
    cell = np.clip((ground - low) / _CELL_M, 0, size - 1).astype(int)
    distances = []
    for group in groups:
        side = points[np.isin(labels.ravel(), group)] @ axes.T
        place = np.floor((side - low) / _CELL_M).astype(int)
        inside = ((place >= 0) & (place < size)).all(axis=1)
        raster = np.ones((size[1], size[0]), np.uint8)
        raster[place[inside, 1], place[inside, 0]] = 0
        distances.append(cv2.distanceTransform(raster, cv2.DIST_L2, 5)[cell[:, 1], cell[:, 0]])
    nearest: NDArray[np.int64] = np.argmin(np.stack(distances), axis=0)
    return nearest
