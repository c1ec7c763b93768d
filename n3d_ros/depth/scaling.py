"""What makes any-view depth metric: distances between given cameras, a metric network, or nothing, which is said.

Where both are there, poses decide and the metric network is the check on them. Poses give way only where the cameras
stand so close together, measured in depth, that the network's error of position is a good part of their distance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from n3d_ros.depth.nested import DISAGREEING_SCALE, ScaleFit, agreement_of, comparable_pixels
from n3d_ros.depth.pose_scale import PoseScale
from n3d_ros.depth.views import ScaleSource
from n3d_ros.geometry.arrays import BoolArray, Float32Array, FloatArray

WEAK_PARALLAX = 0.05  # distance between cameras over depth: networks place cameras to about a hundredth of the depth

RELATIVE_NOTE = (
    "Depth is relative, right up to one factor for all views: nothing here tells metres. Give the cameras' positions, "
    "or a metric model beside this one."
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MetricSight:
    """What a metric network says of the same views.

    Args:
        metres: (S, H, W) float32, NaN where it cannot say.
        sky: (S, H, W) bool.
    """

    metres: Float32Array
    sky: BoolArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChosenScale:
    """The scale of one estimate.

    Args:
        source: what gives it.
        scale: from the any-view network's unit to that of the result; 1 where relative.
        notes: what was decided, where it needs saying.
        agreement: (S,) share of pixels that agree with the metric network; None without one.
        replaced: views whose depth is the metric network's own, because the any-view network gave none to scale.
        scales_poses: whether estimated positions are in the result's unit after scaling.
    """

    source: ScaleSource
    scale: float = 1.0
    notes: tuple[str, ...] = ()
    agreement: FloatArray | None = None
    replaced: tuple[int, ...] = ()
    scales_poses: bool = True


def choose_scale(
    *,
    depth: Float32Array,
    poses: PoseScale | None,
    metric: MetricSight | None,
    fit: ScaleFit | None,
    parallax: float,
) -> ChosenScale:
    """The scale of any-view depth.

    Args:
        depth: (S, H, W) float32 of the any-view network.
        poses: what given positions tell; None without given positions.
        metric: what a metric network says; None without one.
        fit: of the two networks; None without a metric one.
        parallax: largest predicted distance between cameras over the predicted depth.

    Returns:
        The choice.
    """
    by_poses = 1 / poses.scale if poses is not None and poses.scale is not None else None
    by_metric = fit.scale if fit is not None else None
    notes = [] if poses is None or by_poses is not None else [f"No scale from the given poses: {poses.reason}."]
    if by_poses is not None and by_metric is not None:
        factor = by_metric / by_poses
        if max(factor, 1 / factor) > DISAGREEING_SCALE:
            weak = parallax < WEAK_PARALLAX
            notes.append(_conflict(factor, weak=weak))
            by_poses = None if weak else by_poses
    notes += fit.notes if fit is not None else ()
    replaced = _metric_alone(depth, metric)
    if replaced:
        names = ", ".join(map(str, replaced))
        notes.append(f"The any-view network gives no depth to scale in views {names}: the metric model's own is used.")
    if by_poses is not None:
        source, scale, agreement = ScaleSource.POSES, by_poses, _agreement(depth, metric, by_poses)
    elif by_metric is not None and fit is not None:
        source, scale, agreement = ScaleSource.METRIC_MODEL, by_metric, fit.agreement
    elif replaced:
        return ChosenScale(source=ScaleSource.METRIC_MODEL, notes=tuple(notes), replaced=replaced, scales_poses=False)
    else:
        return ChosenScale(source=ScaleSource.RELATIVE, notes=(*notes, RELATIVE_NOTE))
    return ChosenScale(source=source, scale=scale, notes=tuple(notes), agreement=agreement, replaced=replaced)


def _metric_alone(depth: Float32Array, metric: MetricSight | None) -> tuple[int, ...]:
    """Views in which only the metric network gives a usable depth of what is not sky."""
    if metric is None:
        return ()
    usable = comparable_pixels(np.ones_like(depth), metric.metres, metric.sky).any(axis=(1, 2))
    both = comparable_pixels(depth, metric.metres, metric.sky).any(axis=(1, 2))
    return tuple(int(view) for view in np.flatnonzero(usable & ~both))


def _conflict(factor: float, *, weak: bool) -> str:
    taken = (
        "the metric model is believed, since the cameras stand close together for what they see"
        if weak
        else "the poses are believed"
    )
    return (
        f"By the metric model everything is {factor:.2f} times as far as by the given poses; {taken}. "
        "Check tf and the calibration."
    )


def _agreement(depth: Float32Array, metric: MetricSight | None, scale: float) -> FloatArray | None:
    """Share of each view's pixels on which the metric network agrees with a scale found without it."""
    if metric is None:
        return None
    log_ratio = np.full(depth.shape, np.nan, dtype=np.float32)
    known = comparable_pixels(depth, metric.metres, metric.sky)
    log_ratio[known] = np.log(metric.metres[known]) - np.log(depth[known])
    return agreement_of(log_ratio, scale)
