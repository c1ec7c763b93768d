"""A picture that every machine draws alike: things on a table, for runtimes to be held against each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.camera import CameraIntrinsics

_PITCH_RAD = 0.6  # of the camera, down
_HEIGHT_M = 0.45  # of the camera above the table
_TABLE_RGB = (150, 120, 90)
_LIGHT = np.array([0.4, -0.5, 0.77])  # towards it; right, forward, up

# Centre on the table and size (right, forward, up) in metres, and colour.
_BLOCKS: tuple[tuple[tuple[float, float], tuple[float, float, float], tuple[int, int, int]], ...] = (
    ((-0.16, 0.58), (0.10, 0.08, 0.12), (200, 40, 40)),
    ((0.05, 0.70), (0.06, 0.06, 0.18), (40, 90, 200)),
    ((0.18, 0.52), (0.12, 0.09, 0.05), (230, 200, 60)),
)


def golden_frame(width: int, height: int) -> RgbdFrame:
    """Three blocks on a table.

    Args:
        width: pixels.
        height: pixels.

    Returns:
        The frame, with depth everywhere below the horizon.
    """
    focal = 0.9 * max(width, height)
    intrinsics = CameraIntrinsics(
        fx=focal, fy=focal, cx=(width - 1) / 2, cy=(height - 1) / 2, width=width, height=height
    )
    u, v = np.meshgrid(np.arange(width), np.arange(height))
    x, y = (u - intrinsics.cx) / focal, (v - intrinsics.cy) / focal  # of rays of z-depth 1: right and down
    sine, cosine = np.sin(_PITCH_RAD), np.cos(_PITCH_RAD)
    rays = np.stack([x, cosine - y * sine, -sine - y * cosine], axis=-1)  # right, forward, up
    origin = np.array([0.0, 0.0, _HEIGHT_M])
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = np.where(rays[..., 2] < -1e-3, -origin[2] / rays[..., 2], np.inf)
        normal = np.broadcast_to(np.array([0.0, 0.0, 1.0]), rays.shape).copy()
        color = np.broadcast_to(np.array(_TABLE_RGB, dtype=np.float64), rays.shape).copy()
        for (right, forward), size, rgb in _BLOCKS:
            low = np.array([right - size[0] / 2, forward - size[1] / 2, 0.0])
            entry, face = _entry_of_block(origin, rays, low, low + np.array(size))
            nearer = entry < depth
            depth, normal[nearer], color[nearer] = np.where(nearer, entry, depth), face[nearer], rgb
    light = 0.4 + 0.6 * np.clip(normal @ (_LIGHT / np.linalg.norm(_LIGHT)), 0.0, 1.0)
    checks = 1.0 - 0.1 * (((u // 8) + (v // 8)) % 2)  # so that no patch is of one colour
    is_near = depth < 5.0
    rgb8 = np.where(is_near[..., None], color * light[..., None] * checks[..., None], 60.0 * checks[..., None])
    return RgbdFrame(
        rgb=rgb8.round().astype(np.uint8),
        depth_m=np.where(is_near, depth, np.nan).astype(np.float32),
        intrinsics=intrinsics,
        stamp_ns=0,
        frame_id="golden_optical_frame",
    )


def _entry_of_block(
    origin: NDArray[np.float64], rays: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where rays enter a block, as multiples of the rays and infinite where they miss it, and the normals there."""
    to_low, to_high = (low - origin) / rays, (high - origin) / rays
    near, far = np.fmin(to_low, to_high), np.fmax(to_low, to_high)
    axis = near.argmax(axis=-1)
    entry = near.max(axis=-1)
    hits = (entry > 0) & (entry <= far.min(axis=-1))
    normal = np.zeros_like(rays)
    np.put_along_axis(normal, axis[..., None], -np.sign(np.take_along_axis(rays, axis[..., None], -1)), axis=-1)
    return np.where(hits, entry, np.inf), normal
