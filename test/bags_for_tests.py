"""Small bags for tests: a camera that looks at a red block on a level ground."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from n3d_ros.geometry import Box3D, CameraIntrinsics, RigidTransform
from n3d_ros.geometry.transforms import rotation_about_axis
from n3d_ros.ros.bag import BagWriter
from n3d_ros.ros.rgbd_bag import RgbdBagWriter, write_transform

START_NS = 1_700_000_000_000_000_000
FRAME_ID = "camera_color_optical_frame"
CAMERA = CameraIntrinsics(fx=150.0, fy=150.0, cx=79.5, cy=59.5, width=160, height=120)
BLOCK_CENTER_MAP = np.array([1.0, 0.0, 0.05])  # a cube of ten centimetres, one metre before the camera's foot point
BLOCK_SIDE_M = 0.1
CAMERA_HEIGHT_M = 0.6
CAMERA_PITCH_RAD = np.deg2rad(30.0)


def map_T_camera(shift_m: float = 0.0) -> RigidTransform:
    """A camera 0.6 m over the ground that looks along x and 30 degrees down."""
    level = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    down = rotation_about_axis([0.0, 1.0, 0.0], CAMERA_PITCH_RAD)
    return RigidTransform(rotation=down @ level, translation=np.array([0.0, shift_m, CAMERA_HEIGHT_M]))


def block() -> Box3D:
    """The block, in map."""
    return Box3D.axis_aligned(BLOCK_CENTER_MAP, [BLOCK_SIDE_M] * 3)


def render(pose: RigidTransform) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Colour and depth of ground and block by intersecting every pixel's ray."""
    v, u = np.mgrid[0 : CAMERA.height, 0 : CAMERA.width]
    rays = np.stack([(u - CAMERA.cx) / CAMERA.fx, (v - CAMERA.cy) / CAMERA.fy, np.ones(u.shape)], axis=-1)
    directions, origin = rays @ pose.rotation.T, pose.translation
    with np.errstate(divide="ignore", invalid="ignore"):
        ground = np.where(directions[..., 2] < 0, -origin[2] / directions[..., 2], np.inf)
        low, high = BLOCK_CENTER_MAP - BLOCK_SIDE_M / 2, BLOCK_CENTER_MAP + BLOCK_SIDE_M / 2
        near, far = (low - origin) / directions, (high - origin) / directions
    enter = np.minimum(near, far).max(axis=-1)
    leave = np.maximum(near, far).min(axis=-1)
    hits_block = (enter < leave) & (enter > 0)
    depth = np.where(hits_block, enter, ground)
    depth[~np.isfinite(depth) | (depth > 8)] = np.nan
    rgb = np.full((*u.shape, 3), 150, dtype=np.uint8)
    rgb[hits_block] = (200, 30, 30)
    return rgb, depth


def write_camera_bag(
    path: Path,
    *,
    frames: int = 6,
    rate_hz: float = 10.0,
    compressed: bool = False,
    storage: str = "mcap",
    compress: bool = True,
) -> Path:
    """A bag of the block, with a camera that drifts sideways; tf from map."""
    with BagWriter(path, storage=storage, compress=compress) as writer:
        camera = RgbdBagWriter(writer, CAMERA, frame_id=FRAME_ID, compressed=compressed)
        for i in range(frames):
            stamp_ns = START_NS + round(i * 1e9 / rate_hz)
            pose = map_T_camera(0.005 * i)
            write_transform(writer, "map", FRAME_ID, pose, stamp_ns)
            camera.write_frame(*render(pose), stamp_ns)
    return path
