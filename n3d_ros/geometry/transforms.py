"""Rigid transforms, quaternions and the one place where axes are exchanged.

``target_T_source`` takes the coordinates of a point in ``source`` to its coordinates in ``target``; products read like
fractions: ``map_T_camera @ camera_T_object``. Quaternions are x, y, z, w (REP-103).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from n3d_ros.errors import InputError
from n3d_ros.geometry.arrays import FloatArray, frozen_array

ROTATION_TOLERANCE = 1e-5  # on the entries of R^T R - 1; float32 calibrations reach about 1e-6
QUATERNION_MIN_NORM = 1e-6  # an all-zero message field must not pass as a rotation


def normalized_quaternion(orientation_xyzw: ArrayLike) -> FloatArray:
    """The unit quaternion (4,), x y z w, along ``orientation_xyzw``.

    Args:
        orientation_xyzw: four numbers, x y z w, of any length above zero.

    Returns:
        (4,) float64 of length one.

    Raises:
        InputError: not four finite numbers, or length zero (an unset message field).
    """
    quaternion = np.asarray(orientation_xyzw, dtype=np.float64)
    if quaternion.shape != (4,) or not np.isfinite(quaternion).all():
        raise InputError(f"Quaternion: expected four finite numbers x, y, z, w, got {orientation_xyzw!r}.")
    norm = float(np.linalg.norm(quaternion))
    if norm < QUATERNION_MIN_NORM:
        raise InputError("Quaternion: expected a unit quaternion, got length 0; an unset orientation is w = 1.")
    unit: FloatArray = quaternion / norm
    return unit


def quaternion_to_matrix(orientation_xyzw: ArrayLike) -> FloatArray:
    """The rotation matrix (3, 3) of a quaternion x y z w (normalised first).

    Args:
        orientation_xyzw: (4,) x y z w.

    Returns:
        (3, 3) float64.
    """
    x, y, z, w = normalized_quaternion(orientation_xyzw)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def matrix_to_quaternion(rotation: ArrayLike) -> FloatArray:
    """The unit quaternion (4,) x y z w, with w >= 0, of a rotation matrix.

    Shepperd's method (J. Guidance and Control 1(3), 1978): the largest of the four squares is the divisor, so no
    rotation loses precision.

    Args:
        rotation: (3, 3) proper rotation.

    Returns:
        (4,) float64 x y z w.
    """
    m = np.asarray(rotation, dtype=np.float64)
    trace = m[0, 0] + m[1, 1] + m[2, 2]
    squares = np.array([m[0, 0], m[1, 1], m[2, 2], trace])
    i = int(np.argmax(squares))
    if i == 3:
        quaternion = np.array([m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], 1 + trace])
    else:
        j, k = (i + 1) % 3, (i + 2) % 3
        quaternion = np.empty(4)
        quaternion[i] = 1 - trace + 2 * m[i, i]
        quaternion[j] = m[j, i] + m[i, j]
        quaternion[k] = m[k, i] + m[i, k]
        quaternion[3] = m[k, j] - m[j, k]
    quaternion /= np.linalg.norm(quaternion)
    return -quaternion if quaternion[3] < 0 else quaternion


def rotation_about_axis(axis: ArrayLike, angle_rad: float) -> FloatArray:
    """The rotation matrix (3, 3) by ``angle_rad`` about ``axis``, right-handed (Rodrigues' formula).

    Args:
        axis: (3,) direction of any length above zero.
        angle_rad: angle in radians.

    Returns:
        (3, 3) float64.

    Raises:
        InputError: an axis of length zero.
    """
    direction = np.asarray(axis, dtype=np.float64)
    norm = float(np.linalg.norm(direction))
    if direction.shape != (3,) or not norm > 0:
        raise InputError(f"Rotation axis: expected three numbers of length above 0, got {axis!r}.")
    x, y, z = direction / norm
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    rotation: FloatArray = np.eye(3) + np.sin(angle_rad) * cross + (1 - np.cos(angle_rad)) * (cross @ cross)
    return rotation


def slerp(start_xyzw: ArrayLike, end_xyzw: ArrayLike, fraction: float) -> FloatArray:
    """The unit quaternion (4,) at ``fraction`` of the shorter way from start to end (spherical interpolation).

    Args:
        start_xyzw: (4,) x y z w at fraction 0.
        end_xyzw: (4,) x y z w at fraction 1.
        fraction: 0 to 1.

    Returns:
        (4,) float64 x y z w.
    """
    start, end = normalized_quaternion(start_xyzw), normalized_quaternion(end_xyzw)
    cosine = float(start @ end)
    if cosine < 0:  # q and -q are the same rotation; take the nearer one
        end, cosine = -end, -cosine
    if cosine > 1 - 1e-9:  # sin(angle) would vanish; the chord is exact enough here
        return normalized_quaternion(start + fraction * (end - start))
    angle = float(np.arccos(cosine))
    between: FloatArray = (np.sin((1 - fraction) * angle) * start + np.sin(fraction * angle) * end) / np.sin(angle)
    return between


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RigidTransform:
    """A rotation and a translation, written ``target_T_source``.

    Args:
        rotation: (3, 3) float64, proper rotation.
        translation: (3,) float64, metres, in target.
    """

    rotation: FloatArray
    translation: FloatArray

    def __post_init__(self) -> None:
        """Checks shapes and that the rotation is one.

        Raises:
            InputError: wrong shapes, not finite, or a matrix that is no proper rotation.
        """
        rotation = frozen_array(self.rotation, shape=(3, 3), dtype=np.float64, name="RigidTransform.rotation")
        error = float(np.abs(rotation.T @ rotation - np.eye(3)).max())
        if error > ROTATION_TOLERANCE or np.linalg.det(rotation) < 0:
            raise InputError(f"RigidTransform.rotation: expected a proper rotation, got R^T R off by {error:.2g}.")
        object.__setattr__(self, "rotation", rotation)
        translation = frozen_array(self.translation, shape=(3,), dtype=np.float64, name="RigidTransform.translation")
        object.__setattr__(self, "translation", translation)

    @classmethod
    def identity(cls) -> RigidTransform:
        """The transform that changes nothing.

        Returns:
            Rotation one, translation zero.
        """
        return _identity()

    @classmethod
    def from_quaternion(cls, orientation_xyzw: ArrayLike, translation: ArrayLike) -> RigidTransform:
        """The transform with this orientation and translation.

        Args:
            orientation_xyzw: (4,) x y z w.
            translation: (3,) metres.

        Returns:
            The transform.
        """
        rotation = quaternion_to_matrix(orientation_xyzw)
        return cls(rotation=rotation, translation=np.asarray(translation, dtype=np.float64))

    @property
    def orientation_xyzw(self) -> FloatArray:
        """(4,) float64 unit quaternion x y z w of the rotation, w >= 0."""
        return matrix_to_quaternion(self.rotation)

    @property
    def matrix(self) -> FloatArray:
        """(4, 4) float64 homogeneous matrix."""
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = self.rotation, self.translation
        return matrix

    def apply(self, points: ArrayLike) -> NDArray[np.float64]:
        """Points of the source frame in the target frame.

        Args:
            points: (..., 3) metres; NaN stays NaN.

        Returns:
            (..., 3) float64 metres.
        """
        moved: FloatArray = self.rotate(points) + self.translation
        return moved

    def rotate(self, vectors: ArrayLike) -> NDArray[np.float64]:
        """Directions of the source frame in the target frame: the rotation alone.

        Args:
            vectors: (..., 3).

        Returns:
            (..., 3) float64.
        """
        rotated: FloatArray = np.asarray(vectors, dtype=np.float64) @ self.rotation.T
        return rotated

    def inverse(self) -> RigidTransform:
        """The transform from target back to source.

        Returns:
            ``source_T_target``.
        """
        return RigidTransform(rotation=self.rotation.T, translation=-self.rotation.T @ self.translation)

    def __matmul__(self, other: RigidTransform) -> RigidTransform:
        """The composition: ``a_T_b @ b_T_c`` is ``a_T_c``.

        Args:
            other: transform whose target is this one's source.

        Returns:
            The composed transform.
        """
        rotation = self.rotation @ other.rotation
        # Long chains of products drift off the rotation group by rounding; the projection costs a 3x3 SVD.
        if np.abs(rotation.T @ rotation - np.eye(3)).max() > 1e-12:
            left, _, right = np.linalg.svd(rotation)
            rotation = left @ right
        return RigidTransform(rotation=rotation, translation=self.apply(other.translation))

    def is_close(self, other: RigidTransform, *, translation_m: float = 1e-9, rotation_rad: float = 1e-9) -> bool:
        """Whether two transforms agree within tolerances.

        Args:
            other: the transform to compare with.
            translation_m: largest distance of the translations, metres.
            rotation_rad: largest angle between the rotations, radians.

        Returns:
            True when both differences are within.
        """
        # The angle's sine and cosine together: arccos of the trace alone loses half the digits near zero.
        relative = self.rotation.T @ other.rotation
        skew = relative - relative.T
        sine = 0.5 * float(np.linalg.norm([skew[2, 1], skew[0, 2], skew[1, 0]]))
        angle = float(np.arctan2(sine, (np.trace(relative) - 1) / 2))
        return bool(np.linalg.norm(self.translation - other.translation) <= translation_m and angle <= rotation_rad)


@cache  # immutable, and asked for with every question
def _identity() -> RigidTransform:
    return RigidTransform(rotation=np.eye(3), translation=np.zeros(3))


def interpolate(start: RigidTransform, end: RigidTransform, fraction: float) -> RigidTransform:
    """The transform at ``fraction`` of the way: translation linear, rotation spherical, as tf2 does.

    Args:
        start: transform at fraction 0.
        end: transform at fraction 1.
        fraction: 0 to 1.

    Returns:
        The transform between.
    """
    translation = (1 - fraction) * start.translation + fraction * end.translation
    return RigidTransform.from_quaternion(slerp(start.orientation_xyzw, end.orientation_xyzw, fraction), translation)


MODEL_T_OPTICAL = RigidTransform(rotation=np.diag([-1.0, -1.0, 1.0]), translation=np.zeros(3))
"""Optical axes (x right, y down, z forward) to N3D-VLM's (x left, y up, z forward): half a turn, its own inverse."""


def optical_to_model(points: ArrayLike) -> NDArray[np.float64]:
    """Points of the optical frame in the model's axes (x left, y up, z forward).

    Args:
        points: (..., 3) metres, optical.

    Returns:
        (..., 3) float64 metres.
    """
    return MODEL_T_OPTICAL.apply(points)


def model_to_optical(points: ArrayLike) -> NDArray[np.float64]:
    """Points given in the model's axes (x left, y up, z forward) in the optical frame.

    Args:
        points: (..., 3) metres, model axes.

    Returns:
        (..., 3) float64 metres.
    """
    return MODEL_T_OPTICAL.inverse().apply(points)
