"""A room of known geometry, and networks that see it exactly: for known answers of everything that is done with depth.

A view's number is painted into its image, so that a scripted network knows which camera it looks through.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from n3d_ros.depth.metric import CANONICAL_FOCAL_PX
from n3d_ros.depth.options import DepthOptions
from n3d_ros.depth.poses import stacked_w2c
from n3d_ros.depth.preprocess import MEAN, STD, ImageMap, network_matrix, prepare
from n3d_ros.depth.runner import NetworkViews
from n3d_ros.depth.views import View
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.geometry.transforms import RigidTransform, rotation_about_axis

PAINT = 3  # grey levels between two views' numbers
WALL_M, FLOOR_M = 6.0, 1.4  # plane z = 6 and plane y = 1.4 of the room; the first camera looks along z
CAMERA = CameraIntrinsics(fx=118.0, fy=121.0, cx=76.2, cy=63.9, width=160, height=120)


def camera_at(x: float, y: float = 0.0, z: float = 0.0, *, yaw_rad: float = 0.0) -> RigidTransform:
    """room_T_camera of a camera that looks along z, turned about y."""
    return RigidTransform(rotation=rotation_about_axis((0, 1, 0), yaw_rad), translation=np.array([x, y, z]))


def room_depth(pose: RigidTransform, matrix: NDArray[np.float64], hw: tuple[int, int]) -> NDArray[np.float32]:
    """(H, W) z-depth in metres of the room; ``matrix`` in corner coordinates, as networks have it."""
    u, v = np.meshgrid(np.arange(hw[1]) + 0.5, np.arange(hw[0]) + 0.5)
    rays = np.stack([(u - matrix[0, 2]) / matrix[0, 0], (v - matrix[1, 2]) / matrix[1, 1], np.ones_like(u)], axis=-1)
    directions = rays @ pose.rotation.T
    with np.errstate(divide="ignore"):
        to_wall = (WALL_M - pose.translation[2]) / np.maximum(directions[..., 2], 1e-9)
        to_floor = (FLOOR_M - pose.translation[1]) / np.maximum(directions[..., 1], 1e-9)
    depth: NDArray[np.float32] = np.minimum(to_wall, to_floor).astype(np.float32)
    return depth


def _painted(view: int, camera: CameraIntrinsics) -> NDArray[np.uint8]:
    """An image that holds a view's number in red, and something to see in blue."""
    rgb = np.full((camera.height, camera.width, 3), PAINT * view, dtype=np.uint8)
    rgb[..., 2] = np.linspace(0, 255, camera.width).astype(np.uint8)
    return rgb


@dataclass
class Room:
    """Cameras in the room.

    Args:
        poses: room_T_camera of each.
        camera: of all of them, or one each.
    """

    poses: Sequence[RigidTransform]
    camera: CameraIntrinsics | Sequence[CameraIntrinsics] = CAMERA
    options: DepthOptions = field(default_factory=lambda: DepthOptions(process_res=112))

    def camera_of(self, view: int) -> CameraIntrinsics:
        return self.camera if isinstance(self.camera, CameraIntrinsics) else self.camera[view]

    def views(self, *, posed: bool = False, calibrated: bool = True) -> list[View]:
        """One view per camera."""
        return [
            View(
                rgb=_painted(i, self.camera_of(i)),
                intrinsics=self.camera_of(i) if calibrated else None,
                world_T_camera=pose if posed else None,
            )
            for i, pose in enumerate(self.poses)
        ]

    def true_depth(self, view: int) -> NDArray[np.float32]:
        """(H, W) metres at camera resolution."""
        camera = self.camera_of(view)
        matrix = camera.matrix
        matrix[:2, 2] += 0.5
        return room_depth(self.poses[view], matrix, (camera.height, camera.width))

    def seen(self, images: NDArray[np.float32]) -> tuple[list[int], NDArray[np.float64], NDArray[np.float32]]:
        """Which cameras look, their matrices and their depth in metres, all of the network's images."""
        hw = (images.shape[2], images.shape[3])
        level = (images[:, 0].mean(axis=(1, 2)) * STD[0] + MEAN[0]) * 255
        numbers = [int(n) for n in np.round(level / PAINT)]
        matrices = np.stack([network_matrix(self.camera_of(n), self._map(n, hw)) for n in numbers])
        depth = np.stack([room_depth(self.poses[n], k, hw) for n, k in zip(numbers, matrices, strict=True)])
        return numbers, matrices, depth

    def _map(self, view: int, hw: tuple[int, int]) -> ImageMap:
        camera = self.camera_of(view)
        blank = np.zeros((camera.height, camera.width, 3), dtype=np.uint8)
        whole = prepare([blank], process_res=self.options.process_res, method=self.options.method).maps[0]
        return whole.centre_cropped(hw)


@dataclass
class ExactAnyView:
    """An any-view network that sees the room exactly, in a unit and a frame of its own.

    Args:
        room: what it sees.
        unit: its units per metre.
        wrong_unit: other units for the depth of single views.
        confidence: of all pixels.
    """

    room: Room
    unit: float = 0.37
    wrong_unit: Mapping[int, float] = field(default_factory=dict)
    confidence: float = 2.0
    takes_poses: bool = True
    gives_cameras: bool = True
    calls: list[dict[str, object]] = field(default_factory=list)
    closed: bool = False

    def run(
        self,
        images: NDArray[np.float32],
        *,
        options: DepthOptions,
        w2c: NDArray[np.float64] | None = None,
        matrices: NDArray[np.float64] | None = None,
    ) -> NetworkViews:
        self.calls.append({"w2c": w2c, "matrices": matrices, "shape": images.shape})
        numbers, true_matrices, depth = self.room.seen(images)
        units = np.array([self.wrong_unit.get(n, self.unit) for n in numbers], dtype=np.float32)
        own_T_room = RigidTransform(
            rotation=rotation_about_axis((0.3, 1, -0.4), 0.7), translation=np.array([0.4, -0.2, 1.0])
        )
        poses = [own_T_room @ self.room.poses[n] for n in numbers]
        scaled = [replace(pose, translation=pose.translation * self.unit) for pose in poses]
        return NetworkViews(
            depth=depth * units[:, None, None],
            confidence=np.full_like(depth, self.confidence),
            w2c=stacked_w2c(scaled) if self.gives_cameras else None,
            matrices=true_matrices if self.gives_cameras else None,
        )

    def close(self) -> None:
        self.closed = True


@dataclass
class ExactMetric:
    """A metric network that sees the room exactly.

    Args:
        room: what it sees.
        factors: by which single views come out too far.
        sky: views that it takes for sky altogether, and the rows from the top that are sky in all others.
    """

    room: Room
    factors: Mapping[int, float] = field(default_factory=dict)
    sky_views: Sequence[int] = ()
    sky_rows: int = 0
    takes_poses: bool = False
    batches: list[int] = field(default_factory=list)
    closed: bool = False

    def run(
        self,
        images: NDArray[np.float32],
        *,
        options: DepthOptions,
        w2c: NDArray[np.float64] | None = None,
        matrices: NDArray[np.float64] | None = None,
    ) -> NetworkViews:
        self.batches.append(len(images))
        numbers, true_matrices, depth = self.room.seen(images)
        focal = (true_matrices[:, 0, 0] + true_matrices[:, 1, 1]) / 2
        factors = np.array([self.factors.get(n, 1.0) for n in numbers])
        sky = np.zeros_like(depth)
        sky[:, : self.sky_rows] = 1.0
        sky[[n in self.sky_views for n in numbers]] = 1.0
        return NetworkViews(
            depth=depth * (factors * CANONICAL_FOCAL_PX / focal).astype(np.float32)[:, None, None], sky=sky
        )

    def close(self) -> None:
        self.closed = True
