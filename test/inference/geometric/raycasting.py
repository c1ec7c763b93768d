"""Synthetic depth frames for the tests: boxes, cylinders and bowls on level ground, by casting a ray per pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.camera import CameraIntrinsics

FAR = 1e9
CAMERA = CameraIntrinsics(fx=525.0, fy=525.0, cx=319.5, cy=239.5, width=640, height=480)


@dataclass(frozen=True, kw_only=True)
class Box:
    """A box: centre of its bottom, size, yaw."""

    at: tuple[float, float, float]
    size: tuple[float, float, float]
    yaw: float = 0.0
    rgb: tuple[int, int, int] = (200, 30, 30)

    def hit(self, eye: NDArray[np.float64], rays: NDArray[np.float64]) -> NDArray[np.float64]:
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        turn = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
        half = np.array(self.size) / 2
        start = turn @ (eye - np.array(self.at)) - np.array([0, 0, half[2]])
        along = rays @ turn.T
        along = np.where(np.abs(along) < 1e-12, 1e-12, along)
        first, second = (-half - start) / along, (half - start) / along
        near, far = np.minimum(first, second).max(-1), np.maximum(first, second).min(-1)
        return np.where((near <= far) & (near > 0), near, FAR)


@dataclass(frozen=True, kw_only=True)
class Cylinder:
    """An upright cylinder, hollow with a wall and floor of ``wall`` metres when that is above 0."""

    at: tuple[float, float, float]
    radius: float
    height: float
    wall: float = 0.0
    rgb: tuple[int, int, int] = (30, 30, 200)

    def hit(self, eye: NDArray[np.float64], rays: NDArray[np.float64]) -> NDArray[np.float64]:
        start = eye - np.array(self.at)
        outside = _side(start, rays, self.radius, 0.0, self.height, back=False)
        if not self.wall:
            return np.minimum(outside, _disc(start, rays, self.radius, self.height))
        inner = self.radius - self.wall
        through = _disc(start, rays, inner, self.height) < FAR
        inside = np.minimum(
            _side(start, rays, inner, self.wall, self.height, back=True), _disc(start, rays, inner, self.wall)
        )
        rim = np.where(through, FAR, _disc(start, rays, self.radius, self.height))
        return np.minimum(np.minimum(outside, rim), np.where(through, inside, FAR))


def _side(
    start: NDArray[np.float64], rays: NDArray[np.float64], radius: float, low: float, high: float, *, back: bool
) -> NDArray[np.float64]:
    a = np.maximum((rays[..., :2] ** 2).sum(-1), 1e-12)
    b = rays[..., :2] @ start[:2]
    root = b * b - a * (start[:2] @ start[:2] - radius * radius)
    t = (-b + (1 if back else -1) * np.sqrt(np.maximum(root, 0))) / a
    z = start[2] + t * rays[..., 2]
    return np.where((root > 0) & (t > 0) & (z >= low) & (z <= high), t, FAR)


def _disc(start: NDArray[np.float64], rays: NDArray[np.float64], radius: float, z: float) -> NDArray[np.float64]:
    t = (z - start[2]) / np.where(np.abs(rays[..., 2]) < 1e-12, 1e-12, rays[..., 2])
    at = start[:2] + t[..., None] * rays[..., :2]
    return np.where((t > 0) & ((at**2).sum(-1) <= radius * radius), t, FAR)


@dataclass(frozen=True, kw_only=True)
class View:
    """What a test works with.

    Args:
        frame: the noisy frame.
        owner: (H, W) int, -2 nothing, -1 ground, else the index of the thing hit.
        up: (3,) unit vector in the camera optical frame.
        camera_T_world_rotation: (3, 3).
        eye: (3,) camera position in the world.
    """

    frame: RgbdFrame
    owner: NDArray[np.int64]
    up: NDArray[np.float64]
    rotation: NDArray[np.float64]
    eye: NDArray[np.float64]


def look_at(
    things: list[Box | Cylinder],
    *,
    distance: float = 0.9,
    pitch_deg: float = 42.0,
    height: float = 0.05,
    ground_m: float | None = 0.6,
    noise_per_m: float = 0.0015,
    camera: CameraIntrinsics = CAMERA,
    seed: int = 0,
) -> View:
    """A frame of things around the origin, seen along +x and downwards; the ground is a square of 2 ground_m a side."""
    pitch = np.radians(pitch_deg)
    forward = np.array([np.cos(pitch), 0, -np.sin(pitch)])
    right = np.array([0.0, -1.0, 0.0])
    rotation = np.stack([right, np.cross(forward, right), forward])  # rows: camera axes in the world
    eye = -forward * distance + np.array([0, 0, height])
    u, v = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    rays = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(u.shape)], -1) @ rotation
    depth, owner = np.full(u.shape, FAR), np.full(u.shape, -2)
    rgb = np.full((*u.shape, 3), (170, 150, 120), np.uint8)
    if ground_m is not None:
        t = -eye[2] / np.where(rays[..., 2] < -1e-9, rays[..., 2], -1e-9)
        on = np.abs((eye + t[..., None] * rays)[..., :2]).max(-1) < ground_m
        depth[on], owner[on] = t[on], -1
    for k, thing in enumerate(things):
        t = thing.hit(eye, rays)
        nearer = t < depth
        depth[nearer], owner[nearer], rgb[nearer] = t[nearer], k, thing.rgb
    generator = np.random.default_rng(seed)
    inverse = np.where(depth < FAR / 2, 1 / depth, np.nan) + generator.normal(0, noise_per_m, depth.shape)
    depth_m = np.where(inverse > 0.05, 1 / inverse, np.nan).astype(np.float32)
    frame = RgbdFrame(rgb=rgb, depth_m=depth_m, intrinsics=camera, stamp_ns=1, frame_id="camera")
    return View(frame=frame, owner=owner, up=rotation[:, 2].copy(), rotation=rotation, eye=eye)


def owners(view: View, labels: NDArray[np.int32]) -> list[dict[int, float]]:
    """For every thing, which labels its pixels carry and in what share (shares under 5 % left out)."""
    found = []
    for k in range(int(view.owner.max()) + 1):
        mine = labels[view.owner == k]
        values, counts = np.unique(mine[mine > 0], return_counts=True)
        shares = {int(a): float(n / max(len(mine), 1)) for a, n in zip(values, counts, strict=True)}
        found.append({a: share for a, share in shares.items() if share >= 0.05})
    return found


def look_at_box_and_cylinder() -> View:
    """A red box and a blue cylinder, side by side."""
    return look_at([
        Box(at=(0, 0.16, 0), size=(0.1, 0.14, 0.12), yaw=0.5, rgb=(200, 20, 20)),
        Cylinder(at=(-0.05, -0.12, 0), radius=0.05, height=0.14, rgb=(20, 20, 210)),
    ])  # fmt: skip
