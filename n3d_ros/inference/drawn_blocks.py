"""Pictures of blocks, cast ray by ray with numpy: the same on every machine, without files or ROS."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.camera import CameraIntrinsics

LIGHT = np.array([0.35, -0.3, 0.89])  # towards the light; right, forward, up
AMBIENT = 0.45  # share of a colour that is seen in the shade


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block:
    """A box.

    Args:
        center: (3,) metres, z up.
        size: (3,) metres.
        color: red, green, blue, 0 to 255.
        yaw_rad: turn about the vertical.
    """

    center: FloatArray
    size: FloatArray
    color: tuple[int, int, int]
    yaw_rad: float = 0.0


def rays_of(
    intrinsics: CameraIntrinsics, *, pitch_rad: float, around_rad: float = np.pi / 2
) -> tuple[FloatArray, FloatArray]:
    """Where a camera looks that is not rolled.

    Args:
        intrinsics: of the camera.
        pitch_rad: downwards.
        around_rad: direction of the view about the vertical, from x to y.

    Returns:
        The direction of the view (3,), and the ray of each pixel (H, W, 3) of depth one; z up.
    """
    ahead = np.array(
        [np.cos(pitch_rad) * np.cos(around_rad), np.cos(pitch_rad) * np.sin(around_rad), -np.sin(pitch_rad)]
    )
    right = np.cross(ahead, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    down = np.cross(ahead, right)
    v, u = np.mgrid[0 : intrinsics.height, 0 : intrinsics.width].astype(np.float64)
    across, along = (u - intrinsics.cx) / intrinsics.fx, (v - intrinsics.cy) / intrinsics.fy
    return ahead, ahead + across[..., None] * right + along[..., None] * down


def draw(
    blocks: Iterable[Block],
    origin: FloatArray,
    rays: FloatArray,
    *,
    behind_m: float = np.inf,
    behind_color: tuple[int, int, int] = (60, 60, 60),
) -> tuple[FloatArray, FloatArray]:
    """What a camera sees of some blocks.

    Args:
        blocks: that may hide each other.
        origin: (3,) of the camera, metres.
        rays: (H, W, 3) of ``rays_of``.
        behind_m: depth where no ray meets anything.
        behind_color: red, green, blue there.

    Returns:
        Colour (H, W, 3), 0 to 255, and z-depth (H, W) in metres.
    """
    nearest = np.full(rays.shape[:2], behind_m)
    color = np.broadcast_to(np.array(behind_color, dtype=np.float64), rays.shape).copy()
    for block in blocks:
        depth, normal = _met(block, origin, rays)
        hit = depth < nearest
        shade = AMBIENT + (1 - AMBIENT) * np.clip(normal @ LIGHT, 0.0, 1.0)
        nearest = np.where(hit, depth, nearest)
        color = np.where(hit[..., None], shade[..., None] * np.array(block.color), color)
    return color, nearest


def _met(block: Block, origin: FloatArray, rays: FloatArray) -> tuple[FloatArray, NDArray[np.float64]]:
    """Depth (H, W) where rays meet a block, inf where they do not, and the normals there (H, W, 3), by slabs."""
    cos, sin = np.cos(block.yaw_rad), np.sin(block.yaw_rad)
    block_R_table = np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])
    start, ways = block_R_table @ (origin - block.center), rays @ block_R_table.T
    half = block.size / 2
    with np.errstate(divide="ignore"):
        first = (-np.copysign(half, ways) - start) / ways
        last = (np.copysign(half, ways) - start) / ways
    entry = first.max(axis=-1)
    depth = np.where((entry > 0) & (entry <= last.min(axis=-1)), entry, np.inf)
    face = first.argmax(axis=-1)
    normal = np.where(np.arange(3) == face[..., None], -np.sign(ways), 0.0)
    return depth, normal @ block_R_table
