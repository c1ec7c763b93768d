"""Oriented boxes: centre, full size along their own axes, orientation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from n3d_ros.errors import InputError
from n3d_ros.geometry.arrays import BoolArray, FloatArray, frozen_array
from n3d_ros.geometry.transforms import RigidTransform, normalized_quaternion, quaternion_to_matrix

CORNER_SIGNS: NDArray[np.float64] = np.array(
    [[sx, sy, sz] for sx in (-1.0, 1.0) for sy in (-1.0, 1.0) for sz in (-1.0, 1.0)]
)
"""(8, 3) signs of the corners: corner ``4 i + 2 j + k`` lies at -x or +x (i), -y or +y (j), -z or +z (k)."""

BOX_EDGES: tuple[tuple[int, int], ...] = (
    (0, 1), (2, 3), (4, 5), (6, 7),  # along z
    (0, 2), (1, 3), (4, 6), (5, 7),  # along y
    (0, 4), (1, 5), (2, 6), (3, 7),  # along x
)  # fmt: skip
"""The twelve edges as pairs of corner indices, in the order of ``Box3D.corners``."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Box3D:
    """An oriented box. The frame is known by whoever holds it.

    Args:
        center: (3,) float64, metres.
        size: (3,) float64, metres: full lengths along the box's own x, y, z; each above zero.
        orientation_xyzw: (4,) float64 unit quaternion: the box's axes in the frame. Normalised on construction.
    """

    center: FloatArray
    size: FloatArray
    orientation_xyzw: FloatArray

    def __post_init__(self) -> None:
        """Checks shapes and sizes.

        Raises:
            InputError: wrong shapes, not finite, a size that is not above zero, or a zero quaternion.
        """
        object.__setattr__(self, "center", frozen_array(self.center, shape=(3,), dtype=np.float64, name="Box3D.center"))
        size = frozen_array(self.size, shape=(3,), dtype=np.float64, name="Box3D.size")
        if not (size > 0).all():
            raise InputError(f"Box3D.size: expected three lengths above 0 m, got {size.tolist()}.")
        object.__setattr__(self, "size", size)
        quaternion = normalized_quaternion(self.orientation_xyzw)
        quaternion.flags.writeable = False
        object.__setattr__(self, "orientation_xyzw", quaternion)

    @classmethod
    def axis_aligned(cls, center: ArrayLike, size: ArrayLike) -> Box3D:
        """A box along the frame's own axes.

        Args:
            center: (3,) metres.
            size: (3,) metres.

        Returns:
            The box with identity orientation.
        """
        identity = np.array([0.0, 0.0, 0.0, 1.0])
        return cls(center=np.asarray(center), size=np.asarray(size), orientation_xyzw=identity)

    @property
    def rotation(self) -> FloatArray:
        """(3, 3) float64: the box's axes as columns, in the frame."""
        return quaternion_to_matrix(self.orientation_xyzw)

    @property
    def pose(self) -> RigidTransform:
        """``frame_T_box``: takes coordinates along the box's axes to the frame."""
        return RigidTransform(rotation=self.rotation, translation=self.center)

    @property
    def volume(self) -> float:
        """Volume in cubic metres."""
        return float(np.prod(self.size))

    @property
    def corners(self) -> FloatArray:
        """(8, 3) float64 metres, in the order of ``CORNER_SIGNS``."""
        corners: FloatArray = self.center + (CORNER_SIGNS * self.size / 2) @ self.rotation.T
        return corners

    def local(self, points: ArrayLike) -> FloatArray:
        """Points relative to the centre, along the box's own axes.

        Args:
            points: (..., 3) metres, in the frame.

        Returns:
            (..., 3) float64 metres.
        """
        local: FloatArray = (np.asarray(points, dtype=np.float64) - self.center) @ self.rotation
        return local

    def contains(self, points: ArrayLike, *, margin_m: float = 0.0) -> BoolArray:
        """Which points lie inside the box or on its surface.

        Args:
            points: (..., 3) metres; NaN is outside.
            margin_m: metres added on every side (negative: taken away).

        Returns:
            (...) bool.
        """
        within = np.abs(self.local(points)) <= self.size / 2 + margin_m
        inside: BoolArray = np.logical_and.reduce(within, axis=-1)
        return inside

    def transformed(self, target_T_source: RigidTransform) -> Box3D:
        """The same box, expressed in another frame.

        Args:
            target_T_source: from this box's frame to the wanted one.

        Returns:
            The box in the target frame.
        """
        pose = target_T_source @ self.pose
        return Box3D(center=pose.translation, size=self.size, orientation_xyzw=pose.orientation_xyzw)

    def yaw_about(self, up: ArrayLike, forward: ArrayLike) -> float:
        """The angle of the box's x axis about ``up``, right-handed, from ``forward``.

        Args:
            up: (3,) axis of the turn.
            forward: (3,) direction of angle zero; its part along ``up`` does not count.

        Returns:
            Radians in (-pi, pi].

        Raises:
            InputError: ``forward`` is parallel to ``up``.
        """
        axis = np.asarray(up, dtype=np.float64)
        axis = axis / np.linalg.norm(axis)
        zero = np.asarray(forward, dtype=np.float64)
        zero = zero - (zero @ axis) * axis
        if np.linalg.norm(zero) < 1e-9:
            raise InputError("Box3D.yaw_about: expected a forward direction that is not parallel to up.")
        x_axis = self.rotation[:, 0]
        return float(np.arctan2(np.cross(zero, x_axis) @ axis, x_axis @ zero))
