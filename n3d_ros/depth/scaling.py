"""What makes any-view depth metric: distances between given cameras, a metric network, or nothing, which is said.

Where both are there, poses decide and the metric network is the check on them. Poses give way where the cameras stand
so close together, measured in depth, that the network's error of position is a good part of their distance; without a
metric network the scale then comes with the error to expect.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from n3d_ros.depth.nested import DISAGREEING_SCALE, ScaleFit, agreement_of, comparable_pixels
from n3d_ros.depth.pose_scale import PoseScale
from n3d_ros.depth.views import ScaleSource
from n3d_ros.geometry.arrays import BoolArray, Float32Array, FloatArray

MAX_EXPECTED_ERROR = 0.2  # of a scale by poses; metric networks are about a tenth off, and more on unknown scenes
IMPOSSIBLE_FACTOR = 5.0  # between poses and metric network: a wrong unit or calibration, not an error of either

RELATIVE = "Depth is relative, right up to one factor for all views"
RELATIVE_NOTE = (
    f"{RELATIVE}: nothing here tells metres. Give the cameras' positions, or a metric model beside this one."
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
    guessed_focal: bool = False,
) -> ChosenScale:
    """The scale of any-view depth.

    Args:
        depth: (S, H, W) float32 of the any-view network.
        poses: what given positions tell; None without given positions.
        metric: what a metric network says; None without one.
        fit: of the two networks; None without a metric one.
        guessed_focal: whether metric depth rests on an estimated focal length; it overrules no measured distance then.

    Returns:
        The choice.
    """
    by_poses = 1 / poses.scale if poses is not None and poses.scale is not None else None
    by_metric = fit.scale if fit is not None else None
    notes = [] if poses is None or by_poses is not None else [f"No scale from the given poses: {poses.reason}."]
    if poses is not None and by_poses is not None:
        weak = poses.expected_error > MAX_EXPECTED_ERROR
        gives_way = weak and by_metric is not None and not guessed_focal
        if weak:
            notes.append(_weak(poses, gives_way=gives_way))
        notes += _conflict(by_metric, by_poses, gives_way=gives_way)
        if not gives_way and _apart(by_metric, by_poses) > IMPOSSIBLE_FACTOR:
            return ChosenScale(source=ScaleSource.RELATIVE, notes=(*notes, f"{RELATIVE}."))
        by_poses = None if gives_way else by_poses
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
        return ChosenScale(source=ScaleSource.RELATIVE, notes=(*notes, _relative_note(metric)))
    return ChosenScale(source=source, scale=scale, notes=tuple(notes), agreement=agreement, replaced=replaced)


def _metric_alone(depth: Float32Array, metric: MetricSight | None) -> tuple[int, ...]:
    """Views in which only the metric network gives a usable depth of what is not sky."""
    if metric is None:
        return ()
    usable = comparable_pixels(np.ones_like(depth), metric.metres, metric.sky).any(axis=(1, 2))
    both = comparable_pixels(depth, metric.metres, metric.sky).any(axis=(1, 2))
    return tuple(int(view) for view in np.flatnonzero(usable & ~both))


def _relative_note(metric: MetricSight | None) -> str:
    """Why nothing tells metres, and what would."""
    if metric is None:
        return RELATIVE_NOTE
    if comparable_pixels(np.ones_like(metric.metres), metric.metres, metric.sky).any():
        return f"{RELATIVE}: outside the sky no pixel has a depth of both networks. Give the cameras' positions."
    return (
        f"{RELATIVE}: the metric model gives no metres outside the sky. Give calibrations, or the cameras' positions."
    )


def _weak(poses: PoseScale, *, gives_way: bool) -> str:
    taken = "so the metric model gives it" if gives_way else "set the cameras further apart or give a metric model"
    return (
        f"The cameras stand {poses.parallax:.2g} of the depth apart (given: {poses.baseline_m:.2g} m): a scale by "
        f"their poses may be {poses.expected_error:.0%} off, rather too near; {taken}."
    )


def _apart(by_metric: float | None, by_poses: float) -> float:
    """The factor between the two scales, 1 or more; 1 where there is only one."""
    return 1.0 if by_metric is None else max(by_metric / by_poses, by_poses / by_metric)


def _conflict(by_metric: float | None, by_poses: float, *, gives_way: bool) -> tuple[str, ...]:
    """That poses and metric network tell different metres, where they do."""
    apart = _apart(by_metric, by_poses)
    if by_metric is None or apart <= DISAGREEING_SCALE:
        return ()
    if gives_way:
        taken = "the metric model is believed"
    else:
        taken = "the poses are believed" if apart <= IMPOSSIBLE_FACTOR else "no metres are taken from either"
    return (
        f"By the metric model everything is {by_metric / by_poses:.3g} times as far as by the given poses; {taken}. "
        "Check tf (metres?) and the calibration.",
    )


def _agreement(depth: Float32Array, metric: MetricSight | None, scale: float) -> FloatArray | None:
    """Share of each view's pixels on which the metric network agrees with a scale found without it."""
    if metric is None:
        return None
    log_ratio = np.full(depth.shape, np.nan, dtype=np.float32)
    known = comparable_pixels(depth, metric.metres, metric.sky)
    log_ratio[known] = np.log(metric.metres[known]) - np.log(depth[known])
    return agreement_of(log_ratio, scale)
