"""A rough box, for instance a model's, made exact by the measured points around it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from n3d_ros.detection import BoxUncertainty
from n3d_ros.errors import InputError
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.refine.fit import FitConfig, FitStatus, FittedBox, fit_box
from n3d_ros.refine.noise import KINECT_V1, DepthNoise
from n3d_ros.refine.support import coverage
from n3d_ros.refine.view import FloatArray, finite_points, horizontal_axes, unit_up

_MAX_GRID = 80  # cells per axis: bounds memory and time whatever the box's size
_SUPPORT_SHARE = 0.12  # of the gathered points within one slice: a surface, not an object's side
_NEAR_HALVES = (
    0.85  # of the size from the centre, so 70 % of a half beyond each side: a box off by 30 % still holds all
)
_UNKNOWN_SHARE = 0.3  # of the size: standard deviation of a box that no points back


@dataclass(frozen=True, slots=True, kw_only=True)
class RefineConfig:
    """How a rough box is refined.

    Args:
        margin_share: points are gathered this share of the box's size beyond each side, 0 to 1.
        margin_m: and this far at least, metres, 0 to 1.
        min_points: fewer points in the chosen cluster leave the box as it is, at least 4.
        min_support_ratio: a fit with less of its surface backed is not believed, 0 to 1.
        min_overlap: share of a cluster's points that lie in the rough box, or of the rough box's points that lie in the
            cluster; with less of both the cluster is something else, 0 to 1.
        cell_m: cells of this edge that touch are connected, metres, above 0.
        fit: options of the fit itself.
    """

    margin_share: float = 0.45
    margin_m: float = 0.03
    min_points: int = 40
    min_support_ratio: float = 0.2
    min_overlap: float = 0.25
    cell_m: float = 0.008
    fit: FitConfig = field(default_factory=FitConfig)

    def __post_init__(self) -> None:
        """Checks the ranges.

        Raises:
            InputError: a value outside its range.
        """
        checks = (
            ("margin_share", self.margin_share, 0.0, 1.0),
            ("margin_m", self.margin_m, 0.0, 1.0),
            ("min_points", self.min_points, 4, 100_000),
            ("min_support_ratio", self.min_support_ratio, 0.0, 1.0),
            ("min_overlap", self.min_overlap, 0.0, 1.0),
            ("cell_m", self.cell_m, 1e-3, 1.0),
        )
        for name, value, low, high in checks:
            if not low <= value <= high:
                raise InputError(f"RefineConfig.{name}: expected {low} to {high}, got {value}.")


def refine_box(
    box: Box3D,
    points: ArrayLike,
    up: ArrayLike,
    *,
    config: RefineConfig | None = None,
    support_height_m: float | None = None,
    noise: DepthNoise = KINECT_V1,
) -> FittedBox:
    """The box refitted to the object that it means, or the box as it came with the reason why.

    Gathers the points in and around the box, takes away the surface below, keeps the connected clusters that agree with
    the box and fits them with ``fit_box``. Works for boxes whose centre is off by up to about 30 % of their size, with
    any yaw.

    Args:
        box: rough box, camera optical frame.
        points: (M, 3) metres, the scene's points, camera optical frame; rows with NaN are left out.
        up: (3,) unit vector against gravity, camera optical frame.
        config: refinement options.
        support_height_m: height ``up . p`` of the surface below, metres, or None: found near the box's lower end.
        noise: the depth camera's noise.

    Returns:
        The fitted box, status "fitted"; or the given one with status "too_few_points" or "not_supported".

    Raises:
        InputError: wrong shapes, or ``up`` not a unit vector.
    """
    config = config or RefineConfig()
    up_vector = unit_up(up)
    around = _gathered(box, points, config)
    height = around @ up_vector
    if support_height_m is None:
        support_height_m = _found_support(height, box, up_vector, noise)
    if support_height_m is not None:
        around = around[height > support_height_m + 0.004 + 2.0 * noise.at(float(np.linalg.norm(box.center)))]
    if len(around) < config.min_points:
        reason = f"Expected at least {config.min_points} points of an object near the box, got {len(around)}."
        return _unchanged(box, around, noise, "too_few_points", reason)
    cluster = _chosen_cluster(box, around, up_vector, config)
    if len(cluster) < config.min_points:
        reason = f"No connected cluster of {config.min_points} points agrees with the box."
        return _unchanged(box, around, noise, "not_supported", reason)
    fitted = fit_box(cluster, up_vector, config=config.fit, support_height_m=support_height_m, noise=noise)
    if fitted.support_ratio < config.min_support_ratio:
        reason = f"The fit is backed by {fitted.support_ratio:.2f} of its surface, below {config.min_support_ratio}."
        return _unchanged(box, around, noise, "not_supported", reason)
    return fitted


def _gathered(box: Box3D, points: ArrayLike, config: RefineConfig) -> FloatArray:
    """(K, 3) finite points in the enlarged box; its ground radius, not its sides, counts: the yaw may be wrong."""
    array = np.asarray(points)
    if array.ndim != 2 or array.shape[1] != 3:
        raise InputError(f"points: expected (M, 3) metres, got shape {array.shape}.")
    margin = np.maximum(config.margin_share * box.size, config.margin_m)
    reach = float(np.linalg.norm(box.size / 2 + margin))
    # An axis-aligned cut first: scenes have 300 000 points, boxes a hundredth of them.
    close = np.flatnonzero(np.abs(array[:, 0] - box.center[0]) <= reach)
    for axis in (1, 2):
        close = close[np.abs(array[close, axis] - box.center[axis]) <= reach]
    kept = finite_points(array[close])
    local = box.local(kept)
    half = box.size / 2 + margin
    radius = float(np.hypot(half[0], half[1]))
    inside = (np.square(local[:, :2]).sum(axis=1) <= radius**2) & (np.abs(local[:, 2]) <= half[2])
    gathered: FloatArray = kept[inside]
    return gathered


def _found_support(height: FloatArray, box: Box3D, up: FloatArray, noise: DepthNoise) -> float | None:
    """Height of the surface near the box's lower end: the fullest thin slice there, or None when none is full."""
    if height.size < 20:
        return None
    center = float(box.center @ up)
    half = float(np.abs(up @ box.rotation) @ box.size) / 2
    low, high = center - 1.9 * half - 0.02, center - 0.3 * half
    width = max(0.004, 2.0 * noise.at(float(np.linalg.norm(box.center))))
    counts, edges = np.histogram(height, bins=max(int((high - low) / width), 2), range=(low, high))
    pairs = counts[:-1] + counts[1:]
    best = int(pairs.argmax())
    if pairs[best] < _SUPPORT_SHARE * height.size:
        return None
    slice_ = height[(height >= edges[best]) & (height <= edges[best + 2])]
    return float(np.median(slice_))


def _chosen_cluster(box: Box3D, points: FloatArray, up: FloatArray, config: RefineConfig) -> FloatArray:
    """(K, 3) points of the clusters that agree with the box; empty when none does."""
    labels, count = _clusters(points, up, box, config)
    inside = box.contains(points, margin_m=0.05 * float(box.size.min()))
    total = np.bincount(labels, minlength=count)
    within = np.bincount(labels[inside], minlength=count)
    of_cluster = within / np.maximum(total, 1)
    of_box = within / max(int(inside.sum()), 1)
    union = np.maximum(total + int(inside.sum()) - within, 1)
    best = int((within / union).argmax())
    if max(of_cluster[best], of_box[best]) < config.min_overlap or within[best] == 0:
        return points[:0]
    # Parts of one object that an occluder or a step separates: they lie almost wholly in the rough box.
    chosen = (of_cluster > 0.8) & (of_box > 0.08)
    chosen[best] = True
    cluster = points[chosen[labels]]
    near = (np.abs(box.local(cluster)) <= box.size * _NEAR_HALVES).all(axis=1)
    # A cluster that goes far beyond the box leaks into a neighbour that touches: the part near the box is meant.
    return cluster if near.mean() >= 0.7 else cluster[near]


def _clusters(points: FloatArray, up: FloatArray, box: Box3D, config: RefineConfig) -> tuple[NDArray[np.intp], int]:
    """(K,) cluster of every point and how many there are: touching cells of a grid, corners included."""
    along = points @ horizontal_axes(up, box.center).T
    low = along.min(axis=0)
    # Pixels spread with distance; a slanted surface spreads them further.
    spacing = 3.0 * float(np.linalg.norm(box.center)) / 525.0
    cell = max(config.cell_m, spacing, float(np.ptp(along, axis=0).max()) / _MAX_GRID)
    index = ((along - low) / cell).astype(np.intp)
    shape = index.max(axis=0) + 1
    flat = np.ravel_multi_index(tuple(index.T), tuple(shape))
    occupied = np.zeros(int(np.prod(shape)), dtype=bool)
    occupied[flat] = True
    grid, count = ndimage.label(occupied.reshape(shape), structure=np.ones((3, 3, 3), dtype=bool))
    return np.asarray(grid.ravel()[flat] - 1, dtype=np.intp), int(count)


def _unchanged(box: Box3D, points: FloatArray, noise: DepthNoise, status: FitStatus, reason: str) -> FittedBox:
    """The given box with what backs it and an uncertainty as large as that of a box nobody measured."""
    local = box.local(points)
    tolerance = 3.0 * noise.at(float(np.linalg.norm(box.center))) + 0.005 + 0.05 * float(box.size.min())
    seen = coverage(local, box.local(np.zeros(3)), box.size / 2, solid="box", tolerance_m=tolerance)
    stddev = _UNKNOWN_SHARE * box.size
    covariance = box.rotation @ np.diag(np.square(stddev)) @ box.rotation.T
    inside = int((np.abs(local) <= box.size / 2).all(axis=1).sum())
    return FittedBox(
        box=box,
        solid="box",
        status=status,
        reason=reason,
        support_ratio=seen.ratio,
        uncertainty=BoxUncertainty(
            center_covariance_m2=(covariance + covariance.T) / 2, size_stddev_m=stddev, yaw_stddev_rad=np.pi / 4
        ),
        point_count=inside,
        yaw_is_defined=True,
        rim_fill=1.0,
    )
