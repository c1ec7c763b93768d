"""One chunk laid on the one before, by the points of the views that both have.

Both estimates see the same pixels, so their point maps match pixel by pixel. The fit is DA3-Streaming's: confidence
less its least value as weight, pixels of next to no confidence and far ones left out, Huber loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from n3d_ros.depth.similarity import Freedom, Similarity, huber_similarity
from n3d_ros.depth.streaming.options import MATCHED_POINTS, StreamOptions
from n3d_ros.depth.views import ViewDepth
from n3d_ros.geometry.arrays import FloatArray

LEAST_CONFIDENCE = 1.0  # of the released models: what they are not sure of at all
CONFIDENCE_SHARE = 0.1  # of the lesser median: below it a pixel is left out
MIN_POINTS = 100
MAX_RESIDUAL = 0.2  # median residual over median depth: beyond it the two estimates show different things


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlapFit:
    """How the later chunk lies on the earlier one.

    Args:
        earlier_S_later: None where they cannot be laid on each other.
        why_not: a sentence; empty where they can.
        points: matches that the fit rests on.
        residual: median distance of matches over their median depth; NaN without a fit.
    """

    earlier_S_later: Similarity | None
    why_not: str = ""
    points: int = 0
    residual: float = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Matches:
    """Points (N, 3) of the same pixels in both estimates, their weights (N,), and their depth (N,) in the earlier."""

    earlier: FloatArray
    later: FloatArray
    weights: FloatArray
    depth: FloatArray


def fit_overlap(
    earlier: Sequence[ViewDepth],
    later: Sequence[ViewDepth],
    *,
    is_metric: bool,
    freedom: Freedom,
    options: StreamOptions,
) -> OverlapFit:
    """The similarity from the later estimate's frame and unit to the earlier one's.

    Args:
        earlier: the shared views in the earlier estimate.
        later: the same views in the later one.
        is_metric: whether depths of both are metres.
        freedom: what is fitted.
        options: of the stream.

    Returns:
        The fit, or why there is none.
    """
    floors = _confidence_floor(earlier, later)
    matches = _matches(earlier, later, floors, options.max_depth_m if is_metric else None)
    if matches is None and is_metric:  # outdoors everything may be further away
        matches = _matches(earlier, later, floors, None)
    if matches is None:
        return OverlapFit(
            earlier_S_later=None,
            why_not=f"the {len(later)} shared views have depth with confidence and pose in fewer than {MIN_POINTS} "
            "common pixels (sky, or nothing to see)",
        )
    typical = float(np.median(matches.depth))
    fit = huber_similarity(
        matches.later,
        matches.earlier,
        matches.weights,
        freedom=freedom,
        delta=options.huber_delta * (1.0 if is_metric else typical),
        steps=options.huber_steps,
    )
    count = len(matches.depth)
    if fit is None:
        return OverlapFit(earlier_S_later=None, why_not="the shared views show points on one line only", points=count)
    residual = float(np.median(np.linalg.norm(fit.apply(matches.later) - matches.earlier, axis=1))) / typical
    if residual > MAX_RESIDUAL:
        return OverlapFit(
            earlier_S_later=None,
            why_not=f"the two estimates of the shared views differ by {residual:.0%} of their depth",
            points=count,
            residual=residual,
        )
    return OverlapFit(earlier_S_later=fit, points=count, residual=residual)


def scale_overlap(earlier: Sequence[ViewDepth], later: Sequence[ViewDepth]) -> float | None:
    """The factor from the later estimate's unit to the earlier one's where poses are given and need no fit.

    Args:
        earlier: the shared views in the earlier estimate.
        later: the same views in the later one.

    Returns:
        The median ratio of depths; None without common pixels.
    """
    ratios = [np.asarray(a.depth_m / b.depth_m)[::4, ::4].ravel() for a, b in zip(earlier, later, strict=True)]
    known = np.concatenate(ratios)
    known = known[np.isfinite(known)]
    return float(np.median(known)) if len(known) >= MIN_POINTS else None


def point_map(view: ViewDepth, rows: slice, columns: slice) -> FloatArray:
    """Some of a view's points in the frame of its pose.

    Args:
        view: with pose and calibration.
        rows: of its pixels.
        columns: of its pixels.

    Returns:
        (h, w, 3) float64 in the unit of its depth, NaN where there is none.
    """
    camera, pose = view.intrinsics, view.world_T_camera
    assert camera is not None and pose is not None
    depth = view.depth_m[rows, columns].astype(np.float64)
    u = np.arange(camera.width)[columns]
    v = np.arange(camera.height)[rows][:, None]
    in_camera = np.stack([(u - camera.cx) / camera.fx * depth, (v - camera.cy) / camera.fy * depth, depth], axis=2)
    return pose.apply(in_camera)


def _confidence_floor(earlier: Sequence[ViewDepth], later: Sequence[ViewDepth]) -> float:
    """A tenth of the lesser median of both estimates' confidence, less what stands for none."""
    medians = []
    for side in (earlier, later):
        known = [v.confidence[np.isfinite(v.depth_m)][::16] for v in side if v.confidence is not None]
        values = np.concatenate(known) - LEAST_CONFIDENCE if known else np.empty(0)
        if len(values):
            medians.append(float(np.median(values)))
    return CONFIDENCE_SHARE * min(medians) if medians else 0.0


def _matches(
    earlier: Sequence[ViewDepth], later: Sequence[ViewDepth], floor: float, max_depth: float | None
) -> _Matches | None:
    parts = []
    for before, after in zip(earlier, later, strict=True):
        if None in (before.world_T_camera, after.world_T_camera, before.intrinsics, after.intrinsics):
            continue
        step = _step(before.depth_m.shape, len(earlier))
        pick = slice(step // 2, None, step)
        depth = before.depth_m[pick, pick].astype(np.float64)
        weights = _weights(before, pick, floor) * _weights(after, pick, floor)
        near = depth if max_depth is None else np.where(depth < max_depth, depth, np.nan)
        good = np.isfinite(near) & np.isfinite(after.depth_m[pick, pick]) & (weights > 0)
        points = (point_map(before, pick, pick)[good], point_map(after, pick, pick)[good])
        parts.append((*points, np.sqrt(weights[good]), depth[good]))
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    if not columns or len(columns[2]) < MIN_POINTS:
        return None
    return _Matches(earlier=columns[0], later=columns[1], weights=columns[2], depth=columns[3])


def _step(shape: tuple[int, ...], views: int) -> int:
    """Every how manieth pixel both ways, so that all views together give at most ``MATCHED_POINTS``."""
    return max(1, int(np.ceil(np.sqrt(shape[0] * shape[1] * views / MATCHED_POINTS))))


def _weights(view: ViewDepth, pick: slice, floor: float) -> FloatArray:
    if view.confidence is None:
        return np.ones_like(view.depth_m[pick, pick], dtype=np.float64)
    sure = np.minimum(view.confidence[pick, pick].astype(np.float64) - LEAST_CONFIDENCE, 1e15)
    return np.where(sure > floor, sure, 0.0)
