"""A predicted trajectory laid onto the true one by a similarity, also where positions alone fix none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from n3d_ros.depth.evaluation.benchmark_settings import SAMPLE_SEED
from n3d_ros.depth.similarity import Similarity, umeyama
from n3d_ros.errors import InputError
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.transforms import RigidTransform

RANSAC_STEPS = 10  # of the released program
AS_NEAR, MUCH_MORE_TURNED, LEAST_TURN_DEG = 1.5, 3.0, 2.0  # when orientations decide over noisy positions
LEAST_SPREAD_M = 1e-4  # of true cameras, as root mean square distance from their mean: below it they stand still


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrajectoryAlignment:
    """How a predicted trajectory was laid onto the true one.

    Args:
        true_S_predicted: from the prediction's frame and unit to the true frame and metres.
        method: "positions": RANSAC and closed form over the camera positions; "orientations": positions are two or lie
            nearly on a line, so the rotation is that of the orientations and the scale that of the distances;
            "orientations, scale unknown": the cameras stand still, the scale is 1.
        inliers: views that the fit rests on.
        ate_m: root mean square distance of the aligned positions from the true ones, metres.
    """

    true_S_predicted: Similarity
    method: str
    inliers: int
    ate_m: float

    @property
    def has_scale(self) -> bool:
        """Whether the scale was observed."""
        return "unknown" not in self.method


def align_trajectory(
    predicted: Sequence[RigidTransform], true: Sequence[RigidTransform], *, seed: int = SAMPLE_SEED
) -> TrajectoryAlignment:
    """The similarity from predicted to true poses, as the Visual Geometry Benchmark aligns them.

    Ten closed-form fits (Umeyama) to random halves; a view is an inlier of a fit when it lands no farther from its
    true place than the median distance, after a fit to all, between a predicted camera and the nearest true one; the
    fit with most inliers, then with the smallest error, is refined over them. Unlike there, two views, straight lines
    and cameras that stand still are aligned too, and a nearly straight trajectory is not rolled about itself by the
    noise of its positions: where orientations give a fit as near to the positions that turns the cameras much less,
    that one counts.

    Args:
        predicted: ``world_T_camera`` per view, any frame and unit.
        true: ``world_T_camera`` per view, metres.
        seed: of the halves.

    Returns:
        The alignment.

    Raises:
        InputError: no views, or lists of different length.
    """
    if len(predicted) != len(true) or not true:
        raise InputError(f"Trajectories: expected as many predicted as true poses, got {len(predicted)}, {len(true)}.")
    source = np.stack([pose.translation for pose in predicted])
    target = np.stack([pose.translation for pose in true])
    similarity, method = _from_orientations(predicted, true, source, target)
    inliers, fit = len(true), _ransac(source, target, seed)
    if fit is not None and not _rolled_over(fit[0], similarity, predicted, true):
        (similarity, inliers), method = fit, "positions"
    error = np.linalg.norm(similarity.apply(source) - target, axis=1)
    return TrajectoryAlignment(
        true_S_predicted=similarity, method=method, inliers=inliers, ate_m=float(np.sqrt((error**2).mean()))
    )


def _ransac(source: FloatArray, target: FloatArray, seed: int) -> tuple[Similarity, int] | None:
    """The robust fit and its inliers; None where positions fix no similarity."""
    first = umeyama(source, target)
    if first is None:
        return None
    nearest = np.linalg.norm(first.apply(source)[:, None] - target, axis=2).min(axis=1)
    limit = float(np.median(nearest))
    random, half = np.random.default_rng(seed), max(3, (len(source) + 1) // 2)
    best, best_inliers, best_score = first, np.ones(len(source), dtype=bool), (-1, -np.inf)
    for _ in range(RANSAC_STEPS):
        chosen = random.choice(len(source), size=half, replace=False)
        fit = umeyama(source[chosen], target[chosen])
        if fit is None:
            continue
        error = np.linalg.norm(fit.apply(source) - target, axis=1)
        inliers = error <= limit
        score = (int(inliers.sum()), -float(error[inliers].mean()) if inliers.any() else -np.inf)
        if score > best_score:
            best, best_inliers, best_score = fit, inliers, score
    refined = umeyama(source[best_inliers], target[best_inliers]) if best_inliers.sum() >= 3 else None
    return refined or best, int(best_inliers.sum())


def _rolled_over(
    by_positions: Similarity,
    by_orientations: Similarity,
    predicted: Sequence[RigidTransform],
    true: Sequence[RigidTransform],
) -> bool:
    """Whether a fit to positions turns the cameras much more than one to orientations, and is no nearer to them."""
    (far, turned), (other_far, other_turned) = (
        _errors_of(fit, predicted, true) for fit in (by_positions, by_orientations)
    )
    return other_far <= AS_NEAR * far and turned > MUCH_MORE_TURNED * other_turned + LEAST_TURN_DEG


def _errors_of(
    fit: Similarity, predicted: Sequence[RigidTransform], true: Sequence[RigidTransform]
) -> tuple[float, float]:
    """Root mean square distance, and median angle in degrees, between aligned and true cameras."""
    aligned = [fit.apply_to_pose(pose) for pose in predicted]
    far = [float(np.linalg.norm(a.translation - t.translation)) for a, t in zip(aligned, true, strict=True)]
    cosines = [(np.trace(a.rotation.T @ t.rotation) - 1) / 2 for a, t in zip(aligned, true, strict=True)]
    return float(np.sqrt(np.mean(np.square(far)))), float(np.degrees(np.arccos(np.clip(np.median(cosines), -1, 1))))


def _from_orientations(
    predicted: Sequence[RigidTransform], true: Sequence[RigidTransform], source: FloatArray, target: FloatArray
) -> tuple[Similarity, str]:
    """Rotation nearest to all turns between predicted and true cameras, scale from the spread of the positions."""
    turns = sum(t.rotation @ p.rotation.T for p, t in zip(predicted, true, strict=True))
    left, _, right = np.linalg.svd(turns)
    rotation = left @ np.diag([1, 1, np.sign(np.linalg.det(left @ right))]) @ right
    dx, dy = source - source.mean(axis=0), target - target.mean(axis=0)
    spread = [float(np.sqrt((d**2).sum(axis=1).mean())) for d in (dx, dy)]
    known = spread[1] > LEAST_SPREAD_M and spread[0] > 0
    scale = spread[1] / spread[0] if known else 1.0
    similarity = Similarity(
        scale=scale, rotation=rotation, translation=target.mean(axis=0) - scale * (rotation @ source.mean(axis=0))
    )
    return similarity, "orientations" if known else "orientations, scale unknown"
