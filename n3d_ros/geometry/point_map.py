"""Per-pixel points of an image, and the normalisation with which a scale-free model sees them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from n3d_ros.errors import InputError
from n3d_ros.geometry.arrays import BoolArray, Float32Array, FloatArray, finite_float, frozen_array
from n3d_ros.geometry.camera import CameraIntrinsics, unproject


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PointMap:
    """One point per pixel, camera optical frame.

    Args:
        xyz: (H, W, 3) float32 metres, NaN where invalid.
        valid: (H, W) bool.
    """

    xyz: Float32Array
    valid: BoolArray

    def __post_init__(self) -> None:
        """Checks that shapes agree and that valid points are finite.

        Raises:
            InputError: shapes differ, or a point marked valid is not finite.
        """
        xyz = frozen_array(self.xyz, shape=(None, None, 3), dtype=np.float32, name="PointMap.xyz", finite=False)
        valid = frozen_array(self.valid, shape=xyz.shape[:2], dtype=np.bool_, name="PointMap.valid")
        if not np.isfinite(xyz[valid]).all():
            raise InputError("PointMap: expected every valid point to be finite.")
        object.__setattr__(self, "xyz", xyz)
        object.__setattr__(self, "valid", valid)

    @classmethod
    def from_depth(cls, depth_m: ArrayLike, intrinsics: CameraIntrinsics) -> PointMap:
        """The point map of a depth image.

        Args:
            depth_m: (H, W) z-depth in metres, NaN where unknown.
            intrinsics: of the same size.

        Returns:
            Points with ``valid`` where depth is finite.
        """
        xyz = unproject(depth_m, intrinsics)
        valid = np.isfinite(xyz[..., 2])
        xyz.flags.writeable = False
        valid.flags.writeable = False
        return cls(xyz=xyz, valid=valid)

    @property
    def points(self) -> Float32Array:
        """(N, 3) float32 metres: the valid points in row-major order."""
        return self.xyz[self.valid]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PointNormalization:
    """An affine change of scale with its exact inverse: ``(p - offset) * scale``.

    Args:
        offset_m: (3,) float64 metres.
        scale_per_m: 1/m, above 0.
    """

    offset_m: FloatArray
    scale_per_m: float

    def __post_init__(self) -> None:
        """Checks both."""
        offset = frozen_array(self.offset_m, shape=(3,), dtype=np.float64, name="PointNormalization.offset_m")
        object.__setattr__(self, "offset_m", offset)
        scale = finite_float(self.scale_per_m, name="PointNormalization.scale_per_m", minimum=0, exclusive=True)
        object.__setattr__(self, "scale_per_m", scale)

    @classmethod
    def corner_and_mean_distance(cls, points: ArrayLike) -> PointNormalization:
        """N3D-VLM's normalisation: shift to the per-axis minimum, divide by the mean distance from that corner.

        Args:
            points: (N, 3) metres, all valid.

        Returns:
            The normalisation.

        Raises:
            InputError: no points, or all in one place, so that no scale exists.
        """
        xyz = np.asarray(points, dtype=np.float64).reshape(-1, 3)
        if len(xyz) == 0:
            raise InputError("PointNormalization: expected at least one valid point, got none.")
        offset = xyz.min(axis=0)
        mean_distance = float(np.linalg.norm(xyz - offset, axis=1).mean())
        if not mean_distance > 0:
            raise InputError("PointNormalization: expected points in more than one place; their extent is 0 m.")
        return cls(offset_m=offset, scale_per_m=1 / mean_distance)

    def normalize(self, points: ArrayLike) -> NDArray[np.float64]:
        """Points in model units.

        Args:
            points: (..., 3) metres.

        Returns:
            (..., 3) float64, without unit.
        """
        return (np.asarray(points, dtype=np.float64) - self.offset_m) * self.scale_per_m

    def denormalize(self, points: ArrayLike) -> NDArray[np.float64]:
        """Points in metres: the inverse of ``normalize``.

        Args:
            points: (..., 3) model units.

        Returns:
            (..., 3) float64 metres.
        """
        return np.asarray(points, dtype=np.float64) / self.scale_per_m + self.offset_m
