"""What is said of one sequence: how right its estimated depth and poses are, and the surface that they make."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from n3d_ros.depth.evaluation.benchmark_settings import BenchmarkSettings
from n3d_ros.depth.evaluation.consistency import check_consistency
from n3d_ros.depth.evaluation.depth_error import (
    DepthAlignment,
    DepthError,
    compared_pixels,
    depth_error,
    mean_error,
)
from n3d_ros.depth.evaluation.pose_error import WRONG_DEG, auc, pair_errors
from n3d_ros.depth.evaluation.reconstruction import Reconstruction, reconstruct
from n3d_ros.depth.evaluation.sequence import TrueFrame
from n3d_ros.depth.evaluation.trajectory import TrajectoryAlignment, align_trajectory
from n3d_ros.depth.views import DepthEstimate, PoseSource
from n3d_ros.errors import InputError
from n3d_ros.geometry.arrays import Float32Array
from n3d_ros.geometry.transforms import RigidTransform

AUC_DEG = (3, 30)
LOOKED_AT = 5  # frames whose depth and poses are checked against each other


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseScore:
    """How right estimated camera poses are.

    Args:
        auc: area under the accuracy curve by threshold in degrees, 0 to 1.
        released_auc: the same by the released program's formula of a relative pose.
        rotation_deg: median error of the relative rotations.
        translation_deg: median error of the directions of the relative translations; NaN without any.
        pairs: number of pairs of views.
        without_direction: pairs whose true cameras stand in one place, judged by their rotation.
        ate_m: root mean square distance of the aligned camera positions, metres.
        alignment: how the trajectory was laid onto the true one.
        scale: factor of that alignment; 1 for metric poses without error.
    """

    auc: dict[int, float]
    released_auc: dict[int, float]
    rotation_deg: float
    translation_deg: float
    pairs: int
    without_direction: int
    ate_m: float
    alignment: str
    scale: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluated:
    """Everything said of one sequence, with what pictures are drawn of.

    Args:
        name: of the sequence.
        images: number of them.
        depth: mean errors over the images.
        depth_by_frame: errors by frame; None where a frame has no depth to compare.
        depth_alignment: what was taken out of the depth before.
        is_metric: whether the estimate is in metres by itself.
        poses: None where poses were given or the model knows none.
        aligned_poses: estimated ``world_T_camera`` in the true world; empty without.
        reconstruction: None when none was asked for.
        notes: what a reader should know.
    """

    name: str
    images: int
    depth: DepthError
    depth_by_frame: tuple[DepthError | None, ...]
    depth_alignment: DepthAlignment
    is_metric: bool
    poses: PoseScore | None
    aligned_poses: tuple[RigidTransform, ...] = ()
    reconstruction: Reconstruction | None = None
    notes: tuple[str, ...] = field(default=())


def evaluate(
    name: str,
    frames: Sequence[TrueFrame],
    estimate: DepthEstimate,
    settings: BenchmarkSettings,
    *,
    alignment: DepthAlignment | None = None,
    with_reconstruction: bool = True,
    on_step: Callable[[str], None] = lambda _: None,
) -> Evaluated:
    """Compares an estimate with the truth.

    Args:
        name: of the sequence.
        frames: with true depth and poses.
        estimate: one view per frame, in the frames' pixels.
        settings: of the reconstruction.
        alignment: what is taken out of each depth image; None: nothing of metric depth, else the median.
        with_reconstruction: whether surfaces are fused and compared; needs Open3D.
        on_step: told what begins.

    Returns:
        All scores.

    Raises:
        InputError: another number of views or another size, no depth to compare, or truth that contradicts itself.
        ConfigurationError: Open3D is not installed.
    """
    if len(estimate.views) != len(frames):
        raise InputError(f"{name}: expected one estimate per frame, got {len(estimate.views)} for {len(frames)}.")
    on_step("truth")
    notes = [*estimate.notes]
    looked_at = np.unique(np.linspace(0, len(frames) - 1, LOOKED_AT).round().astype(int))
    if note := check_consistency([frames[k] for k in looked_at]).note:
        notes.append(note)
    on_step("depth")
    alignment = alignment or (DepthAlignment.NONE if estimate.is_metric else DepthAlignment.MEDIAN)
    by_frame = tuple(
        _depth_of(frame, view.depth_m, alignment) for frame, view in zip(frames, estimate.views, strict=True)
    )
    measured = [error for error in by_frame if error is not None]
    if not measured:
        raise InputError(f"{name}: expected pixels with estimated and true depth, no frame has any.")
    if len(measured) < len(frames):
        notes.append(f"{len(frames) - len(measured)} frames without a pixel to compare")
    on_step("poses")
    found = _poses_of(frames, estimate)
    score, laid = (None, None) if found is None else found
    reconstruction = None
    if with_reconstruction:
        reconstruction = reconstruct(frames, estimate, laid, settings, on_step=on_step)
        notes += reconstruction.notes
    poses = [view.world_T_camera for view in estimate.views]
    return Evaluated(
        name=name,
        images=len(frames),
        depth=mean_error(measured),
        depth_by_frame=by_frame,
        depth_alignment=alignment,
        is_metric=estimate.is_metric,
        poses=score,
        aligned_poses=tuple(laid.true_S_predicted.apply_to_pose(pose) for pose in poses if pose) if laid else (),
        reconstruction=reconstruction,
        notes=tuple(notes),
    )


def _depth_of(frame: TrueFrame, depth_m: Float32Array, alignment: DepthAlignment) -> DepthError | None:
    """The errors of one frame over all its true depth, however far; None where it has no pixel to compare."""
    if not compared_pixels(depth_m, frame.depth_m).any():
        return None
    return depth_error(depth_m, frame.depth_m, alignment=alignment)


def _poses_of(frames: Sequence[TrueFrame], estimate: DepthEstimate) -> tuple[PoseScore, TrajectoryAlignment] | None:
    """Scores and alignment of estimated poses; None where they are given or not known of any view."""
    predicted = [view.world_T_camera for view in estimate.views]
    if any(view.pose_source is PoseSource.GIVEN for view in estimate.views) or not any(predicted) or len(frames) < 2:
        return None
    true = [frame.world_T_camera for frame in frames]
    errors, released = (pair_errors(predicted, true, released_formula=formula) for formula in (False, True))
    known = [k for k, pose in enumerate(predicted) if pose is not None]
    laid = align_trajectory([pose for pose in predicted if pose is not None], [true[k] for k in known])
    directions = errors.translation_deg[~np.isnan(errors.translation_deg)]
    score = PoseScore(
        auc={limit: auc(errors.worst_deg, limit) for limit in AUC_DEG},
        released_auc={limit: auc(np.nan_to_num(released.worst_deg, nan=WRONG_DEG), limit) for limit in AUC_DEG},
        rotation_deg=float(np.median(errors.rotation_deg)),
        translation_deg=float(np.median(directions)) if len(directions) else float("nan"),
        pairs=len(errors.worst_deg),
        without_direction=errors.without_direction,
        ate_m=laid.ate_m,
        alignment=laid.method,
        scale=laid.true_S_predicted.scale,
    )
    return score, laid
