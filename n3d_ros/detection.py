"""What grounding returns: labelled oriented boxes with evidence, and the surfaces they stand on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from n3d_ros.errors import InputError
from n3d_ros.geometry.arrays import BoolArray, FloatArray, finite_float, frozen_array
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.transforms import RigidTransform

SURFACE_KINDS = ("table", "floor", "shelf", "wall")

SHADES: frozenset[frozenset[str]] = frozenset(
    frozenset(pair.split())
    for pair in (
        "black grey", "grey white", "red brown", "orange brown", "red orange", "red pink", "orange yellow",
        "purple pink", "purple blue", "cyan blue", "cyan green", "brown black", "pink orange", "yellow green",
        "yellow brown",
    )
)  # fmt: skip
"""Neighbours into which light, shadow and a camera's white balance turn each other: one object, one word."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoxUncertainty:
    """How far a box may be off: one standard deviation and covariances.

    Args:
        center_covariance_m2: (3, 3) float64, square metres, in the frame the box is given in.
        size_stddev_m: (3,) float64, metres, along the box's own axes.
        yaw_stddev_rad: radians, about the vertical; pi / sqrt(3) when the yaw says nothing (round objects).
    """

    center_covariance_m2: FloatArray
    size_stddev_m: FloatArray
    yaw_stddev_rad: float

    def __post_init__(self) -> None:
        """Checks shapes and signs.

        Raises:
            InputError: wrong shapes, not finite, asymmetric, or negative variances.
        """
        covariance = frozen_array(
            self.center_covariance_m2, shape=(3, 3), dtype=np.float64, name="BoxUncertainty.center_covariance_m2"
        )
        scale = max(float(np.abs(covariance).max()), 1e-12)
        if np.abs(covariance - covariance.T).max() > 1e-9 * scale or (np.diag(covariance) < 0).any():
            raise InputError("BoxUncertainty.center_covariance_m2: expected a symmetric matrix, variances >= 0.")
        object.__setattr__(self, "center_covariance_m2", covariance)
        stddev = frozen_array(self.size_stddev_m, shape=(3,), dtype=np.float64, name="BoxUncertainty.size_stddev_m")
        if (stddev < 0).any():
            raise InputError(f"BoxUncertainty.size_stddev_m: expected metres >= 0, got {stddev.tolist()}.")
        object.__setattr__(self, "size_stddev_m", stddev)
        finite_float(self.yaw_stddev_rad, name="BoxUncertainty.yaw_stddev_rad", minimum=0)

    def rotated(self, target_T_source: RigidTransform) -> BoxUncertainty:
        """The same uncertainty expressed in another frame.

        Args:
            target_T_source: from the frame it is given in.

        Returns:
            The rotated uncertainty; the transform itself is taken as exact.
        """
        rotation = target_T_source.rotation
        covariance = rotation @ self.center_covariance_m2 @ rotation.T
        return replace(self, center_covariance_m2=(covariance + covariance.T) / 2)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Detection3D:
    """One object found in one frame.

    Args:
        label: what it is, in words ("red box").
        box: the oriented box; its frame is that of the result it belongs to.
        score: 0 to 1, None when the grounder gives none.
        support_ratio: share of the box's sides that should be visible and are backed by measured points, 0 to 1;
            None when not checked against depth.
        color: basic colour word ("red", "red and white"), None when unknown.
        shape: shape word ("box", "cylinder", "ball", "bowl", "flat"), None when unknown.
        uncertainty: None when unknown.
        point_count: measured points that belong to the object.
        mask: (H, W) bool, the object's pixels in the frame, None when the grounder gives none.
    """

    label: str
    box: Box3D
    score: float | None = None
    support_ratio: float | None = None
    color: str | None = None
    shape: str | None = None
    uncertainty: BoxUncertainty | None = None
    point_count: int = 0
    mask: BoolArray | None = None

    def __post_init__(self) -> None:
        """Checks ranges and freezes the mask.

        Raises:
            InputError: empty label, a score or ratio outside 0 to 1, or a negative count.
        """
        if not self.label:
            raise InputError("Detection3D.label: expected words, got an empty string.")
        for name, value in (("score", self.score), ("support_ratio", self.support_ratio)):
            if value is not None and not 0 <= value <= 1:
                raise InputError(f"Detection3D.{name}: expected 0 to 1 or None, got {value}.")
        if self.point_count < 0:
            raise InputError(f"Detection3D.point_count: expected 0 or more, got {self.point_count}.")
        if self.mask is not None:
            mask = frozen_array(self.mask, shape=(None, None), dtype=np.bool_, name="Detection3D.mask")
            object.__setattr__(self, "mask", mask)

    def transformed(self, target_T_source: RigidTransform) -> Detection3D:
        """The same detection, expressed in another frame.

        Args:
            target_T_source: from the frame the box is given in.

        Returns:
            The detection in the target frame; the mask stays that of the image.
        """
        uncertainty = None if self.uncertainty is None else self.uncertainty.rotated(target_T_source)
        return replace(self, box=self.box.transformed(target_T_source), uncertainty=uncertainty)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SupportSurface:
    """A flat piece of the world that carries or bounds objects.

    Args:
        normal: (3,) float64 unit normal towards the free side.
        offset_m: metres; a point p lies ``normal . p + offset_m`` above the surface.
        kind: one of ``SURFACE_KINDS``.
        outline: (N, 3) float64 metres, corners of its seen extent, in order.
    """

    normal: FloatArray
    offset_m: float
    kind: str
    outline: FloatArray

    def __post_init__(self) -> None:
        """Checks shapes, the unit normal and the kind.

        Raises:
            InputError: wrong shapes, a normal not of length one, or an unknown kind.
        """
        normal = frozen_array(self.normal, shape=(3,), dtype=np.float64, name="SupportSurface.normal")
        if abs(float(np.linalg.norm(normal)) - 1) > 1e-6:
            raise InputError(f"SupportSurface.normal: expected length 1, got {np.linalg.norm(normal):.6f}.")
        if self.kind not in SURFACE_KINDS:
            raise InputError(f"SupportSurface.kind: expected one of {', '.join(SURFACE_KINDS)}, got {self.kind!r}.")
        object.__setattr__(self, "normal", normal)
        finite_float(self.offset_m, name="SupportSurface.offset_m")
        outline = frozen_array(self.outline, shape=(None, 3), dtype=np.float64, name="SupportSurface.outline")
        object.__setattr__(self, "outline", outline)

    def transformed(self, target_T_source: RigidTransform) -> SupportSurface:
        """The same surface, expressed in another frame.

        Args:
            target_T_source: from the frame it is given in.

        Returns:
            The surface in the target frame.
        """
        normal = target_T_source.rotate(self.normal)
        offset_m = self.offset_m - float(normal @ target_T_source.translation)
        return replace(self, normal=normal, offset_m=offset_m, outline=target_T_source.apply(self.outline))

    def height_m(self, points: NDArray[np.floating]) -> FloatArray:
        """How far points lie above the surface.

        Args:
            points: (..., 3) metres.

        Returns:
            (...) float64 metres, negative below.
        """
        height: FloatArray = np.asarray(points, dtype=np.float64) @ self.normal + self.offset_m
        return height
