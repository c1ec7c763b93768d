"""How many of the network's units make a metre, read from camera positions: given in metres, predicted in its units.

The released code fits a similarity to the camera positions, which needs three positions that are not on a line: one or
two views, a robot that drives straight and a robot that stands raise there. Distances between positions know the scale
from two views on and on straight lines, so they are the default; where they do not know it the answer is None, with the
reason, and whoever asks takes a metric model instead. The similarity is kept as a choice, for comparison.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import ArrayLike

from n3d_ros.depth.similarity import Similarity, umeyama
from n3d_ros.errors import InputError
from n3d_ros.geometry.arrays import FloatArray

MIN_BASELINE_M = 0.05  # between given positions: errors of tf and calibration, about a millimetre, stay near 2 %
POSITION_ERROR = 0.01  # of a camera beside another, over the depth they see: what networks are taken to be off by
MIN_PARALLAX = 3 * POSITION_ERROR  # predicted distance over depth; errors lengthen it, so closer cameras seem to pass
MAX_DISAGREEMENT = (
    0.15  # rms residual over rms distance; noise of that size makes the scale up to 5 % too large on average
)
MAX_STEPS = 30  # of the robust fit; it settles in about five
TUKEY_REACH = 4.685  # in standard deviations: 95 % of the efficiency of least squares where there are no outliers
SMALLEST_RANSAC = 10  # views from which the released code draws subsets
REFERENCE_SEED = 42


class ScaleMethod(str, Enum):
    """How the scale is found."""

    PAIRWISE = "pairwise"  # robust ratio of distances between cameras: from two views on, also in a line
    SIM3 = "sim3"  # the released code's similarity of positions: needs three that are not in a line


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseScale:
    """A scale read from poses, or why there is none.

    Args:
        scale: network units per metre, so metres are a network depth divided by it; None where it cannot be told.
        reason: a sentence; empty where there is a scale.
        baseline_m: largest distance between given positions, metres.
        disagreement: rms residual of predicted distances over their rms, outliers left out; 0 is perfect, and always
            for two views, which have one distance; NaN without a fit.
        parallax: largest predicted distance between cameras over the predicted depth; infinite where no depth is known.
    """

    scale: float | None
    reason: str = ""
    baseline_m: float = 0.0
    disagreement: float = float("nan")
    parallax: float = float("inf")

    @property
    def expected_error(self) -> float:
        """Share by which the scale may be off, for an error of ``POSITION_ERROR`` in the largest distance."""
        return POSITION_ERROR / self.parallax if self.parallax > 0 else float("inf")


def scale_between(
    predicted_centers: ArrayLike, given_centers: ArrayLike, *, method: ScaleMethod = ScaleMethod.PAIRWISE
) -> float | None:
    """Network units per metre, None where positions do not tell; ``pose_scale`` says why.

    Args:
        predicted_centers: (S, 3) camera positions in the network's unit, in any frame.
        given_centers: (S, 3) camera positions in metres, in any frame.
        method: how it is found.

    Returns:
        The scale, above 0, or None.
    """
    return pose_scale(predicted_centers, given_centers, method=method).scale


def pose_scale(
    predicted_centers: ArrayLike,
    given_centers: ArrayLike,
    *,
    method: ScaleMethod = ScaleMethod.PAIRWISE,
    min_baseline_m: float = MIN_BASELINE_M,
    predicted_depth: float | None = None,
) -> PoseScale:
    """Network units per metre from distances between cameras, or the reason why they do not tell.

    Args:
        predicted_centers: (S, 3) camera positions in the network's unit, in any frame.
        given_centers: (S, 3) camera positions in metres, in any frame.
        method: how it is found.
        min_baseline_m: largest given distance below which the rig counts as standing, metres.
        predicted_depth: typical depth in the network's unit; where given, cameras predicted closer together than
            ``MIN_PARALLAX`` of it tell no scale, however many they are: errors of neighbouring views are alike, and a
            network that was fed the poses repeats their shape, so that agreement among them proves little.

    Returns:
        The scale or the reason, with the figures it rests on.

    Raises:
        InputError: positions that are not (S, 3), differ in number, or are not finite.
    """
    predicted, given = _checked(predicted_centers, given_centers)
    views = len(given)
    if views < 2:
        return PoseScale(scale=None, reason=f"{views} view: one position has no distance to measure scale by")
    lengths, baselines = _distances(predicted), _distances(given)
    baseline = float(baselines.max())
    if baseline < min_baseline_m:
        return PoseScale(
            scale=None,
            reason=f"the given positions are at most {baseline:.3g} m apart, less than {min_baseline_m:g} m",
            baseline_m=baseline,
        )
    if not lengths.max() > 1e-9:
        return PoseScale(scale=None, reason=_unseen(baseline), baseline_m=baseline, parallax=0.0)
    parallax = float(lengths.max()) / predicted_depth if predicted_depth else float("inf")
    if parallax < MIN_PARALLAX:
        reason = (
            f"{_unseen(baseline)}: {parallax:.2g} of the depth, less than {MIN_PARALLAX:g}, where an error of a third "
            "of the scale would be no surprise"
        )
        return PoseScale(scale=None, reason=reason, baseline_m=baseline, parallax=parallax)
    found = _of_similarity(predicted, given) if method is ScaleMethod.SIM3 else _of_distances(lengths, baselines)
    return replace(found, baseline_m=baseline, parallax=parallax)


def reference_similarity(predicted_centers: ArrayLike, given_centers: ArrayLike) -> Similarity | None:
    """The released code's similarity from given to predicted positions, drawn from subsets for ten views and more.

    Ten random halves are fitted; the fit with most positions nearer than the median distance to the nearest
    neighbour, and among those the nearest ones, decides which positions make the last fit.

    Args:
        predicted_centers: (S, 3) in the network's unit.
        given_centers: (S, 3) in metres.

    Returns:
        ``predicted_S_given``; None where the released code raises: fewer than three positions, or all in a line.
    """
    predicted, given = _checked(predicted_centers, given_centers)
    whole = umeyama(given, predicted)
    if whole is None or len(given) < SMALLEST_RANSAC:
        return whole
    between = np.linalg.norm(whole.apply(given)[:, None] - predicted[None], axis=2)
    threshold = float(np.median(between.min(axis=1)))
    best, best_score, inliers = whole, (-1, -np.inf), np.zeros(len(given), dtype=bool)
    generator = np.random.default_rng(REFERENCE_SEED)
    for _ in range(10):
        half = generator.choice(len(given), size=max(3, (len(given) + 1) // 2), replace=False)
        fit = umeyama(given[half], predicted[half])
        if fit is None:
            continue
        errors = np.linalg.norm(fit.apply(given) - predicted, axis=1)
        near = errors <= threshold
        score = (int(near.sum()), -float(errors[near].mean()) if near.any() else -np.inf)
        if score > best_score:
            best, best_score, inliers = fit, score, near
    refit = umeyama(given[inliers], predicted[inliers]) if inliers.sum() >= 3 else None
    return best if refit is None else refit


def _checked(predicted: ArrayLike, given: ArrayLike) -> tuple[FloatArray, FloatArray]:
    x, y = np.asarray(predicted, dtype=np.float64), np.asarray(given, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] != 3 or x.shape != y.shape:
        raise InputError(f"Camera positions: expected two arrays (views, 3) of one length, got {x.shape}, {y.shape}.")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InputError("Camera positions: expected finite numbers; leave out views whose pose is unknown.")
    return x, y


def _distances(centers: FloatArray) -> FloatArray:
    first, second = np.triu_indices(len(centers), 1)
    lengths: FloatArray = np.linalg.norm(centers[first] - centers[second], axis=1)
    return lengths


def _unseen(baseline: float) -> str:
    return f"the cameras moved {baseline:.3g} m and the network sees hardly any movement between them"


def _of_similarity(predicted: FloatArray, given: FloatArray) -> PoseScale:
    fit = reference_similarity(predicted, given)
    if fit is None:
        reason = f"{len(given)} positions in one place or on a line fix no similarity; distances between them may"
        return PoseScale(scale=None, reason=reason)
    residual = np.linalg.norm(fit.apply(given) - predicted, axis=1)
    size = np.sqrt(np.mean(np.sum((predicted - predicted.mean(axis=0)) ** 2, axis=1)))
    return PoseScale(scale=fit.scale, disagreement=float(np.sqrt(np.mean(residual**2)) / max(size, 1e-300)))


def _of_distances(lengths: FloatArray, baselines: FloatArray) -> PoseScale:
    # Long distances tell more, but one wrong position must not outweigh the rest: weights end at the median.
    known = baselines > 0
    ratios = lengths[known] / baselines[known]
    start = _weighted_median(ratios, np.minimum(baselines[known], np.median(baselines[known])))
    scale, weights = _tukey_fit(lengths, baselines, start)
    if not scale > 0:
        return PoseScale(scale=None, reason=_unseen(float(baselines.max())))
    residual = lengths - scale * baselines
    disagreement = float(np.sqrt((weights @ residual**2) / (weights @ (scale * baselines) ** 2)))
    if disagreement > MAX_DISAGREEMENT:
        reason = (
            f"given and predicted distances between the cameras disagree by {disagreement:.0%} "
            f"(at most {MAX_DISAGREEMENT:.0%}): moved too little, or the poses are wrong"
        )
        return PoseScale(scale=None, reason=reason, disagreement=disagreement)
    return PoseScale(scale=scale, disagreement=disagreement)


def _tukey_fit(lengths: FloatArray, baselines: FloatArray, scale: float) -> tuple[float, FloatArray]:
    """The scale that minimises Tukey's loss of ``lengths - scale * baselines``, from ``scale`` on; and the weights."""
    weights = np.ones_like(lengths)
    for _ in range(MAX_STEPS):
        residuals = lengths - scale * baselines
        deviation = max(1.4826 * float(np.median(np.abs(residuals))), 1e-9 * float(lengths.max()))
        weights = np.clip(1 - (residuals / (TUKEY_REACH * deviation)) ** 2, 0, None) ** 2
        total = float(weights @ baselines**2)
        if not total > 0:  # what agrees has no length: several cameras in one place, the others wrong
            return 0.0, weights
        before, scale = scale, float(weights @ (lengths * baselines)) / total
        if abs(scale - before) <= 1e-12 * scale:
            break
    return scale, weights


def _weighted_median(values: FloatArray, weights: FloatArray) -> float:
    order = np.argsort(values, kind="stable")
    cumulative = np.cumsum(weights[order])
    return float(values[order[np.searchsorted(cumulative, cumulative[-1] / 2)]])
