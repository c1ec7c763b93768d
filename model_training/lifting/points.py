"""From a mask and a depth image to the object's own points: gaps in depth cut what a mask swallowed besides it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from model_training.data.pictures import THINNEST_M
from model_training.lifting.config import PointConfig
from n3d_ros.geometry.arrays import BoolArray, Float32Array, FloatArray
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.camera import CameraIntrinsics

NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))  # rows down, columns right: each pair of touching pixels once


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OwnPoints:
    """What of a mask is the object's own.

    Args:
        pixels: (H, W) bool: the mask's pixels that have the object's depth, those filled from beside it included.
        points: (N, 3) float64 metres, camera optical frame, one per such pixel, with the noise taken out of depth.
        mask_pixels: of the mask.
        measured: pixels of the mask that have depth.
        own: measured pixels that are the object's.
        median_m: of the object's depth.
    """

    pixels: BoolArray
    points: FloatArray
    mask_pixels: int
    measured: int
    own: int
    median_m: float

    @property
    def depth_share(self) -> float:
        """Share of the mask that has depth, 0 to 1."""
        return self.measured / max(self.mask_pixels, 1)

    @property
    def own_share(self) -> float:
        """Share of the measured pixels that are the object's, 0 to 1."""
        return self.own / max(self.measured, 1)


def own_points(
    depth_m: Float32Array, mask: BoolArray, intrinsics: CameraIntrinsics, config: PointConfig
) -> OwnPoints | None:
    """The object's own points.

    Args:
        depth_m: (H, W) float32 z-depth, metres, NaN for none.
        mask: (H, W) bool: pixels that are said to show the object.
        intrinsics: of both.
        config: thresholds.

    Returns:
        Points; None where the mask has no pixel with depth.
    """
    measured = mask & np.isfinite(depth_m)
    if not measured.any():
        return None
    rows, columns = _window(mask, margin=max(config.smooth_px // 2, 1))
    depth, masked, known = depth_m[rows, columns], mask[rows, columns], measured[rows, columns]
    labels, count = _parts(depth, known, intrinsics, config)
    own = np.isin(labels, _chosen_parts(depth, labels, count, intrinsics, config))
    filled, smooth = _filled(depth, own, masked, config)
    filled = _without_loose_border(smooth, filled, masked, intrinsics, config)
    v, u = np.nonzero(filled)
    z = smooth[v, u].astype(np.float64)
    x = (u + columns.start - intrinsics.cx) / intrinsics.fx * z
    y = (v + rows.start - intrinsics.cy) / intrinsics.fy * z
    pixels = np.zeros(mask.shape, dtype=bool)
    pixels[rows, columns] = filled
    return OwnPoints(
        pixels=pixels,
        points=np.stack([x, y, z], axis=1),
        mask_pixels=int(mask.sum()),
        measured=int(known.sum()),
        own=int(own.sum()),
        median_m=float(np.median(depth[own])),
    )


def seen_box(points: FloatArray, config: PointConfig) -> Box3D:
    """The box along the camera's axes around points, a few outermost ones left out.

    Args:
        points: (N, 3) metres, one or more.
        config: how many are left out on either side.

    Returns:
        The box, at least ``THINNEST_M`` thick.
    """
    across, along = config.trim_across_share, config.trim_share
    low = np.array([*np.quantile(points[:, :2], across, axis=0), np.quantile(points[:, 2], along)])
    high = np.array([*np.quantile(points[:, :2], 1 - across, axis=0), np.quantile(points[:, 2], 1 - along)])
    return Box3D.axis_aligned((low + high) / 2, np.maximum(high - low, THINNEST_M))


def _window(mask: BoolArray, margin: int) -> tuple[slice, slice]:
    """Rows and columns around a mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    height, width = mask.shape
    return (
        slice(max(int(rows[0]) - margin, 0), min(int(rows[-1]) + 1 + margin, height)),
        slice(max(int(columns[0]) - margin, 0), min(int(columns[-1]) + 1 + margin, width)),
    )


def _parts(
    depth: Float32Array, known: BoolArray, intrinsics: CameraIntrinsics, config: PointConfig
) -> tuple[NDArray[np.int32], int]:
    """(H, W) number of the connected part from 0 on, -1 outside; and how many there are."""
    height, width = depth.shape
    index = np.full(depth.shape, -1, dtype=np.int32)
    index[known] = np.arange(int(known.sum()), dtype=np.int32)
    # What one pixel across adds on the steepest surface grows with distance.
    slope = config.steepest / min(intrinsics.fx, intrinsics.fy)
    first: list[NDArray[np.int32]] = []
    second: list[NDArray[np.int32]] = []
    for down, right in NEIGHBOURS:
        here = (slice(0, height - down), slice(max(-right, 0), width - max(right, 0)))
        there = (slice(down, height), slice(max(right, 0), width + min(right, 0)))
        with np.errstate(invalid="ignore"):
            near = np.abs(depth[here] - depth[there]) <= config.jump_m + slope * np.minimum(depth[here], depth[there])
        joined = near & known[here] & known[there]
        first.append(index[here][joined])
        second.append(index[there][joined])
    rows, columns = np.concatenate(first), np.concatenate(second)
    total = int(known.sum())
    graph = coo_matrix((np.ones(len(rows), dtype=np.int8), (rows, columns)), shape=(total, total))
    count, parts = connected_components(graph, directed=False)
    labels = np.full(depth.shape, -1, dtype=np.int32)
    labels[known] = parts
    return labels, int(count)


def _chosen_parts(
    depth: Float32Array, labels: NDArray[np.int32], count: int, intrinsics: CameraIntrinsics, config: PointConfig
) -> NDArray[np.intp]:
    """Numbers of the main part and of those that belong to it."""
    sizes = np.bincount(labels[labels >= 0], minlength=count)
    large = np.flatnonzero(sizes >= min(config.min_part_share * sizes.sum(), config.min_part_px))
    if not len(large):
        large = np.array([int(sizes.argmax())])
    # Sorted once: a mask on noise has thousands of parts, and looking for each among all pixels would take hours.
    known = labels >= 0
    grouped, ends = depth[known][np.argsort(labels[known], kind="stable")], np.cumsum(sizes)
    ranges = np.array(
        [np.quantile(grouped[ends[part] - sizes[part] : ends[part]], (0.05, 0.5, 0.95)) for part in large]
    )
    candidates = np.flatnonzero(sizes[large] >= config.nearer_share * sizes[large].max())
    main = int(candidates[ranges[candidates, 1].argmin()])
    v, u = np.nonzero(labels == large[main])
    across = ranges[main, 1] * max(np.ptp(u) / intrinsics.fx, np.ptp(v) / intrinsics.fy)
    gap = np.maximum(ranges[:, 0] - ranges[main, 2], ranges[main, 0] - ranges[:, 2])
    return np.asarray(large[gap <= config.reach_share * across], dtype=np.intp)


def _filled(
    depth: Float32Array, own: BoolArray, masked: BoolArray, config: PointConfig
) -> tuple[BoolArray, Float32Array]:
    """Pixels with the object's depth, those beside them included, and that depth without its noise."""
    distance, nearest = ndimage.distance_transform_edt(~own, return_indices=True)
    extended = np.ascontiguousarray(depth[nearest[0], nearest[1]], dtype=np.float32)
    smooth = cv2.medianBlur(extended, config.smooth_px) if config.smooth_px > 1 else extended
    filled: BoolArray = own | (masked & (distance <= config.fill_px))
    return filled, np.asarray(smooth, np.float32)


def _without_loose_border(
    smooth: Float32Array, pixels: BoolArray, masked: BoolArray, intrinsics: CameraIntrinsics, config: PointConfig
) -> BoolArray:
    """The pixels without those beside the mask's outline whose depth lies beyond what its inside shows.

    A thin part that reaches far towards the camera or away from it, such as a spout, is lost with them. Keeping it
    where a gap in depth lies behind it was tried: with exact masks the median IoU of generated scenes rose by 0.004,
    with masks grown by two pixels it fell by 0.06, and masks of people and segmenters are of the second kind.
    """
    if not config.border_px:
        return pixels
    # The image's border is no outline: what it cuts goes on behind it.
    padded = np.pad(masked, config.border_px + 1, mode="edge")
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * config.border_px + 1,) * 2)
    eroded = cv2.erode(padded.astype(np.uint8), kernel)[config.border_px + 1 :, config.border_px + 1 :]
    inner = pixels & (eroded[: pixels.shape[0], : pixels.shape[1]] > 0)
    if not inner.any() or inner.sum() < config.min_inner_share * pixels.sum():
        return pixels
    low, high = np.quantile(smooth[inner], (config.trim_share, 1 - config.trim_share))
    slope = config.border_slope * config.border_px / min(intrinsics.fx, intrinsics.fy)
    kept: BoolArray = pixels & (smooth >= low * (1 - slope)) & (smooth <= high * (1 + slope))
    return kept
