"""A model's depth brought onto measured depth by one scale and one shift, whatever share of it disagrees.

As teacher labels of Depth Anything 3 are aligned to sparse depth: RANSAC least squares of scale and shift with a scale
above 0, the inlier threshold being the mean absolute deviation of the residuals from their median (arXiv 2511.10647,
section on teacher labels). Residuals here are relative to the depth measured, because both a depth camera's noise and a
network's error grow with distance; and the sampling is seeded, because the same frame must give the same depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from n3d_ros.geometry.arrays import BoolArray, Float32Array, FloatArray

MAX_SAMPLES = 2000  # compared pixels that vote; more change the third digit of scale only
HYPOTHESES = 128  # pairs tried: with half of the pixels wrong, all are bad with a chance of (3/4)^128 = 1e-16
JURY_STRIDE = 4  # every fourth of them judges the pairs; all of them refine the winner
REFINEMENTS = 4  # rounds of least squares over the inliers, which do not change any more after three
MIN_DEPTH_RATIO = 1.15  # farthest to nearest compared depth; with less, a shift cannot be told from a scale
INVERSE_MUST_WIN_BY = 0.8  # inverse depth is taken when it leaves less than this share of the error; else a draw flips
MUST_EXPLAIN = 0.7  # share of the spread of depth that a line may leave over; else it is a constant in disguise, for a
# shift can bring any model near the middle of the scene
LEAST_THRESHOLD = 1e-4  # relative: below any sensor's noise, so that perfect data keeps its inliers
PERCENT_ENDS = (2.0, 98.0)  # what counts as nearest and farthest
ERROR_CAP = 0.25  # relative: a pixel that far off shows another surface, and how far off it is says nothing more
SEED = 20251113


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """Scale and shift from a model's depth to measured depth.

    Args:
        domain: "depth": ``scale * depth + shift``; "inverse": the same of inverse depth.
        scale: above 0.
        shift: metres, or 1/m in "inverse".
        error: median relative error of the compared pixels that follow it.
        mean_error: mean relative error of the compared pixels, none counted with more than ``ERROR_CAP``.
        inlier_share: share of the compared pixels that follow it.
        ratio: median of measured to model depth: the scale for whoever may not shift, such as positions of cameras.
        shift_known: whether the compared depth varied enough to tell a shift; otherwise it is 0.
    """

    domain: str
    scale: float
    shift: float
    error: float
    mean_error: float
    inlier_share: float
    ratio: float
    shift_known: bool

    def apply(self, depth_m: Float32Array) -> Float32Array:
        """Model depth in the measured depth's metres.

        Args:
            depth_m: (...) float32, NaN for none.

        Returns:
            (...) float32, NaN for none and where the line leaves what can be depth.
        """
        scale, shift = np.float32(self.scale), np.float32(self.shift)
        with np.errstate(invalid="ignore", divide="ignore"):
            if self.domain == "depth":
                aligned = scale * depth_m + shift
            else:
                aligned = depth_m / (scale + shift * depth_m)
            return np.asarray(np.where(aligned > 0, aligned, np.float32(np.nan)), np.float32)


def align(
    sensor_m: Float32Array, model_m: Float32Array, compared: BoolArray, *, domain: str = "auto"
) -> Alignment | None:
    """The scale and shift that most of the compared pixels follow.

    Args:
        sensor_m: (H, W) measured depth, metres.
        model_m: (H, W) the model's depth, in a unit of its own.
        compared: (H, W) where both are known and comparable.
        domain: "depth", "inverse" or "auto".

    Returns:
        The alignment; None when no scale above 0 fits.
    """
    where = _evenly(np.flatnonzero(compared))
    measured = sensor_m.ravel()[where].astype(np.float64)
    estimated = model_m.ravel()[where].astype(np.float64)
    domains: Sequence[str] = ("depth", "inverse") if domain == "auto" else (domain,)
    found = [fit for each in domains if (fit := _fit(each, measured, estimated)) is not None]
    if len(found) < 2:
        return found[0] if found else None
    straight, inverse = found
    return inverse if inverse.mean_error < INVERSE_MUST_WIN_BY * straight.mean_error else straight


def _evenly(indices: np.ndarray) -> np.ndarray:
    """At most ``MAX_SAMPLES`` of the indices, drawn without favour: a regular stride would follow image columns."""
    if len(indices) <= MAX_SAMPLES:
        return indices
    offsets = np.random.default_rng(SEED).random(MAX_SAMPLES)
    return indices[((np.arange(MAX_SAMPLES) + offsets) * (len(indices) / MAX_SAMPLES)).astype(np.int64)]


def _fit(domain: str, measured: FloatArray, estimated: FloatArray) -> Alignment | None:
    """The robust fit in one domain."""
    if len(measured) < 2:
        return None
    x, y = (estimated, measured) if domain == "depth" else (1 / estimated, 1 / measured)
    low, high = np.percentile(x, PERCENT_ENDS)
    if high > MIN_DEPTH_RATIO * low:
        found = _line(x, y, has_shift=True)
        if found is not None and np.mean(_residuals(found[0], x, y)) < MUST_EXPLAIN * np.mean(_spread(y)):
            return _alignment(domain, *found, x, y, has_shift=True)
    found = _line(x, y, has_shift=False)
    return None if found is None else _alignment(domain, *found, x, y, has_shift=False)


def _line(x: FloatArray, y: FloatArray, *, has_shift: bool) -> tuple[FloatArray, float] | None:
    """Scale and shift that most pixels follow, and the threshold up to which one follows; None without any."""
    lines = _hypotheses(x, y) if has_shift else np.stack([y / x, np.zeros_like(y)], axis=1)[:HYPOTHESES]
    lines = np.concatenate([[[np.median(y / x), 0.0]], lines])
    lines = lines[lines[:, 0] > 0]
    jury = slice(None, None, JURY_STRIDE)
    residuals = np.abs((lines[:, :1] * x[jury] + lines[:, 1:] - y[jury]) / y[jury])
    threshold = _threshold(residuals[np.median(residuals, axis=1).argmin()])
    line = lines[(residuals < threshold).sum(axis=1).argmax()]
    for _ in range(REFINEMENTS):
        inlier = _residuals(line, x, y) < threshold
        refined = _least_squares(x[inlier], y[inlier], has_shift=has_shift)
        if refined is None:
            return None
        line = refined
        threshold = min(threshold, _threshold(_residuals(line, x[inlier], y[inlier])))
    return line, threshold


def _alignment(
    domain: str, line: FloatArray, threshold: float, x: FloatArray, y: FloatArray, *, has_shift: bool
) -> Alignment:
    """The line with its figures."""
    residuals = _residuals(line, x, y)
    return Alignment(
        domain=domain,
        scale=float(line[0]),
        shift=float(line[1]),
        error=float(np.median(residuals)),
        mean_error=float(np.minimum(residuals, ERROR_CAP).mean()),
        inlier_share=float((residuals < threshold).mean()),
        ratio=float(np.median(y / x if domain == "depth" else x / y)),
        shift_known=has_shift,
    )


def _residuals(line: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    """(n,) relative distances from a line."""
    return np.asarray(np.abs((line[0] * x + line[1] - y) / y), np.float64)


def _spread(y: FloatArray) -> FloatArray:
    """(n,) relative distances from one depth for all."""
    return np.asarray(np.abs(np.median(y) / y - 1), np.float64)


def _hypotheses(x: FloatArray, y: FloatArray) -> FloatArray:
    """(n, 2) scale and shift of lines through pairs of pixels: one nearer, one farther, so that the pair says both."""
    order = np.argsort(x, kind="stable")
    third = max(len(order) // 3, 1)
    generator = np.random.default_rng(SEED)
    near = order[generator.integers(0, third, HYPOTHESES)]
    far = order[len(order) - 1 - generator.integers(0, third, HYPOTHESES)]
    run = x[far] - x[near]
    usable = run > 0
    scale = (y[far] - y[near])[usable] / run[usable]
    return np.stack([scale, y[near][usable] - scale * x[near][usable]], axis=1)


def _threshold(residuals: FloatArray) -> float:
    """The inlier threshold: twice the mean absolute deviation of the residuals from their median.

    Twice, because these residuals have no sign: those of a normal distribution then reach 1.9 of its deviations.
    """
    deviation = float(np.abs(residuals - np.median(residuals)).mean())
    return max(float(np.median(residuals)) + 2 * deviation, LEAST_THRESHOLD)


def _least_squares(x: FloatArray, y: FloatArray, *, has_shift: bool) -> FloatArray | None:
    """Scale and shift with the least squared relative error; None where the scale would not be above 0."""
    if len(x) < 2:
        return None
    weight = 1 / y
    columns = np.stack([x * weight, weight], axis=1) if has_shift else (x * weight)[:, None]
    solution = np.linalg.lstsq(columns, np.ones_like(y), rcond=None)[0]
    line = np.array([solution[0], solution[1] if has_shift else 0.0])
    return line if line[0] > 0 else None
