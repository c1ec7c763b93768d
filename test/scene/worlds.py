"""A world of boxes over a floor, its depth images, and detections as a grounder would give them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from builders import make_frame, make_intrinsics
from n3d_ros.detection import BoxUncertainty, Detection3D
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry import Box3D, RigidTransform
from n3d_ros.geometry.camera import pixel_rays
from n3d_ros.geometry.transforms import matrix_to_quaternion, rotation_about_axis
from n3d_ros.scene.config import SceneConfig
from n3d_ros.scene.scene import Scene

INTRINSICS = make_intrinsics(160, 120, 140.0)
PERIOD_NS = 100_000_000  # ten looks a second


def look_from(eye: ArrayLike, at: ArrayLike = (0.0, 0.0, 0.0)) -> RigidTransform:
    """world_T_camera of a camera that looks at a point, its image upright (world z is up)."""
    forward = np.asarray(at, dtype=float) - np.asarray(eye, dtype=float)
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    return RigidTransform(
        rotation=np.column_stack([right, np.cross(forward, right), forward]), translation=np.asarray(eye, dtype=float)
    )


FRONT = look_from((0.0, -1.0, 0.6))


@dataclass(frozen=True)
class Thing:
    """A solid box with words."""

    name: str
    center: tuple[float, float, float]
    size: tuple[float, float, float] = (0.1, 0.1, 0.1)
    yaw_rad: float = 0.0
    color: str = "red"
    shape: str = "box"

    @property
    def box(self) -> Box3D:
        orientation = matrix_to_quaternion(rotation_about_axis([0, 0, 1], self.yaw_rad))
        return Box3D(center=np.array(self.center), size=np.array(self.size), orientation_xyzw=orientation)

    def moved(self, dx: float = 0.0, dy: float = 0.0, dz: float = 0.0) -> Thing:
        x, y, z = self.center
        return replace(self, center=(x + dx, y + dy, z + dz))


def depth_of(things: Sequence[Thing], world_T_camera: RigidTransform) -> NDArray[np.float32]:
    """(H, W) depth of the things over the floor z = 0, NaN in the sky."""
    directions = pixel_rays(INTRINSICS) @ world_T_camera.rotation.T
    eye = world_T_camera.translation
    with np.errstate(divide="ignore", invalid="ignore"):
        floor = np.where(directions[..., 2] < 0, -eye[2] / directions[..., 2], np.inf)
        for thing in things:
            box = thing.box
            d, o = directions @ box.rotation, (eye - box.center) @ box.rotation
            low, high = (-box.size / 2 - o) / d, (box.size / 2 - o) / d
            near, far = np.minimum(low, high).max(axis=-1), np.maximum(low, high).min(axis=-1)
            hit = (near <= far) & (near > 0)
            floor = np.where(hit & (near < floor), near, floor)
    return np.where(np.isfinite(floor), floor, np.nan).astype(np.float32)


def detect(
    thing: Thing,
    world_T_camera: RigidTransform,
    *,
    rng: np.random.Generator | None = None,
    stddev_m: float = 0.003,
    yaw_stddev_rad: float = 0.05,
) -> Detection3D:
    """The thing in the camera frame, with noise when a generator is given and the uncertainty to match."""
    box = thing.box
    noise = rng.normal(size=7) if rng is not None else np.zeros(7)
    turn = matrix_to_quaternion(rotation_about_axis([0, 0, 1], thing.yaw_rad + yaw_stddev_rad * noise[6]))
    measured = Box3D(
        center=box.center + stddev_m * noise[:3], size=box.size + stddev_m * noise[3:6], orientation_xyzw=turn
    )
    uncertainty = BoxUncertainty(
        center_covariance_m2=np.eye(3) * stddev_m**2,
        size_stddev_m=np.full(3, stddev_m),
        yaw_stddev_rad=yaw_stddev_rad,
    )
    found = Detection3D(
        label=f"{thing.color} {thing.shape}",
        box=measured,
        score=0.9,
        color=thing.color,
        shape=thing.shape,
        uncertainty=uncertainty,
    )
    return found.transformed(world_T_camera.inverse())


@dataclass
class Robot:
    """Looks at the world again and again and keeps the scene."""

    scene: Scene = field(default_factory=lambda: Scene.empty("map"))
    config: SceneConfig = field(default_factory=SceneConfig)
    stamp_ns: int = 0

    def frame(self, things: Sequence[Thing], camera: RigidTransform) -> RgbdFrame:
        return make_frame(intrinsics=INTRINSICS, depth_m=depth_of(things, camera), stamp_ns=self.stamp_ns)

    def look(
        self,
        things: Sequence[Thing],
        *,
        found: Sequence[Thing | Detection3D] | None = None,
        camera: RigidTransform = FRONT,
        wait_s: float = 0.1,
        rng: np.random.Generator | None = None,
        complete: bool = True,
    ) -> Scene:
        """One look at ``things``, of which ``found`` are detected (all by default)."""
        self.stamp_ns += round(wait_s * 1e9)
        detections = [
            one if isinstance(one, Detection3D) else detect(one, camera, rng=rng)
            for one in (things if found is None else found)
        ]
        self.scene = self.scene.updated(
            detections,
            scene_T_camera=camera,
            frame=self.frame(things, camera),
            config=self.config,
            complete=complete,
        )
        return self.scene

    def id_of(self, thing: Thing) -> int:
        """Id of the object nearest to the thing, which must be within two centimetres."""
        distances = {one.id: float(np.linalg.norm(one.box.center - thing.center)) for one in self.scene.objects}
        nearest = min(distances, key=lambda key: distances[key])
        assert distances[nearest] < 0.02, distances
        return nearest
