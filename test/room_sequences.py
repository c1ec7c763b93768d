"""An analytic room with a box in it, seen by a moving camera; exact depth, and the same as files of three layouts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.geometry.transforms import RigidTransform

CAMERA = CameraIntrinsics(fx=120.0, fy=118.0, cx=63.0, cy=47.5, width=128, height=96)
ROOM_M = np.array([[-2.0, -1.5, -2.5], [2.0, 1.5, 2.5]])  # two corners; y points down
BOX_M = np.array([[-0.4, 0.7, 0.6], [0.4, 1.5, 1.3]])  # stands on the floor


@dataclass(frozen=True)
class RoomView:
    """A rendered view."""

    rgb: np.ndarray
    depth_m: np.ndarray
    world_T_camera: RigidTransform


def room_poses(count: int, *, radius_m: float = 0.8) -> list[RigidTransform]:
    """Cameras on an arc, looking at the box from a little above."""
    poses = []
    for angle in np.linspace(-0.9, 0.9, count):
        place = np.array([radius_m * np.sin(angle), -0.2 + 0.15 * np.cos(3 * angle), -1.2 + 0.3 * np.sin(2 * angle)])
        forward = np.array([0.0, 0.9, 1.0]) - place
        forward /= np.linalg.norm(forward)
        right = np.cross([0, 1.0, 0], forward)
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(forward, right), forward], axis=1)
        poses.append(RigidTransform(rotation=rotation, translation=place))
    return poses


def render(pose: RigidTransform, camera: CameraIntrinsics = CAMERA) -> RoomView:
    """Depth of every pixel's ray, from the planes, and a chequered colour."""
    u, v = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    rays = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(u.shape)], axis=-1)
    directions = rays @ pose.rotation.T  # z of the camera is 1: the length along it is the z-depth
    with np.errstate(divide="ignore"):
        to_walls = np.maximum(*((ROOM_M[k] - pose.translation) / directions for k in (0, 1))).min(axis=-1)
        faces = [(BOX_M[k] - pose.translation) / directions for k in (0, 1)]
    enter, leave = np.minimum(*faces).max(axis=-1), np.maximum(*faces).min(axis=-1)
    hit = (enter < leave) & (enter > 0)
    depth = np.where(hit, enter, to_walls)
    points = pose.translation + depth[..., None] * directions
    chequers = np.floor(points / 0.25 + 1e-6).astype(int).sum(axis=-1) % 2
    shade = np.where(hit, 90, 0)[..., None] + np.array([110, 120, 130]) * (0.5 + 0.5 * chequers[..., None])
    return RoomView(shade.clip(0, 255).astype(np.uint8), depth.astype(np.float32), pose)


def render_room(count: int, camera: CameraIntrinsics = CAMERA) -> list[RoomView]:
    """Views along the arc."""
    return [render(pose, camera) for pose in room_poses(count)]


def write_depth(path: Path, depth_m: np.ndarray, units_per_m: float) -> None:
    """A 16-bit PNG, 0 for none."""
    assert cv2.imwrite(str(path), np.round(np.nan_to_num(depth_m) * units_per_m).astype(np.uint16))


def write_tum(
    folder: Path, views: list[RoomView], *, depth_factor: float = 5000.0, pose_delay_s: float = 0.004
) -> Path:
    """The layout of the TUM RGB-D benchmark; depth and poses a little later than colour."""
    lists: dict[str, list[str]] = {"rgb": ["# color images"], "depth": ["# depth maps"], "groundtruth": ["# poses"]}
    for name in ("rgb", "depth"):
        (folder / name).mkdir(parents=True)
    for k, view in enumerate(views):
        stamp = 1305031102.0 + k / 30
        color, depth = f"rgb/{stamp:.6f}.png", f"depth/{stamp + 0.006:.6f}.png"
        assert cv2.imwrite(str(folder / color), view.rgb[..., ::-1])
        write_depth(folder / depth, view.depth_m, depth_factor)
        numbers = [*view.world_T_camera.translation, *view.world_T_camera.orientation_xyzw]
        lists["rgb"].append(f"{stamp:.6f} {color}")
        lists["depth"].append(f"{stamp + 0.006:.6f} {depth}")
        lists["groundtruth"].append(f"{stamp + pose_delay_s:.4f} " + " ".join(f"{n:.7f}" for n in numbers))
    for name, lines in lists.items():
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return folder


def write_scenes(
    folder: Path, views: list[RoomView], *, scene: str = "room_000007", camera: CameraIntrinsics = CAMERA
) -> Path:
    """The layout of `python -m model_training.scenes`."""
    folder.mkdir(parents=True, exist_ok=True)
    for k, view in enumerate(views):
        name = folder / f"{scene}_{k:04d}"
        assert cv2.imwrite(f"{name}_color.png", view.rgb[..., ::-1])
        write_depth(Path(f"{name}_depth.png"), view.depth_m, 1000.0)
        truth = {
            "stamp_ns": k * 100_000_000,
            "camera": {key: getattr(camera, key) for key in ("fx", "fy", "cx", "cy", "width", "height")},
            "world_T_camera": {
                "translation": view.world_T_camera.translation.tolist(),
                "orientation_xyzw": view.world_T_camera.orientation_xyzw.tolist(),
            },
            "index": k,
            "depth_units_per_m": 1000.0,
        }
        Path(f"{name}_truth.json").write_text(json.dumps(truth))
    return folder


def write_seven_scenes(folder: Path, views: list[RoomView]) -> Path:
    """The layout of 7-Scenes; 65535 for no depth."""
    folder.mkdir(parents=True)
    for k, view in enumerate(views):
        name = f"{folder}/frame-{k:06d}"
        assert cv2.imwrite(f"{name}.color.png", view.rgb[..., ::-1])
        write_depth(Path(f"{name}.depth.png"), np.where(np.isnan(view.depth_m), 65.535, view.depth_m), 1000.0)
        np.savetxt(f"{name}.pose.txt", view.world_T_camera.matrix)
    return folder
