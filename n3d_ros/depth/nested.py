"""One metric scale for the depth and the poses of an any-view network, out of a metric network's depth.

``robust_scale`` is ours; ``reference_alignment`` is the released code's arithmetic, for comparison and for those who
need its numbers. Both see the same pixels in the same order every time: nothing is drawn at random.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from n3d_ros.depth.metric import focal_px, metric_depth
from n3d_ros.depth.sky import FAR_LIMIT, MIN_PIXELS, SHOWN_SKY_SCORE, far_depth, filled_with_far, sky_mask
from n3d_ros.errors import GroundingError
from n3d_ros.geometry.arrays import BoolArray, Float32Array, FloatArray

MIN_METRIC_M = 1e-2  # nearer is no measurement of any camera
MIN_RELATIVE = 1e-3
AGREEING = 0.25  # largest difference of two depths that agree, as a share of the metric one
DISAGREEING_SCALE = 1.25  # factor between a view's own scale and the common one from which the view is named
MIN_AGREEMENT = 0.5  # share of agreeing pixels below which a view is named


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScaleFit:
    """The one factor from any-view depth to metres, and how far views support it.

    Args:
        scale: metres per unit of the any-view network; None where no pixel could be compared.
        view_scales: (S,) the factor that each view alone would give; NaN for views without comparable pixels.
        agreement: (S,) share of each view's comparable pixels whose aligned and metric depth differ by less than a
            quarter; NaN likewise.
        notes: sentences naming views that show nothing but sky, or that disagree.
    """

    scale: float | None
    view_scales: FloatArray
    agreement: FloatArray
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReferenceNested:
    """What the released code's nested model returns, at the network's resolution.

    Args:
        depth: (S, H, W) float32 metres, sky at the far end.
        confidence: (S, H, W) float32, 1 in the sky.
        w2c: (S, 3, 4) float64, world to camera, metres.
        sky: (S, H, W) bool.
        scale: the factor that was applied.
    """

    depth: Float32Array
    confidence: Float32Array
    w2c: FloatArray
    sky: BoolArray
    scale: float


def robust_scale(
    relative: NDArray[np.float32],
    confidence: NDArray[np.float32],
    metric_m: NDArray[np.float32],
    sky: BoolArray,
) -> ScaleFit:
    """The median ratio of metric to any-view depth over the confident half of what is not sky, in all views.

    A median of ratios weighs near and far pixels alike and stands while fewer than half of them are wrong, where least
    squares follow the farthest ones, which are the least certain. Where views want scales so different that the median
    falls between them and fits none, the view's own scale with which most pixels agree is taken.

    Args:
        relative: (S, H, W) float32 depth of the any-view network.
        confidence: (S, H, W) float32 of the same.
        metric_m: (S, H, W) float32 metres, of the metric network.
        sky: (S, H, W) bool.

    Returns:
        The fit; its scale is None where nothing can be compared.
    """
    comparable = comparable_pixels(relative, metric_m, sky)
    log_ratio = np.full(relative.shape, np.nan, dtype=np.float32)
    log_ratio[comparable] = np.log(metric_m[comparable]) - np.log(relative[comparable])
    chosen = comparable & np.isfinite(confidence)
    if chosen.any():
        chosen &= confidence >= np.median(confidence[chosen])
    else:  # a confidence that says nothing keeps no pixel out
        chosen = comparable
    scale = float(np.exp(np.median(log_ratio[chosen]))) if chosen.any() else None
    own = np.array([np.exp(np.median(view[known])) if known.any() else np.nan for view, known in _each(log_ratio)])
    if scale is not None and _agreeing(log_ratio[chosen], scale) < MIN_AGREEMENT:
        candidates = [scale, *own[np.isfinite(own)].tolist()]
        scale = max(candidates, key=lambda candidate: _agreeing(log_ratio[chosen], candidate))
    agreement = np.full(len(relative), np.nan) if scale is None else agreement_of(log_ratio, scale)
    notes = (*_sky_notes(sky), *_disagreements(own, agreement, scale))
    return ScaleFit(scale=scale, view_scales=own, agreement=agreement, notes=notes)


def comparable_pixels(relative: NDArray[np.float32], metric_m: NDArray[np.float32], sky: BoolArray) -> BoolArray:
    """Pixels that are not sky and on which both networks give a usable depth.

    Args:
        relative: (S, H, W) float32.
        metric_m: (S, H, W) float32 metres.
        sky: (S, H, W) bool.

    Returns:
        (S, H, W) bool.
    """
    usable = np.isfinite(relative) & np.isfinite(metric_m) & ~sky
    return usable & (relative > MIN_RELATIVE) & (metric_m > MIN_METRIC_M)


def agreement_of(log_ratio: NDArray[np.float32], scale: float) -> FloatArray:
    """Share of each view's comparable pixels whose aligned and metric depth differ by less than a quarter.

    Args:
        log_ratio: (S, H, W) float32, log of metric over any-view depth, NaN where not comparable.
        scale: metres per unit of the any-view network.

    Returns:
        (S,) float64, 0 to 1; NaN for views without comparable pixels.
    """
    shares = []
    for ratios, known in _each(log_ratio):
        aligned_over_metric = scale / np.exp(ratios[known])
        shares.append(float((np.abs(aligned_over_metric - 1) < AGREEING).mean()) if known.any() else np.nan)
    return np.array(shares)


def reference_alignment(
    *,
    relative: NDArray[np.float32],
    confidence: NDArray[np.float32],
    w2c: FloatArray,
    matrices: FloatArray,
    metric_network: NDArray[np.float32],
    sky_score: NDArray[np.float32],
) -> ReferenceNested:
    """The released code's nested result: least squares over confident pixels, focal length as estimated.

    Args:
        relative: (S, H, W) float32, depth of the any-view network.
        confidence: (S, H, W) float32 of the same.
        w2c: (S, 3, 4) its world-to-camera matrices.
        matrices: (S, 3, 3) its camera matrices, at network resolution.
        metric_network: (S, H, W) float32, what the metric network gives, not yet times its focal length.
        sky_score: (S, H, W) float32 of the same.

    Returns:
        Depth, confidence, poses, sky and the factor.

    Raises:
        GroundingError: too little that is not sky, or nothing left to compare.
    """
    sky = sky_mask(sky_score)
    if int((~sky).sum()) <= MIN_PIXELS:
        raise GroundingError("Nested depth: the views show nothing but sky, so that no scale can be found.")
    metres = metric_depth(filled_with_far(metric_network, sky), focal_px(matrices))
    told = confidence[~sky & np.isfinite(confidence)]
    confident = confidence >= np.quantile(told, 0.5) if told.size else np.zeros(sky.shape, dtype=np.bool_)
    chosen = comparable_pixels(relative, metres, sky) & confident
    if not chosen.any():
        raise GroundingError("Nested depth: no pixel on which both networks give a depth, so that there is no scale.")
    ours, theirs = relative[chosen].astype(np.float64), metres[chosen].astype(np.float64)
    scale = float(ours @ theirs / (ours @ ours))
    depth = relative * np.float32(scale)
    far = far_depth(depth, sky)
    sure = confidence.copy()
    if far is not None:
        depth[sky], sure[sky] = min(far, FAR_LIMIT), 1.0
    poses = np.array(w2c, dtype=np.float64)
    poses[:, :3, 3] *= scale
    return ReferenceNested(depth=depth, confidence=sure, w2c=poses, sky=sky_score >= SHOWN_SKY_SCORE, scale=scale)


def _agreeing(log_ratio: NDArray[np.float32], scale: float) -> float:
    """Share of pixels that a scale brings within a quarter of the metric depth."""
    return float((np.abs(scale / np.exp(log_ratio) - 1) < AGREEING).mean())


def _each(log_ratio: NDArray[np.float32]) -> list[tuple[NDArray[np.float32], BoolArray]]:
    return [(view, np.isfinite(view)) for view in log_ratio]


def _sky_notes(sky: BoolArray) -> list[str]:
    return [f"View {view} shows nothing but sky." for view, mask in enumerate(sky) if mask.all()]


def _disagreements(own: FloatArray, agreement: FloatArray, scale: float | None) -> list[str]:
    """One sentence for each view that does not support the common scale."""
    notes = []
    for view, (view_scale, share) in enumerate(zip(own, agreement, strict=True)):
        if scale is None or np.isnan(view_scale):
            continue
        factor = view_scale / scale
        if max(factor, 1 / factor) > DISAGREEING_SCALE:
            notes.append(
                f"View {view} disagrees on the scale: alone it would make everything {factor:.2f} times as far; "
                f"check its calibration and pose."
            )
        elif share < MIN_AGREEMENT:
            notes.append(
                f"View {view}: the two networks agree within a quarter on {share:.0%} of its pixels only; "
                f"its depth is uncertain."
            )
    return notes
