"""Similarities (rotation, translation, one scale) between two sets of matched points: closed form and robust.

The closed form is Umeyama's (Least-squares estimation of transformation parameters between two point patterns, PAMI
1991, eqs. 34-43), here with weights. The robust form repeats it with Huber weights (iteratively reweighted least
squares), as DA3-Streaming aligns chunks. Points that fix no similarity give None, never an arbitrary one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import ArrayLike

from n3d_ros.errors import InputError
from n3d_ros.geometry.arrays import FloatArray, finite_float
from n3d_ros.geometry.transforms import RigidTransform

MIN_SPREAD = 1e-6  # second over first singular value of the covariance: below it points lie on one line
HUBER_DELTA = 0.1  # of DA3-Streaming, in units of the target points
HUBER_STEPS = 5
HUBER_TOLERANCE = 1e-9


class Freedom(str, Enum):
    """What of a similarity is estimated."""

    SIM3 = "sim3"  # rotation, translation and scale
    SE3 = "se3"  # rotation and translation, for two sets of one scale
    SCALE_THEN_SE3 = "scale+se3"  # scale from the sets' spreads, then rotation and translation: less drawn by outliers


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Similarity:
    """x -> scale * rotation @ x + translation, written ``target_S_source``.

    Args:
        scale: above 0; lengths in target over lengths in source.
        rotation: (3, 3) float64, proper rotation.
        translation: (3,) float64, in target.
    """

    scale: float
    rotation: FloatArray
    translation: FloatArray

    def __post_init__(self) -> None:
        """Checks the numbers.

        Raises:
            InputError: a scale of 0 or less, or no proper rotation.
        """
        object.__setattr__(self, "scale", finite_float(self.scale, name="Similarity.scale", minimum=0, exclusive=True))
        rigid = RigidTransform(rotation=self.rotation, translation=self.translation)
        object.__setattr__(self, "rotation", rigid.rotation)
        object.__setattr__(self, "translation", rigid.translation)

    @classmethod
    def identity(cls) -> Similarity:
        """The similarity that changes nothing.

        Returns:
            Scale one, rotation one, translation zero.
        """
        return cls(scale=1.0, rotation=np.eye(3), translation=np.zeros(3))

    @property
    def matrix(self) -> FloatArray:
        """(4, 4) float64 homogeneous matrix, the scale in its rotation part."""
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = self.scale * self.rotation, self.translation
        return matrix

    def apply(self, points: ArrayLike) -> FloatArray:
        """Points of source in target.

        Args:
            points: (..., 3); NaN stays NaN.

        Returns:
            (..., 3) float64.
        """
        moved: FloatArray = self.scale * (np.asarray(points, dtype=np.float64) @ self.rotation.T) + self.translation
        return moved

    def apply_to_pose(self, source_T_camera: RigidTransform) -> RigidTransform:
        """A camera's pose in target; the camera's own axes keep their unit length, so depths must be scaled besides.

        Args:
            source_T_camera: camera to source.

        Returns:
            Camera to target.
        """
        moved = RigidTransform(rotation=self.rotation, translation=np.zeros(3)) @ source_T_camera
        return RigidTransform(rotation=moved.rotation, translation=self.apply(source_T_camera.translation))

    def inverse(self) -> Similarity:
        """The similarity from target back to source.

        Returns:
            ``source_S_target``.
        """
        back = self.rotation.T
        return Similarity(scale=1 / self.scale, rotation=back, translation=-(back @ self.translation) / self.scale)

    def __matmul__(self, other: Similarity) -> Similarity:
        """The composition: ``a_S_b @ b_S_c`` is ``a_S_c``.

        Args:
            other: similarity whose target is this one's source.

        Returns:
            The composed similarity.
        """
        turn = RigidTransform(rotation=self.rotation, translation=np.zeros(3))
        turned = turn @ RigidTransform(rotation=other.rotation, translation=np.zeros(3))  # stays a rotation over chains
        return Similarity(
            scale=self.scale * other.scale, rotation=turned.rotation, translation=self.apply(other.translation)
        )


def umeyama(
    source: ArrayLike, target: ArrayLike, weights: ArrayLike | None = None, *, freedom: Freedom = Freedom.SIM3
) -> Similarity | None:
    """The similarity that takes ``source`` to ``target`` with the least sum of weighted squared distances.

    Args:
        source: (N, 3) finite points.
        target: (N, 3) finite points, row by row the same ones.
        weights: (N,) finite, 0 or more; None for equal ones.
        freedom: what is estimated; the scale is 1 for ``SE3``.

    Returns:
        ``target_S_source``; None where points fix none: fewer than three with weight, all in one place, or on a line.

    Raises:
        InputError: shapes that differ, numbers that are not finite, or negative weights.
    """
    x, y, w = _checked(source, target, weights)
    return _weighted_fit(x, y, w, freedom)


def huber_similarity(
    source: ArrayLike,
    target: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    freedom: Freedom = Freedom.SIM3,
    delta: float = HUBER_DELTA,
    steps: int = HUBER_STEPS,
    tolerance: float = HUBER_TOLERANCE,
) -> Similarity | None:
    """The similarity from ``source`` to ``target`` with little heed to matches further off than ``delta``.

    Minimises the weighted Huber loss of the distances by reweighted closed-form fits: a match at distance r counts
    min(1, delta / r).

    Args:
        source: (N, 3) finite points.
        target: (N, 3) finite points, row by row the same ones.
        weights: (N,) finite, 0 or more; None for equal ones.
        freedom: what is estimated.
        delta: distance in units of the target from which a match counts less.
        steps: fits after the first.
        tolerance: ends early once no entry of the similarity's matrix changes by more.

    Returns:
        ``target_S_source``; None where points fix none.

    Raises:
        InputError: shapes that differ, numbers that are not finite, negative weights, or a delta of 0 or less.
    """
    x, y, w = _checked(source, target, weights)
    delta = finite_float(delta, name="Huber delta", minimum=0, exclusive=True)
    fit = _weighted_fit(x, y, w, freedom)
    for _ in range(steps):
        if fit is None:
            return None
        residuals = np.linalg.norm(fit.apply(x) - y, axis=1)
        closer = _weighted_fit(x, y, w * np.minimum(1, delta / np.maximum(residuals, 1e-300)), freedom)
        if closer is None:
            return None
        change, fit = float(np.abs(closer.matrix - fit.matrix).max()), closer
        if change < tolerance:
            break
    return fit


def _checked(source: ArrayLike, target: ArrayLike, weights: ArrayLike | None) -> tuple[FloatArray, ...]:
    x, y = np.asarray(source, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] != 3 or y.shape != x.shape:
        raise InputError(f"Matched points: expected two arrays (points, 3) of one length, got {x.shape} and {y.shape}.")
    w = np.ones(len(x)) if weights is None else np.asarray(weights, dtype=np.float64)
    if w.shape != x.shape[:1]:
        raise InputError(f"Weights of matched points: expected shape ({len(x)},), got {w.shape}.")
    if not (np.isfinite(x).all() and np.isfinite(y).all() and np.isfinite(w).all()) or (w < 0).any():
        raise InputError("Matched points: expected finite points and weights of 0 or more; leave invalid ones out.")
    return x, y, w


def _weighted_fit(x: FloatArray, y: FloatArray, w: FloatArray, freedom: Freedom) -> Similarity | None:
    total = w.sum()
    if np.count_nonzero(w) < 3 or not total > 0:
        return None
    w = w / total
    mean_x, mean_y = w @ x, w @ y
    dx, dy = x - mean_x, y - mean_y
    spread_x, spread_y = float(w @ (dx**2).sum(axis=1)), float(w @ (dy**2).sum(axis=1))
    covariance = (dy * w[:, None]).T @ dx
    left, sizes, right = np.linalg.svd(covariance)
    # One singular value alone: points in one place or on a line, about which any turn fits as well. The floor is what
    # rounding leaves of points far from the origin.
    floor = 1e-14 * (float(mean_x @ mean_x) * float(mean_y @ mean_y)) ** 0.5
    if sizes[1] <= max(floor, MIN_SPREAD * sizes[0]) or min(spread_x, spread_y) <= 0:
        return None
    signs = np.array([1, 1, np.sign(np.linalg.det(left) * np.linalg.det(right))])  # a rotation, not a reflection
    rotation = (left * signs) @ right
    if freedom is Freedom.SE3:
        scale = 1.0
    elif freedom is Freedom.SCALE_THEN_SE3:
        scale = (spread_y / spread_x) ** 0.5
    else:
        scale = float(sizes @ signs) / spread_x
    if not (np.isfinite(scale) and scale > 0):
        return None
    return Similarity(scale=scale, rotation=rotation, translation=mean_y - scale * (rotation @ mean_x))
