"""The surface that estimated depth and poses make, against the one that the true ones make."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from n3d_ros.depth.evaluation.benchmark_settings import SAMPLE_SEED, BenchmarkSettings
from n3d_ros.depth.evaluation.depth_error import DepthAlignment, aligned_depth, compared_pixels
from n3d_ros.depth.evaluation.fusion import DepthView, fuse
from n3d_ros.depth.evaluation.sequence import TrueFrame
from n3d_ros.depth.evaluation.surfaces import (
    Surface,
    SurfaceScore,
    compare_points,
    inside_box_of,
    sample_points,
    voxel_downsample,
)
from n3d_ros.depth.evaluation.trajectory import TrajectoryAlignment
from n3d_ros.depth.views import DepthEstimate, PoseSource, ViewDepth
from n3d_ros.errors import InputError
from n3d_ros.geometry.arrays import Float32Array, FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reconstruction:
    """Two surfaces as points, and how near they are.

    Args:
        score: how near.
        predicted: (N, 3) points that were compared, metres, true world.
        true: (M, 3) points.
        cameras: which poses placed the depth: "estimated" or "true".
        scale: what made the estimated depth as large as the truth: "trajectory", "metric", "median" (one factor over
            all images) or "median per image".
        notes: what a reader should know.
    """

    score: SurfaceScore
    predicted: FloatArray
    true: FloatArray
    cameras: str
    scale: str
    notes: tuple[str, ...] = ()


def reconstruct(
    frames: Sequence[TrueFrame],
    estimate: DepthEstimate,
    laid: TrajectoryAlignment | None,
    settings: BenchmarkSettings,
    *,
    on_step: Callable[[str], None] = lambda _: None,
) -> Reconstruction:
    """Fuses and compares; the truth is the true depth fused at the true poses in the same way.

    Estimated depth counts only where there is true depth, as in the Visual Geometry Benchmark.

    Args:
        frames: the truth.
        estimate: one view per frame.
        laid: how estimated poses lie in the true world; None where poses were given or are not known: depth is then
            placed by the true poses and calibrations.
        settings: voxels, distances and points.
        on_step: told what begins.

    Returns:
        The score; that of nothing where the estimated surface cannot be fused, with a note.

    Raises:
        InputError: the true depth makes no surface.
        ConfigurationError: Open3D is not installed.
    """
    on_step("true surface")
    true = _points(_fused(_true_views(frames), settings), settings)
    if not len(true):
        raise InputError("Reconstruction: the true depth makes no surface; is there any within the largest depth?")
    on_step("estimated surface")
    cameras = "true" if laid is None else "estimated"
    factors, scale = _factors(frames, estimate, laid)
    notes: tuple[str, ...] = ()
    try:
        predicted = _points(_fused(_estimated_views(frames, estimate, laid, factors), settings), settings)
    except InputError as error:
        predicted, notes = np.empty((0, 3)), (f"no surface from the estimate: {error.message}",)
    if settings.crop_margin_m is not None and len(predicted):
        predicted = inside_box_of(predicted, true, settings.crop_margin_m)
    on_step("distances")
    predicted, true = (voxel_downsample(points, settings.downsample_m) for points in (predicted, true))
    score = compare_points(predicted, true, threshold_m=settings.threshold_m)
    return Reconstruction(score=score, predicted=predicted, true=true, cameras=cameras, scale=scale, notes=notes)


def _fused(views: Iterator[DepthView], settings: BenchmarkSettings) -> Surface:
    return fuse(views, voxel_m=settings.voxel_m, truncation_m=settings.truncation_m, max_depth_m=settings.max_depth_m)


def _points(surface: Surface, settings: BenchmarkSettings) -> FloatArray:
    return sample_points(surface, settings.points, SAMPLE_SEED)


def _true_views(frames: Sequence[TrueFrame]) -> Iterator[DepthView]:
    for frame in frames:
        yield DepthView(depth_m=frame.depth_m, intrinsics=frame.intrinsics, world_T_camera=frame.world_T_camera)


def _factors(
    frames: Sequence[TrueFrame], estimate: DepthEstimate, laid: TrajectoryAlignment | None
) -> tuple[list[float], str]:
    """By what each estimated depth image is multiplied, and where that comes from."""
    count = len(frames)
    if laid is not None and laid.has_scale:
        return [laid.true_S_predicted.scale] * count, "trajectory"
    if estimate.is_metric:
        return [1.0] * count, "metric"
    ratios = [_median_ratio(frame, view) for frame, view in zip(frames, estimate.views, strict=True)]
    known = [ratio for ratio in ratios if ratio is not None]
    middle = float(np.median(known)) if known else 1.0
    if all(view.pose_source is PoseSource.NONE for view in estimate.views):  # each image has a scale of its own
        return [middle if ratio is None else ratio for ratio in ratios], "median per image"
    return [middle] * count, "median"


def _median_ratio(frame: TrueFrame, view: ViewDepth) -> float | None:
    if not compared_pixels(view.depth_m, frame.depth_m).any():
        return None
    return aligned_depth(view.depth_m, frame.depth_m, DepthAlignment.MEDIAN)[1]


def _estimated_views(
    frames: Sequence[TrueFrame], estimate: DepthEstimate, laid: TrajectoryAlignment | None, factors: Sequence[float]
) -> Iterator[DepthView]:
    """Estimated depth in metres at its place in the true world; views without a pose are left out."""
    for frame, view, factor in zip(frames, estimate.views, factors, strict=True):
        depth: Float32Array = np.where(np.isnan(frame.depth_m), np.nan, view.depth_m * factor).astype(np.float32)
        if laid is None:
            yield DepthView(depth_m=depth, intrinsics=frame.intrinsics, world_T_camera=frame.world_T_camera)
        elif view.world_T_camera is not None:
            yield DepthView(
                depth_m=depth,
                intrinsics=view.intrinsics or frame.intrinsics,
                world_T_camera=laid.true_S_predicted.apply_to_pose(view.world_T_camera),
            )
