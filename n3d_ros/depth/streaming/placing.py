"""Where a chunk's estimate lies in the frame and unit of the sequence, and what has to be said about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from n3d_ros.depth.similarity import Freedom, Similarity
from n3d_ros.depth.streaming.alignment import OverlapFit, fit_overlap, scale_overlap
from n3d_ros.depth.streaming.chunks import Chunk
from n3d_ros.depth.streaming.options import AUTO, StreamOptions
from n3d_ros.depth.views import DepthEstimate, PoseSource, ScaleSource, ViewDepth


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Place:
    """How a chunk's estimate goes into the sequence.

    Args:
        segment: number of the stretch of frames that share a frame and a unit; grows where nothing connects.
        segment_S_chunk: from the estimate's frame and unit to the segment's.
        scale_source: what makes the segment metric, here.
        is_given_frame: whether the segment's frame is the one of given poses; None while no frame of it has a pose.
        fit: of the overlap; None where nothing had to be fitted.
        notes: sentences about it.
    """

    segment: int
    segment_S_chunk: Similarity
    scale_source: ScaleSource
    is_given_frame: bool | None = None
    fit: OverlapFit | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tail:
    """What the next chunk is laid on: the views that it shares with the last one.

    Args:
        views: shared views as the last chunk has them, in the segment's frame and unit.
        place: of the last chunk.
        is_anchored: whether poses were given in the last chunk.
    """

    views: tuple[ViewDepth, ...]
    place: Place
    is_anchored: bool


def is_anchored(estimate: DepthEstimate) -> bool:
    """Whether given poses hold an estimate in their own frame.

    Args:
        estimate: of a chunk.

    Returns:
        True when a pose was given for any view.
    """
    return any(view.pose_source is PoseSource.GIVEN for view in estimate.views)


def has_poses(estimate: DepthEstimate) -> bool:
    """Whether an estimate has poses, given or estimated.

    Args:
        estimate: of a chunk.

    Returns:
        False for models of single views.
    """
    return any(view.world_T_camera is not None for view in estimate.views)


def place_chunk(chunk: Chunk, estimate: DepthEstimate, tail: Tail | None, options: StreamOptions) -> Place:
    """Where a chunk lies, seen from the one before.

    Args:
        chunk: to place.
        estimate: of it.
        tail: of the chunk before; None for the first.
        options: of the stream.

    Returns:
        Its place; in a new segment where the two cannot be put together.
    """
    is_given = is_anchored(estimate)
    same = Place(
        segment=0,
        segment_S_chunk=Similarity.identity(),
        scale_source=estimate.scale_source,
        is_given_frame=is_given if has_poses(estimate) else None,
    )
    if tail is None:
        return same
    before = tail.place
    was_metric = before.scale_source is not ScaleSource.RELATIVE
    if _is_empty(estimate) and not (is_given and before.is_given_frame is False):
        frame = True if is_given else before.is_given_frame
        return replace(same, segment=before.segment, scale_source=before.scale_source, is_given_frame=frame)
    if not has_poses(estimate):
        return replace(same, segment=before.segment, is_given_frame=before.is_given_frame)
    if why := _another_frame(estimate, before, is_given=is_given, was_metric=was_metric):
        return _new_segment(chunk, same, tail, options, why)
    if is_given:  # in the frame that the segment has: nothing is turned or moved
        return _of_given_poses(chunk, estimate, tail, options, same)
    fit = fit_overlap(
        tail.views,
        estimate.views[: chunk.shared],
        is_metric=was_metric and estimate.is_metric,
        freedom=fitted_freedom(options, both_metric=was_metric and estimate.is_metric),
        options=options,
    )
    if fit.earlier_S_later is None:
        return replace(_new_segment(chunk, same, tail, options, fit.why_not), fit=fit)
    return Place(
        segment=before.segment,
        segment_S_chunk=fit.earlier_S_later,
        scale_source=before.scale_source,
        is_given_frame=before.is_given_frame,
        fit=fit,
        notes=_taken_over(chunk, estimate, was_metric=was_metric),
    )


def in_segment(views: Sequence[ViewDepth], place: Place) -> tuple[ViewDepth, ...]:
    """Views of a chunk's estimate in the frame and unit of its segment.

    Args:
        views: as estimated.
        place: of the chunk.

    Returns:
        The same views, depth and poses moved; given poses stay to the last bit, and one that had to be turned is not
        called given any more.
    """
    move = place.segment_S_chunk
    if move.scale == 1 and not move.translation.any() and (move.rotation == np.eye(3)).all():
        return tuple(views)
    is_turned = move.translation.any() or not (move.rotation == np.eye(3)).all()
    moved = []
    for view in views:
        pose = view.world_T_camera
        was_given = view.pose_source is PoseSource.GIVEN
        if pose is not None and (is_turned or not was_given):
            pose = move.apply_to_pose(pose)
        source = PoseSource.ESTIMATED if was_given and is_turned else view.pose_source
        depth_m = view.depth_m * np.float32(move.scale)
        moved.append(replace(view, depth_m=depth_m, world_T_camera=pose, pose_source=source))
    return tuple(moved)


def fitted_freedom(options: StreamOptions, *, both_metric: bool) -> Freedom:
    """What of a similarity is fitted between two estimates.

    Args:
        options: of the stream.
        both_metric: whether both are metric.

    Returns:
        The scale too, unless both are metric and nothing else was asked for.
    """
    if not both_metric:  # the unit of a relative estimate is its own: it is always fitted
        known = options.alignment == Freedom.SCALE_THEN_SE3.value
        return Freedom.SCALE_THEN_SE3 if known else Freedom.SIM3
    return Freedom.SE3 if options.alignment == AUTO else Freedom(options.alignment)


def _is_empty(estimate: DepthEstimate) -> bool:
    """Whether there is no depth at all, as where a model saw nothing but sky."""
    return not any(np.isfinite(view.depth_m).any() for view in estimate.views)


def _another_frame(estimate: DepthEstimate, before: Place, *, is_given: bool, was_metric: bool) -> str:
    """Why an estimate cannot share unit and frame with what came before, whatever their points say; else nothing."""
    if estimate.is_metric and not was_metric:
        return "depth is in metres from here on and was relative before"
    if is_given and before.is_given_frame is False:
        return "poses are given from here on; the frames before lie in a frame of their own"
    if not is_given and before.is_given_frame and not was_metric:
        return "no poses are given from here on, and the depth of the frames before is not in the unit of their poses"
    return ""


def _of_given_poses(chunk: Chunk, estimate: DepthEstimate, tail: Tail, options: StreamOptions, same: Place) -> Place:
    """Poses need no fit; only the unit of depth that is relative beside them does."""
    was_metric = tail.place.scale_source is not ScaleSource.RELATIVE
    notes = (*_stepped(chunk, estimate, tail, options), *_taken_over(chunk, estimate, was_metric=was_metric))
    if estimate.is_metric:
        return replace(same, segment=tail.place.segment, notes=notes)
    factor = scale_overlap(tail.views, estimate.views[: chunk.shared])
    if factor is None:
        return _new_segment(chunk, same, tail, options, "the shared views have no depth in common pixels")
    return replace(
        same,
        segment=tail.place.segment,
        segment_S_chunk=replace(same.segment_S_chunk, scale=factor),
        scale_source=tail.place.scale_source,
        notes=notes,
    )


def _stepped(chunk: Chunk, estimate: DepthEstimate, tail: Tail, options: StreamOptions) -> tuple[str, ...]:
    """How far off the frames without given poses had drifted when poses are given again, which leaves a step there."""
    if tail.is_anchored:
        return ()
    steps = [
        float(np.linalg.norm(a.world_T_camera.translation - b.world_T_camera.translation))
        for a, b in zip(tail.views, estimate.views[: chunk.shared], strict=True)
        if a.world_T_camera is not None and b.world_T_camera is not None
    ]
    if not steps:
        return ()
    begin = chunk.first + chunk.own(options).start
    return (f"frame {begin}: poses are given again; the frames before had come {max(steps):.2g} m off them",)


def _taken_over(chunk: Chunk, estimate: DepthEstimate, *, was_metric: bool) -> tuple[str, ...]:
    if estimate.is_metric or not was_metric:
        return ()
    return (
        f"frames {chunk.first} to {chunk.first + len(chunk.views) - 1}: their own estimate is relative; metres were "
        "taken over from the frames before",
    )


def _new_segment(chunk: Chunk, same: Place, tail: Tail, options: StreamOptions, reason: str) -> Place:
    number = tail.place.segment + 1
    begin = chunk.first + chunk.own(options).start
    note = (
        f"frame {begin}: segment {number} begins; its unit and its frame (unless poses are given) are its own: {reason}"
    )
    return replace(same, segment=number, notes=(note,))
