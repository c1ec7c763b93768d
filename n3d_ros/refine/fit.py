"""A gravity-aligned box around one object's points: what is seen, and what its shape says about what is not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from n3d_ros.detection import BoxUncertainty
from n3d_ros.errors import InputError
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.transforms import matrix_to_quaternion
from n3d_ros.refine.noise import KINECT_V1, DepthNoise
from n3d_ros.refine.solids import RoundFit, fit_round, resampled_outline, robust_scale, trimmed_hull
from n3d_ros.refine.support import Coverage, Solid, coverage
from n3d_ros.refine.uncertainty import ROUND_YAW_STDDEV_RAD, box_uncertainty
from n3d_ros.refine.view import ObjectView, finite_points, object_view, thinned, unit_up
from n3d_ros.refine.yaw import YawFit, fit_yaw

FloatArray = NDArray[np.float64]
FitStatus = Literal["fitted", "too_few_points", "not_supported"]

_ROUND_POINTS = 300  # more do not move a circle by a tenth of the noise

_HULL_POINTS = 700
_COVERAGE_POINTS = 800  # some five per cell of the finest grid


@dataclass(frozen=True, slots=True, kw_only=True)
class FitConfig:
    """How boxes are fitted.

    Args:
        completion: "visible": the box of what is seen; "completed": round shapes are completed by their symmetry.
        extent_percentile: percent of the points left outside on each side, 0 to 5: stray pixels do not count.
        min_points: fewer points than this are not fitted, at least 4.
        max_points: objects are thinned evenly to this many points, at least 100.
        min_size_m: no side is shorter than this, metres, above 0.
        base_clearance_m: a box ends this far, plus one standard deviation of the depth, above its support, metres, 0 to
            0.05: depth cameras bend planes by a few millimetres, and a box should not swallow what it stands on.
        round_tolerance: how far from round, in radii, a surface may be and still be completed, 0 to 0.2.
    """

    completion: Literal["visible", "completed"] = "completed"
    extent_percentile: float = 0.7
    min_points: int = 12
    max_points: int = 1400
    min_size_m: float = 0.004
    base_clearance_m: float = 0.003
    round_tolerance: float = 0.035

    def __post_init__(self) -> None:
        """Checks the ranges.

        Raises:
            InputError: a value outside its range.
        """
        if self.completion not in ("visible", "completed"):
            raise InputError(f"FitConfig.completion: expected 'visible' or 'completed', got {self.completion!r}.")
        checks = (
            ("extent_percentile", self.extent_percentile, 0.0, 5.0),
            ("min_points", self.min_points, 4, 100_000),
            ("max_points", self.max_points, 100, 1_000_000),
            ("min_size_m", self.min_size_m, 1e-4, 1.0),
            ("base_clearance_m", self.base_clearance_m, 0.0, 0.05),
            ("round_tolerance", self.round_tolerance, 0.0, 0.2),
        )
        for name, value, low, high in checks:
            if not low <= value <= high:
                raise InputError(f"FitConfig.{name}: expected {low} to {high}, got {value}.")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedBox:
    """A box and how well the points back it.

    Args:
        box: camera optical frame; z is up. x is the side nearest to the camera's right, so that size reads width,
            depth, height as seen; for a lying cylinder x is its axis.
        solid: what was found to fill the box: "box" (also anything irregular), "cylinder", "lying_cylinder", "ball".
        status: "fitted"; or why the box is not (only) a fit: "too_few_points", "not_supported".
        reason: None when fitted, otherwise a sentence.
        support_ratio: 0 to 1, share of the solid's surface that the camera should see and that is backed by points.
        uncertainty: of centre, size and yaw.
        point_count: the object's finite points.
        yaw_is_defined: False for shapes without one; then the box faces the camera.
        rim_fill: outline area over its rectangle's, seen from above; 1 for a rectangle, 0.79 for a disc.
    """

    box: Box3D
    solid: Solid
    status: FitStatus
    reason: str | None
    support_ratio: float
    uncertainty: BoxUncertainty
    point_count: int
    yaw_is_defined: bool
    rim_fill: float


class _Extent(NamedTuple):
    """A box in the view's axes: yaw of its x axis, least and greatest coordinates (3,) along its own axes."""

    yaw: float
    low: FloatArray
    high: FloatArray
    solid: Solid


def fit_box(
    points: ArrayLike,
    up: ArrayLike,
    *,
    config: FitConfig | None = None,
    support_height_m: float | None = None,
    noise: DepthNoise = KINECT_V1,
) -> FittedBox:
    """The gravity-aligned oriented box of an object seen from one viewpoint, the camera at the origin.

    Balls and cylinders are recognised by fits and completed on their hidden side; for anything else the top face, seen
    from above, already shows the whole footprint. The box reaches down to the support when that is known.

    Args:
        points: (N, 3) metres, the object's points in the camera optical frame; rows with NaN are left out.
        up: (3,) unit vector against gravity, camera optical frame.
        config: fitting options.
        support_height_m: height of the surface below the object, ``up . p`` of its points in metres (for a
            ``SupportSurface`` with normal ``up`` that is ``-offset_m``), or None when unknown.
        noise: the depth camera's noise.

    Returns:
        The box in the camera optical frame.

    Raises:
        InputError: wrong shapes, ``up`` not a unit vector, or fewer than ``config.min_points`` finite points.
    """
    config = config or FitConfig()
    up_vector = unit_up(up)
    kept = finite_points(points)
    if len(kept) < config.min_points:
        raise InputError(f"fit_box: expected at least {config.min_points} finite points, got {len(kept)}.")
    view = object_view(kept, up_vector, noise, config.max_points)
    base = None if support_height_m is None else support_height_m - float(view.origin @ up_vector)
    hull = trimmed_hull(thinned(view.points, _HULL_POINTS)[:, :2], config.extent_percentile / 200.0)
    yaw = fit_yaw(view, hull)
    extent = _seen_extent(view, yaw.yaw_rad, base, config)
    round_yaw = False
    if config.completion == "completed":
        completed = _completed(view, extent, yaw, hull, base, config)
        extent, round_yaw = completed or (extent, False)
    return _fitted(view, extent, yaw, base, round_yaw, config)


def _fitted(
    view: ObjectView, extent: _Extent, yaw: YawFit, base: float | None, round_yaw: bool, config: FitConfig
) -> FittedBox:
    """The box of an extent with its support and uncertainty."""
    axes = _box_axes(extent.yaw)
    size = np.maximum(extent.high - extent.low, config.min_size_m)
    center = axes.T @ ((extent.high + extent.low) / 2)
    seen = coverage(
        (axes @ thinned(view.points, _COVERAGE_POINTS).T - (axes @ center)[:, None]).T,
        axes @ (view.camera - center),
        size / 2,
        solid=extent.solid,
        tolerance_m=surface_tolerance(view, size),
    )
    rotation = view.axes.T @ axes.T
    yaw_stddev = ROUND_YAW_STDDEV_RAD if round_yaw else yaw.stddev_rad
    return FittedBox(
        box=Box3D(center=view.origin + center @ view.axes, size=size, orientation_xyzw=matrix_to_quaternion(rotation)),
        solid=extent.solid,
        status="fitted",
        reason=None,
        support_ratio=seen.ratio,
        uncertainty=_uncertainty(view, axes, rotation, size, seen, base, extent.solid, yaw_stddev),
        point_count=view.total,
        yaw_is_defined=not round_yaw,
        rim_fill=yaw.fill,
    )


def _uncertainty(
    view: ObjectView,
    axes: FloatArray,
    rotation: FloatArray,
    size: FloatArray,
    seen: Coverage,
    base: float | None,
    solid: Solid,
    yaw_stddev: float,
) -> BoxUncertainty:
    return box_uncertainty(
        scatter_m=view.stddev_along(axes),
        lateral_m=view.lateral_stddev_m,
        sight=axes @ view.sight,
        rotation=rotation,
        size=size,
        seen=seen,
        base_is_known=base is not None,
        solid=solid,
        yaw_stddev_rad=yaw_stddev,
    )


def surface_tolerance(view: ObjectView, size: FloatArray) -> float:
    """How far from a box's surface a point may lie and still back it, metres.

    Args:
        view: the object's points.
        size: (3,) metres, the box's size.

    Returns:
        Metres.
    """
    return 3.0 * view.depth_stddev_m + 0.005 + 0.05 * float(size.min())


def _box_axes(yaw: float) -> FloatArray:
    """(3, 3) rows: axes of a box with this yaw, in the view's axes."""
    c, s = math.cos(yaw), math.sin(yaw)
    return np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])


def _seen_extent(view: ObjectView, yaw: float, base: float | None, config: FitConfig) -> _Extent:
    """The box of the points at a yaw, without the outermost percent, down to the support."""
    low, high = _robust_range(_box_axes(yaw) @ view.points.T, config)
    if base is not None:
        low[2] = _lower_end(view, base, high[2], config)
    return _Extent(yaw, low, high, "box")


def _robust_range(along: FloatArray, config: FitConfig) -> tuple[FloatArray, FloatArray]:
    """Low and high (A,) of coordinates (A, N) without the outermost percent on each side."""
    count = along.shape[1]
    rank = min(int(config.extent_percentile / 100.0 * count), (count - 1) // 2)
    ordered = np.partition(along, (rank, count - 1 - rank), axis=1)
    return ordered[:, rank].copy(), ordered[:, count - 1 - rank].copy()


def _lower_end(view: ObjectView, base: float, top: float, config: FitConfig) -> float:
    """Where a box that stands on ``base`` begins: so far above it that the support's own scatter stays outside."""
    clearance = config.base_clearance_m + view.depth_stddev_m
    return min(base + min(clearance, 0.25 * max(top - base, 0.0)), top - config.min_size_m)


def _completed(
    view: ObjectView, extent: _Extent, yaw: YawFit, hull: FloatArray, base: float | None, config: FitConfig
) -> tuple[_Extent, bool] | None:
    """The completed extent of a ball, cylinder or lying cylinder and whether its yaw is undefined; None for others."""
    noise = view.depth_stddev_m
    ball = _ball(view, extent, base, config)
    if ball is not None:
        low, high = ball.center - ball.radius, ball.center + ball.radius
        if base is not None:
            low[2] = _lower_end(view, base, high[2], config)
        return _Extent(0.0, low, high, "ball"), True
    circle = _upright_circle(view, extent, yaw, hull, config)
    if circle is not None:
        facing = _seen_extent(view, 0.0, base, config)
        low, high = _united(facing, circle.center - circle.radius, circle.center + circle.radius, (0, 1))
        if (high - low)[:2].max() < 2.0 * circle.radius * 1.12 + 2.0 * noise:
            return _Extent(0.0, low, high, "cylinder"), True
        # A handle sticks out: it gives the yaw that the body lacks.
        center = _box_axes(yaw.yaw_rad)[:2, :2] @ circle.center
        low, high = _united(extent, center - circle.radius, center + circle.radius, (0, 1))
        return _Extent(extent.yaw, low, high, "cylinder"), False
    return _lying(view, extent, base, config)


def _united(extent: _Extent, low: FloatArray, high: FloatArray, axes: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
    """Low and high of an extent, widened along ``axes`` to hold another one's (given for these axes only)."""
    new_low, new_high = extent.low.copy(), extent.high.copy()
    index = list(axes)
    new_low[index] = np.minimum(new_low[index], low)
    new_high[index] = np.maximum(new_high[index], high)
    return new_low, new_high


def _ball(view: ObjectView, extent: _Extent, base: float | None, config: FitConfig) -> RoundFit | None:
    """A sphere that explains the points, ends at their top and is as wide as they are; None otherwise."""
    noise = view.depth_stddev_m
    lengths = extent.high - extent.low
    if lengths.max() > 2.2 * lengths.min() + 6.0 * noise:
        return None
    fit = fit_round(thinned(view.points, _ROUND_POINTS), scatter_m=1.3 * noise, tolerance=config.round_tolerance)
    if fit is None:
        return None
    slack = 0.12 * fit.radius + 3.0 * noise
    if abs(fit.center[2] + fit.radius - extent.high[2]) > slack:
        return None
    left, right = _robust_range(view.points[:, :1].T, config)
    width = float(right[0] - left[0])
    if not 0.88 * 2 * fit.radius - 2 * noise < width < 1.12 * 2 * fit.radius + 4 * noise:
        return None
    if base is not None and abs(fit.center[2] - fit.radius - base) > 2.0 * slack:
        return None
    return fit


def _upright_circle(
    view: ObjectView, extent: _Extent, yaw: YawFit, hull: FloatArray, config: FitConfig
) -> RoundFit | None:
    """The circle of an upright cylinder in the ground plane, from its side or its outline; None where it has none."""
    noise = view.depth_stddev_m
    height = extent.high[2] - extent.low[2]
    below_top = view.points[:, 2] < extent.high[2] - max(0.15 * height, 3.0 * noise + 0.004)
    side = view.points[below_top, :2]
    if len(side) >= 40 and len(side) > 0.1 * len(view.points):
        fit = fit_round(thinned(side, _ROUND_POINTS), scatter_m=1.2 * noise, tolerance=config.round_tolerance)
        if fit is not None and _is_round_side(view, extent, yaw, side, fit):
            return fit
    if yaw.fill > 0.88:
        return None
    return fit_round(resampled_outline(hull), scatter_m=0.3 * noise, tolerance=config.round_tolerance)


def _is_round_side(view: ObjectView, extent: _Extent, yaw: YawFit, side: FloatArray, fit: RoundFit) -> bool:
    """Whether a circle explains the side better than a corner does, and holds the whole outline."""
    noise = view.depth_stddev_m
    distance = np.sqrt(((view.points[:, :2] - fit.center) ** 2).sum(axis=1))
    if (distance > 1.1 * fit.radius + 3.0 * noise).mean() > 0.12:
        return False
    width = float(np.ptp(side[:, 0]))
    if not 0.8 < 2.0 * fit.radius / max(width, 1e-6) < 1.3:
        return False
    axes = _box_axes(yaw.yaw_rad)
    return fit.scale_m < 0.8 * _corner_scale(side @ axes[:2, :2].T, (axes @ view.camera)[:2], extent, (0, 1))


def _corner_scale(points: FloatArray, camera: FloatArray, extent: _Extent, axes: tuple[int, int]) -> float:
    """Robust distance of points (N, 2) along two box axes from the nearer of the sides that face the camera."""
    gaps = []
    for column, axis in enumerate(axes):
        if camera[column] < extent.low[axis]:
            edge = extent.low[axis]
        elif camera[column] > extent.high[axis]:
            edge = extent.high[axis]
        else:
            continue
        gaps.append(np.abs(points[:, column] - edge))
    return robust_scale(np.min(gaps, axis=0)) if gaps else math.inf


def _lying(view: ObjectView, extent: _Extent, base: float | None, config: FitConfig) -> tuple[_Extent, bool] | None:
    """A cylinder on its side, completed across its axis; None for other shapes. The box's x becomes its axis."""
    axes = _box_axes(extent.yaw)
    along, camera = view.points @ axes.T, axes @ view.camera
    lengths = extent.high - extent.low
    noise = view.depth_stddev_m
    for axis in sorted((0, 1), key=lambda k: -lengths[k]):
        across = 1 - axis
        if not 0.5 * lengths[2] - 4.0 * noise < lengths[across] < 1.25 * lengths[2] + 4.0 * noise:
            continue
        middle = np.abs(along[:, axis] - (extent.low + extent.high)[axis] / 2) < 0.4 * lengths[axis]
        section = thinned(along[middle][:, [across, 2]], _ROUND_POINTS)
        fit = fit_round(section, scatter_m=1.2 * noise, tolerance=config.round_tolerance)
        if fit is None:
            continue
        slack = 0.12 * fit.radius + 3.0 * noise
        bottom = extent.low[2] if base is None else base
        if abs(fit.center[1] + fit.radius - extent.high[2]) > slack:
            continue
        if base is not None and abs(fit.center[1] - fit.radius - bottom) > 2.0 * slack:
            continue
        if not 0.5 < lengths[across] / (2 * fit.radius) < 1.15:
            continue
        if fit.scale_m > 0.8 * _corner_scale(section, camera[[across, 2]], extent, (across, 2)):
            continue
        low, high = _united(extent, fit.center[:1] - fit.radius, fit.center[:1] + fit.radius, (across,))
        return _with_x_along(_Extent(extent.yaw, low, high, "lying_cylinder"), axis), False
    return None


def _with_x_along(extent: _Extent, axis: int) -> _Extent:
    """The same extent with its x axis along the present axis 0 or 1."""
    if axis == 0:
        return extent
    low = np.array([extent.low[1], -extent.high[0], extent.low[2]])
    high = np.array([extent.high[1], -extent.low[0], extent.high[2]])
    return _Extent(extent.yaw + math.pi / 2, low, high, extent.solid)
