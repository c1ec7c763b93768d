"""Camera poses between this package and the networks of Depth Anything 3, the one place where they are exchanged.

Here poses are ``world_T_camera`` (camera to world); the networks take and give world-to-camera matrices ("extrinsics",
as COLMAP writes them). Both have OpenCV's optical axes: x right, y down, z forward.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from n3d_ros.errors import InputError
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.transforms import RigidTransform

MIN_POSE_DISTANCE = 0.1  # of the released input code: a static rig is not blown up to unit size
ROTATION_SLACK = 0.02  # on R^T R - 1: half-precision networks round to about 0.004; more is no rotation at all


def w2c_of(world_T_camera: RigidTransform) -> FloatArray:
    """The world-to-camera matrix (4, 4) of a pose.

    Args:
        world_T_camera: camera to world.

    Returns:
        (4, 4) float64, bottom row 0 0 0 1; its translation has the unit of the pose's.
    """
    return world_T_camera.inverse().matrix


def world_T_camera_of(w2c: ArrayLike) -> RigidTransform:
    """The pose of a world-to-camera matrix; a rotation that rounding has left is put back to the nearest one.

    Args:
        w2c: (3, 4) or (4, 4), world to camera.

    Returns:
        Camera to world.

    Raises:
        InputError: another shape, numbers that are not finite, or a matrix that is no rotation (a scale, a reflection).
    """
    matrix = checked_w2c(np.asarray(w2c)[None])[0]
    rotation = matrix[:3, :3].T
    return RigidTransform(rotation=rotation, translation=-rotation @ matrix[:3, 3])


def stacked_w2c(world_T_cameras: Sequence[RigidTransform]) -> FloatArray:
    """The world-to-camera matrices (S, 4, 4) of poses.

    Args:
        world_T_cameras: one per view.

    Returns:
        (S, 4, 4) float64.
    """
    return np.stack([w2c_of(pose) for pose in world_T_cameras]) if world_T_cameras else np.empty((0, 4, 4))


def checked_w2c(w2c: ArrayLike) -> FloatArray:
    """World-to-camera matrices (S, 4, 4) with exact rotations.

    Args:
        w2c: (S, 3, 4) or (S, 4, 4).

    Returns:
        (S, 4, 4) float64; rotations are the nearest ones to those given.

    Raises:
        InputError: another shape, numbers that are not finite, or matrices that are no rotations; it names the view.
    """
    given = np.asarray(w2c, dtype=np.float64)
    if given.ndim != 3 or given.shape[1:] not in ((3, 4), (4, 4)):
        raise InputError(f"World-to-camera matrices: expected (views, 3 or 4, 4), got {given.shape}.")
    for view in np.flatnonzero(~np.isfinite(given).all(axis=(1, 2))):
        raise InputError(f"World-to-camera matrix of view {view}: expected finite numbers; give no pose if unknown.")
    matrices = np.tile(np.eye(4), (len(given), 1, 1))
    matrices[:, :3] = given[:, :3]
    rotations = given[:, :3, :3]
    left, sizes, right = np.linalg.svd(rotations)
    wrong = (np.abs(sizes**2 - 1).max(axis=1, initial=0) > ROTATION_SLACK) | (np.linalg.det(rotations) < 0)
    for view in np.flatnonzero(wrong):
        raise InputError(
            f"World-to-camera matrix of view {view}: expected a rotation in its first three columns, got one that "
            f"stretches by {np.round(sizes[view], 3).tolist()}, determinant {np.linalg.det(rotations[view]):.3g}."
        )
    matrices[:, :3, :3] = left @ right
    return matrices


def camera_centers(w2c: ArrayLike) -> FloatArray:
    """Where the cameras stand in the world, c = -R^T t.

    Args:
        w2c: (S, 3, 4) or (S, 4, 4), world to camera.

    Returns:
        (S, 3) float64, world.
    """
    matrices = np.asarray(w2c, dtype=np.float64)
    centers: FloatArray = -np.einsum("sji,sj->si", matrices[:, :3, :3], matrices[:, :3, 3])
    return centers


def normalized_extrinsics(w2c: ArrayLike) -> tuple[FloatArray, float]:
    """Poses in the form in which the released any-view networks take them: first camera as world, unit distance.

    Released weights expect exactly this: E_i inv(E_0), and translations divided by the median distance of all cameras
    from the first, the first one's zero included, the lower of the two middle ones for an even count, at least
    ``MIN_POSE_DISTANCE``.

    Args:
        w2c: (S, 3, 4) or (S, 4, 4), world to camera, metres.

    Returns:
        (S, 4, 4) float64, the first one the identity; and the distance in metres by which translations were divided.

    Raises:
        InputError: no views, or matrices that are not poses.
    """
    matrices = checked_w2c(w2c)
    if not len(matrices):
        raise InputError("Poses: expected one view or more, got none.")
    relative = matrices @ np.linalg.inv(matrices[0])
    distances = np.sort(np.linalg.norm(camera_centers(relative), axis=1))
    distance = max(float(distances[(len(distances) - 1) // 2]), MIN_POSE_DISTANCE)
    relative[:, :3, 3] /= distance
    relative[0] = np.eye(4)
    return relative, distance
