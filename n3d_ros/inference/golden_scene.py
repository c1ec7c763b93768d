"""A picture that every machine draws alike: things on a table, for runtimes to be held against each other."""

from __future__ import annotations

import numpy as np

from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.inference.drawn_blocks import Block, draw, rays_of

_PITCH_RAD = 0.6  # of the camera, down
_HEIGHT_M = 0.45  # of the camera above the table
_FARTHEST_M = 5.0  # of what has depth
_CHECK_PX, _CHECK_SHARE = 8, 0.1  # a pattern over everything, so that no patch is of one colour

# Centre on the table and size (right, forward, up) in metres, and colour.
_TABLE = Block(center=np.array([0.0, 0.0, -1.0]), size=np.array([100.0, 100.0, 2.0]), color=(150, 120, 90))
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
    _, rays = rays_of(intrinsics, pitch_rad=_PITCH_RAD)
    blocks = [
        Block(center=np.array([*place, size[2] / 2]), size=np.array(size), color=color)
        for place, size, color in _BLOCKS
    ]
    color, depth = draw([_TABLE, *blocks], np.array([0.0, 0.0, _HEIGHT_M]), rays)
    v, u = np.mgrid[0:height, 0:width]
    checks = 1.0 - _CHECK_SHARE * (((u // _CHECK_PX) + (v // _CHECK_PX)) % 2)
    is_near = depth < _FARTHEST_M
    shown = np.where(is_near[..., None], color, 60.0) * checks[..., None]
    return RgbdFrame(
        rgb=shown.round().astype(np.uint8),
        depth_m=np.where(is_near, depth, np.nan).astype(np.float32),
        intrinsics=intrinsics,
        stamp_ns=0,
        frame_id="golden_optical_frame",
    )
