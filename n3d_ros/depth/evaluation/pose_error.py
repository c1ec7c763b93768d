"""Errors of relative camera poses over all pairs of views, and the area under their accuracy curve.

The measure of the Visual Geometry Benchmark (Depth Anything 3, section 6.1; earlier in VGGT and PoseDiffusion): of
every pair, the angle by which the relative rotation is off and the angle by which the direction of the relative
translation is off; the larger of the two counts. Neither depends on the frame or the scale of the poses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from n3d_ros.errors import InputError
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.transforms import RigidTransform

MIN_BASELINE_M = 1e-3  # between true cameras; below it their direction is measurement noise
WRONG_DEG = 180.0  # the error of a view without a pose: no threshold in use counts it as right


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairErrors:
    """Errors of the relative poses of all pairs (i, j) with i < j, in the order (0, 1), (0, 2), ... (1, 2), ...

    Args:
        rotation_deg: (P,) float64, 0 to 180.
        translation_deg: (P,) float64, 0 to 90, because the sign of the direction does not count; 180 where a pose is
            missing; NaN where the true cameras stand in one place, so that there is no direction to compare.
    """

    rotation_deg: FloatArray
    translation_deg: FloatArray

    @property
    def worst_deg(self) -> FloatArray:
        """(P,) float64: the larger of both angles; of the rotation alone where there is no direction."""
        return np.asarray(np.fmax(self.rotation_deg, self.translation_deg))

    @property
    def without_direction(self) -> int:
        """How many pairs are judged by their rotation alone."""
        return int(np.isnan(self.translation_deg).sum())


def pair_errors(
    predicted: Sequence[RigidTransform | None],
    true: Sequence[RigidTransform],
    *,
    released_formula: bool = False,
    min_baseline_m: float = MIN_BASELINE_M,
) -> PairErrors:
    """Errors of the pose of camera j as camera i sees it, for all pairs.

    Args:
        predicted: ``world_T_camera`` per view, in any frame and unit; None where there is none.
        true: ``world_T_camera`` per view, metres.
        released_formula: compare inv(E_i) E_j of world-to-camera matrices E relative to the first camera, as the
            benchmark's released program does (and VGGT's before it), instead of E_i inv(E_j), the pose of camera j in
            camera i. Published figures were made so.
        min_baseline_m: true cameras nearer than this have no direction; of no effect with the released formula.

    Returns:
        One pair of angles per pair of views.

    Raises:
        InputError: fewer than two views, or lists of different length.
    """
    if len(predicted) != len(true):
        raise InputError(f"Pose errors: expected one predicted pose per view, got {len(predicted)} for {len(true)}.")
    if len(true) < 2:
        raise InputError(f"Pose errors: expected two views or more to make a pair, got {len(true)}.")
    first, second = np.triu_indices(len(true), k=1)
    present = np.array([pose is not None for pose in predicted])
    guess = _relative([pose or RigidTransform.identity() for pose in predicted], first, second, released_formula)
    truth = _relative(true, first, second, released_formula)
    rotation = _rotation_angles(guess[:, :3, :3], truth[:, :3, :3])
    centers = np.stack([pose.translation for pose in true])
    baseline = np.linalg.norm(centers[first] - centers[second], axis=1)
    translation = _direction_angles(guess[:, :3, 3], truth[:, :3, 3])
    missing = ~(present[first] & present[second])
    rotation[missing] = WRONG_DEG
    translation[missing] = WRONG_DEG
    if not released_formula:
        translation[baseline < min_baseline_m] = np.nan
    return PairErrors(rotation_deg=rotation, translation_deg=translation)


def auc(errors_deg: ArrayLike, threshold_deg: int) -> float:
    """The area under the share of pairs whose error is below x, for x to a threshold, as a share of the whole area.

    Errors are counted in bins of one degree, so it is the mean over x = 1, 2, ..., threshold of the share below x.

    Args:
        errors_deg: (P,) degrees; NaN counts as wrong.
        threshold_deg: 1 or more whole degrees.

    Returns:
        0 to 1.

    Raises:
        InputError: no errors, or a threshold below one degree.
    """
    errors = np.nan_to_num(np.asarray(errors_deg, dtype=np.float64).ravel(), nan=WRONG_DEG)
    if not len(errors) or threshold_deg < 1:
        raise InputError(
            f"AUC: expected errors and a threshold of 1 degree or more, got {len(errors)}, {threshold_deg}."
        )
    counts, _ = np.histogram(errors, bins=np.arange(int(threshold_deg) + 1))  # the last bin holds its right edge too
    return float(np.cumsum(counts / len(errors)).mean())


def _relative(
    poses: Sequence[RigidTransform], first: np.ndarray, second: np.ndarray, released_formula: bool
) -> FloatArray:
    """(P, 4, 4) relative transforms of the pairs."""
    world_T_camera = np.stack([pose.matrix for pose in poses])
    if released_formula:
        extrinsics = np.stack([pose.inverse().matrix for pose in poses]) @ world_T_camera[0]
        released: FloatArray = np.linalg.inv(extrinsics[first]) @ extrinsics[second]
        return released
    camera_T_world = np.stack([pose.inverse().matrix for pose in poses])
    relative: FloatArray = camera_T_world[first] @ world_T_camera[second]
    return relative


def _rotation_angles(a: FloatArray, b: FloatArray) -> FloatArray:
    """(P,) degrees between rotations (P, 3, 3); sine and cosine together, since arccos loses half the digits at 0."""
    between = np.swapaxes(a, 1, 2) @ b
    skew = np.stack(
        [between[:, 2, 1] - between[:, 1, 2], between[:, 0, 2] - between[:, 2, 0], between[:, 1, 0] - between[:, 0, 1]],
        axis=1,
    )
    sine, cosine = np.linalg.norm(skew, axis=1) / 2, (np.trace(between, axis1=1, axis2=2) - 1) / 2
    angles: FloatArray = np.degrees(np.arctan2(sine, cosine))
    return angles


def _direction_angles(a: FloatArray, b: FloatArray) -> FloatArray:
    """(P,) degrees between lines along vectors (P, 3): 0 to 90; 90 where one of them is zero."""
    sine, cosine = np.linalg.norm(np.cross(a, b), axis=1), np.abs((a * b).sum(axis=1))
    zero = (np.linalg.norm(a, axis=1) == 0) | (np.linalg.norm(b, axis=1) == 0)
    return np.where(zero, 90.0, np.degrees(np.arctan2(sine, cosine)))
