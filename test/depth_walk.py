"""A walk through a furnished room of known geometry, and a model that sees it as a network would.

Depth is traced to the inside of a box and to pillars, so every frame has structure. An image carries nothing but the
number of its frame, from which the scripted model looks the truth up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from n3d_ros.depth.similarity import Similarity
from n3d_ros.depth.views import DepthEstimate, PoseSource, ScaleSource, View, ViewDepth
from n3d_ros.errors import GroundingError
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.geometry.transforms import RigidTransform, rotation_about_axis

Array = NDArray[np.float64]
CAMERA = CameraIntrinsics(fx=40, fy=40, cx=31.5, cy=23.5, width=64, height=48)
ROOM_M = np.array([5.0, 1.5, 4.0])  # half sizes, y down
PILLARS_M = np.array([[2.5, 1.0, 0.4], [-2.0, -1.5, 0.5], [0.5, 2.5, 0.3]])  # x, z, radius


def walk(frames: int, *, laps: float = 0.5) -> list[RigidTransform]:
    """Poses on an ellipse through the room, looking ahead and a little down, swaying."""
    poses = []
    for k in range(frames):
        angle = 2 * np.pi * laps * k / max(frames, 1)
        position = np.array([1.2 * np.cos(angle), 0.1 * np.sin(5 * angle), 0.3 + 1.0 * np.sin(angle)])
        turn = rotation_about_axis([0, 1, 0], -angle) @ rotation_about_axis([1, 0, 0], -0.15 + 0.05 * np.sin(3 * angle))
        poses.append(RigidTransform(rotation=turn, translation=position))
    return poses


@cache
def depth_of(pose: RigidTransform) -> NDArray[np.float32]:
    """(48, 64) float32 z-depth of the room from a pose, metres."""
    u, v = np.meshgrid(np.arange(CAMERA.width), np.arange(CAMERA.height))
    rays = pose.rotate(np.stack([(u - CAMERA.cx) / CAMERA.fx, (v - CAMERA.cy) / CAMERA.fy, np.ones(u.shape)], axis=2))
    with np.errstate(divide="ignore"):
        walls = np.min((np.sign(rays) * ROOM_M - pose.translation) / rays, axis=2)
    for x, z, radius in PILLARS_M:
        to, flat = pose.translation[[0, 2]] - [x, z], rays[..., [0, 2]]
        a, b, c = (flat**2).sum(axis=2), flat @ to, to @ to - radius**2
        root = np.sqrt(np.maximum(b**2 - a * c, 0))
        hit = np.where((b**2 > a * c) & (-b - root > 0), (-b - root) / a, np.inf)
        walls = np.minimum(walls, hit)
    depth = walls.astype(np.float32)
    depth.flags.writeable = False  # every caller gets this one
    return depth


def picture_of(pose: RigidTransform) -> NDArray[np.uint8]:
    """(48, 64, 3) uint8: the room papered with a pattern that nowhere repeats."""
    u, v = np.meshgrid(np.arange(CAMERA.width), np.arange(CAMERA.height))
    rays = np.stack([(u - CAMERA.cx) / CAMERA.fx, (v - CAMERA.cy) / CAMERA.fy, np.ones(u.shape)], axis=2)
    x, y, z = np.moveaxis(pose.apply(rays * depth_of(pose)[..., None]), 2, 0)
    grey = np.sin(1.3 * x + 0.7 * z) + np.sin(2.9 * z - 1.1 * y) + np.sin(0.41 * x * z + 2 * y)
    return np.repeat((128 + 40 * grey).astype(np.uint8)[..., None], 3, axis=2)


def view_of(index: int, pose: RigidTransform | None = None, *, seen_from: RigidTransform | None = None) -> View:
    """An image that carries its frame's number, and shows the room where it is told from where."""
    rgb = np.zeros((CAMERA.height, CAMERA.width, 3), dtype=np.uint8) if seen_from is None else picture_of(seen_from)
    rgb[0, 0] = [index >> 16, index >> 8 & 255, index & 255]
    return View(rgb=rgb, intrinsics=CAMERA, world_T_camera=pose)


def index_of(view: View) -> int:
    """The number that ``view_of`` wrote."""
    high, middle, low = (int(n) for n in view.rgb[0, 0])
    return (high << 16) + (middle << 8) + low


@dataclass
class WalkModel:
    """A scripted model: each call has its own frame (the first view's camera) and, if relative, its own unit.

    Args:
        poses: the truth.
        is_metric: whether depth comes in metres.
        depth_noise: relative, per view and pixel.
        pose_noise_m: of each estimated position.
        sky: frames that show nothing but sky.
        blind: frames whose chunk makes the model give up.
        calls: numbers of the frames of each call.
        fail_at: call that breaks down, as a killed process would.
        options: stand for those of a model.
        files: stand for the hashes of its files.
    """

    poses: Sequence[RigidTransform]
    is_metric: bool = False
    depth_noise: float = 0.0
    pose_noise_m: float = 0.0
    sky: frozenset[int] = frozenset()
    blind: frozenset[int] = frozenset()
    calls: list[list[int]] = field(default_factory=list)
    fail_at: int | None = None
    name: str = "walk"
    on_estimate: Callable[[], None] = lambda: None
    options: object = "process_res 504"
    files: tuple[str, ...] = ()

    def facts(self) -> tuple[str, ...]:
        return self.files

    def estimate(self, views: Sequence[View], *, is_cancelled: Callable[[], bool] | None = None) -> DepthEstimate:
        """The truth of these views in a frame and unit of this call, made worse."""
        numbers = [index_of(view) for view in views]
        self.on_estimate()
        if self.fail_at is not None and len(self.calls) == self.fail_at:
            raise KeyboardInterrupt
        self.calls.append(numbers)
        if self.blind.intersection(numbers):
            raise GroundingError("nothing but sky")
        generator = np.random.default_rng(numbers[0] + 1)
        unit = 1.0 if self.is_metric else float(np.exp(generator.uniform(-1, 1)))
        first = self.poses[numbers[0]].inverse()
        own = Similarity(scale=unit, rotation=first.rotation, translation=unit * first.translation)
        return DepthEstimate(
            views=tuple(self._view(k, view, own, generator) for k, view in zip(numbers, views, strict=True)),
            scale_source=ScaleSource.METRIC_MODEL if self.is_metric else ScaleSource.RELATIVE,
        )

    def _view(self, number: int, view: View, own: Similarity, generator: np.random.Generator) -> ViewDepth:
        depth = depth_of(self.poses[number]) * own.scale
        depth *= 1 + self.depth_noise * (generator.normal() + generator.normal(size=depth.shape)) / np.sqrt(2)
        if number in self.sky:
            depth = np.full_like(depth, np.nan)
        pose = own.apply_to_pose(self.poses[number])
        moved = pose.translation + own.scale * self.pose_noise_m * generator.normal(size=3)
        return ViewDepth(
            depth_m=depth.astype(np.float32),
            confidence=np.where(np.isnan(depth), 1, 3).astype(np.float32),
            sky=np.isnan(depth),
            intrinsics=view.intrinsics,
            world_T_camera=RigidTransform(rotation=pose.rotation, translation=moved),
            pose_source=PoseSource.ESTIMATED,
        )


@dataclass
class PosedWalkModel(WalkModel):
    """The same with the poses that views bring."""

    def _view(self, number: int, view: View, own: Similarity, generator: np.random.Generator) -> ViewDepth:
        assert view.world_T_camera is not None
        return ViewDepth(
            depth_m=depth_of(self.poses[number]) * np.float32(own.scale),
            intrinsics=view.intrinsics,
            world_T_camera=view.world_T_camera,
            pose_source=PoseSource.GIVEN,
        )
