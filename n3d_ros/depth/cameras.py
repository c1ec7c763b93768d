"""The cameras of some views: those given, those estimated, and the first laid over the second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from n3d_ros.depth.poses import (
    MIN_POSE_DISTANCE,
    camera_centers,
    normalized_extrinsics,
    stacked_w2c,
    world_T_camera_of,
)
from n3d_ros.depth.preprocess import ImageMap, camera_intrinsics, network_matrix
from n3d_ros.depth.runner import NetworkViews
from n3d_ros.depth.views import PoseSource, View
from n3d_ros.errors import CalibrationError
from n3d_ros.geometry.arrays import BoolArray, FloatArray
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.geometry.transforms import RigidTransform

MIN_FOCAL_SHARE, MAX_FOCAL_SHARE = 0.1, 20.0  # of the image's longer side: 157 to 3 degrees across; else no estimate

MAX_FOCAL_FACTOR = 1.5  # between a calibration and the estimate; users report estimates a tenth or two off
MAX_TURN_DEG = 20.0  # between given and estimated orientations; networks are mostly within 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cameras:
    """What was given of the cameras of some views.

    Args:
        views: as asked about.
        maps: where the network's images lie in theirs.
    """

    views: tuple[View, ...]
    maps: tuple[ImageMap, ...]

    @property
    def posed(self) -> tuple[int, ...]:
        """Views whose pose is given."""
        return tuple(i for i, view in enumerate(self.views) if view.world_T_camera is not None)

    @property
    def uncalibrated(self) -> tuple[int, ...]:
        """Views without a calibration."""
        return tuple(i for i, view in enumerate(self.views) if view.intrinsics is None)

    @property
    def conditions(self) -> bool:
        """Whether poses can be fed to the network: it takes pose and calibration of every view, or nothing."""
        return len(self.posed) == len(self.views) and not self.uncalibrated

    @property
    def given_poses(self) -> tuple[RigidTransform, ...]:
        """The given poses, in the order of ``posed``."""
        return tuple(view.world_T_camera for view in self.views if view.world_T_camera is not None)

    def given_matrices(self) -> FloatArray:
        """Camera matrices of the network's images.

        Returns:
            (S, 3, 3) float64, corner coordinates; NaN for views without a calibration.
        """
        matrices = np.full((len(self.views), 3, 3), np.nan)
        for row, view, image_map in zip(matrices, self.views, self.maps, strict=True):
            if view.intrinsics is not None:
                row[:] = network_matrix(view.intrinsics, image_map)
        return matrices

    def given_w2c(self) -> FloatArray:
        """World-to-camera matrices of the views whose pose is given.

        Returns:
            (P, 4, 4) float64, metres.
        """
        return stacked_w2c(self.given_poses)

    def network_w2c(self, *, posed_pair: str = "unit") -> FloatArray:
        """Given poses as the network takes them: the first camera as world, distances about 1.

        For two views the released code divides by the lower of the distances 0 and d, so by its least allowed value,
        and the network sees baselines of any length. Here they are 1 apart, as the median view is with more, so that
        the result is the same whatever unit poses are given in; which serves the released weights better is not known.

        Args:
            posed_pair: "unit", or "reference" for the released code's number.

        Returns:
            (S, 4, 4) float64, world to camera.
        """
        w2c, divided_by = normalized_extrinsics(self.given_w2c())
        if len(w2c) == 2 and posed_pair == "unit":
            apart = float(np.linalg.norm(w2c[1, :3, 3]))
            if apart * divided_by > MIN_POSE_DISTANCE:
                w2c[1, :3, 3] /= apart
        return w2c


def plausible(matrices: FloatArray, network_hw: tuple[int, int]) -> BoolArray:
    """Which estimated camera matrices a camera could have.

    Args:
        matrices: (S, 3, 3), NaN where nothing was estimated.
        network_hw: size of the network's image.

    Returns:
        (S,) bool.
    """
    focal = matrices[:, (0, 1), (0, 1)] / max(network_hw)
    with np.errstate(invalid="ignore"):
        fits = (focal > MIN_FOCAL_SHARE) & (focal < MAX_FOCAL_SHARE)
    usable: BoolArray = np.all(fits, axis=1) & np.isfinite(matrices).all(axis=(1, 2))
    return usable


def estimated_intrinsics(network: NetworkViews, maps: Sequence[ImageMap]) -> tuple[CameraIntrinsics | None, ...]:
    """The calibrations that a network estimated, at camera resolution.

    Args:
        network: with camera matrices, or without.
        maps: where its images lie in the camera's.

    Returns:
        One for each view; None where nothing was estimated that a camera could have.
    """
    if network.matrices is None:
        return (None,) * len(maps)
    usable = plausible(network.matrices, maps[0].network_hw)
    return tuple(
        _intrinsics(matrix, image_map) if good else None
        for matrix, image_map, good in zip(network.matrices, maps, usable, strict=True)
    )


def _intrinsics(matrix: FloatArray, image_map: ImageMap) -> CameraIntrinsics | None:
    try:
        return camera_intrinsics(matrix, image_map)
    except CalibrationError:
        return None


def contradictions(network: NetworkViews, cameras: Cameras) -> tuple[str, ...]:
    """What the images say against given calibrations and poses, where it is too much for an error of the network.

    Args:
        network: with cameras, or without.
        cameras: as given.

    Returns:
        Sentences for whoever gave them.
    """
    return (*_focal_contradictions(network, cameras), *_orientation_contradictions(network, cameras))


def _focal_contradictions(network: NetworkViews, cameras: Cameras) -> list[str]:
    notes = []
    for i, (view, estimate) in enumerate(zip(cameras.views, estimated_intrinsics(network, cameras.maps), strict=True)):
        if view.intrinsics is None or estimate is None:
            continue
        factor = (view.intrinsics.fx + view.intrinsics.fy) / (estimate.fx + estimate.fy)
        if max(factor, 1 / factor) > MAX_FOCAL_FACTOR:
            notes.append(
                f"View {i}: its calibration has fx {view.intrinsics.fx:.0f} px, its image looks like {estimate.fx:.0f} "
                "px; check that the calibration is this camera's, at this resolution."
            )
    return notes


def _orientation_contradictions(network: NetworkViews, cameras: Cameras) -> list[str]:
    poses = _estimated(network)
    pairs = {
        i: (given, pose) for i, given in zip(cameras.posed, cameras.given_poses, strict=True) if (pose := poses[i])
    }
    if len(pairs) < 2:
        return []
    world = _laid_over(list(pairs.values()), 1.0).rotation
    notes = []
    for i, (given, pose) in pairs.items():
        cosine = (np.trace(given.rotation.T @ world @ pose.rotation) - 1) / 2
        degrees = float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
        if degrees > MAX_TURN_DEG:
            notes.append(
                f"View {i}: its given orientation is {degrees:.0f} degrees off what the images show beside the others; "
                "check tf."
            )
    return notes


def predicted_centers(network: NetworkViews, chosen: Sequence[int]) -> FloatArray | None:
    """Where the network believes some cameras to be.

    Args:
        network: with poses, or without.
        chosen: views.

    Returns:
        (P, 3) float64 in its unit and frame; None where one of them has no estimate.
    """
    if network.w2c is None:
        return None
    centers = camera_centers(network.w2c[list(chosen)])
    return centers if np.isfinite(centers).all() else None


def poses_in_first(network: NetworkViews, scale: float) -> tuple[RigidTransform | None, ...]:
    """Estimated poses in the camera frame of the first view.

    Args:
        network: with poses, or without.
        scale: from its unit to that of the result.

    Returns:
        One for each view, the first the identity; None where there is no estimate.
    """
    poses = _estimated(network)
    if poses[0] is None:
        return (None,) * len(poses)
    back = poses[0].inverse()
    return tuple(None if pose is None else _scaled(back @ pose, scale) for pose in poses)


def poses_in_given_frame(
    network: NetworkViews, cameras: Cameras, scale: float
) -> tuple[tuple[RigidTransform | None, PoseSource], ...]:
    """Given poses as they are, and beside them the estimated ones of the other views, in the same frame.

    The frames are laid over each other by the cameras' orientations, not by their positions: one view is enough, and
    positions on a line do no harm.

    Args:
        network: with poses, or without.
        cameras: with one given pose or more.
        scale: metres per unit of the network.

    Returns:
        Pose and source for each view.
    """
    poses = _estimated(network)
    pairs = [(given, pose) for i, given in zip(cameras.posed, cameras.given_poses, strict=True) if (pose := poses[i])]
    placed: list[tuple[RigidTransform | None, PoseSource]] = []
    world = _laid_over(pairs, scale) if pairs else None
    for view, pose in zip(cameras.views, poses, strict=True):
        if view.world_T_camera is not None:
            placed.append((view.world_T_camera, PoseSource.GIVEN))
        elif pose is None or world is None:
            placed.append((None, PoseSource.NONE))
        else:
            placed.append((world @ _scaled(pose, scale), PoseSource.ESTIMATED))
    return tuple(placed)


def _laid_over(pairs: Sequence[tuple[RigidTransform, RigidTransform]], scale: float) -> RigidTransform:
    """world_T_network, lengths of the network scaled: the mean of what each pair of given and estimated pose says."""
    turns = sum((given.rotation @ estimated.rotation.T for given, estimated in pairs), np.zeros((3, 3)))
    left, _, right = np.linalg.svd(turns)  # the rotation next to the mean of rotations (chordal mean)
    rotation = left @ np.diag([1.0, 1.0, np.linalg.det(left @ right)]) @ right
    shifts = [given.translation - scale * (rotation @ estimated.translation) for given, estimated in pairs]
    return RigidTransform(rotation=rotation, translation=np.mean(shifts, axis=0))


def _estimated(network: NetworkViews) -> tuple[RigidTransform | None, ...]:
    if network.w2c is None:
        return (None,) * len(network.depth)
    return tuple(world_T_camera_of(matrix) if np.isfinite(matrix).all() else None for matrix in network.w2c)


def _scaled(pose: RigidTransform, scale: float) -> RigidTransform:
    return RigidTransform(rotation=pose.rotation, translation=pose.translation * scale)
