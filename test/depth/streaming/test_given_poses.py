"""Films of which only some frames come with poses: no segment has two frames of reference, and none is called given
that is not what was given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from depth_scene import ExactAnyView, ExactMetric, Room, camera_at
from depth_walk import PosedWalkModel, WalkModel, view_of, walk
from n3d_ros.depth.model import DepthModel
from n3d_ros.depth.similarity import Similarity
from n3d_ros.depth.streaming.options import StreamOptions
from n3d_ros.depth.streaming.placing import Place, in_segment
from n3d_ros.depth.streaming.stream import StreamedFrame, stream_depth
from n3d_ros.depth.views import DepthEstimate, PoseSource, ScaleSource, View, ViewDepth

ROOM = Room([camera_at(0.1 * i + 5, 0.2, -1, yaw_rad=0.02 * i) for i in range(20)])
CHUNKS = StreamOptions(chunk_views=6, overlap_views=3)


def views(is_posed: Callable[[int], bool]) -> list[View]:
    return [replace(view, world_T_camera=ROOM.poses[i] if is_posed(i) else None) for i, view in enumerate(ROOM.views())]


def streamed(
    is_posed: Callable[[int], bool],
    *,
    is_metric: bool = True,
    work_folder: Path | None = None,
    options: StreamOptions = CHUNKS,
) -> list[StreamedFrame]:
    model = DepthModel(
        name="pair",
        device="cpu",
        any_view=ExactAnyView(ROOM),
        single=ExactMetric(ROOM) if is_metric else None,
        single_is_metric=is_metric,
        options=ROOM.options,
    )
    return list(stream_depth(views(is_posed), model, options=options, work_folder=work_folder))


def off_m(frame: StreamedFrame) -> float:
    """Distance of a frame's position from the one in the frame of the given poses."""
    assert frame.depth.world_T_camera is not None
    return float(np.linalg.norm(frame.depth.world_T_camera.translation - ROOM.poses[frame.index].translation))


def test_poses_that_begin_in_the_middle_begin_a_segment_in_their_frame() -> None:
    frames = streamed(lambda i: i >= 8)
    assert [f.index for f in frames] == list(range(20))
    before = [f for f in frames if f.segment == 0]
    after = [f for f in frames if f.segment == 1]
    assert len(before) + len(after) == 20 and before[-1].index < after[0].index <= 8
    assert all(off_m(f) > 5 for f in before)  # in the frame of the first camera
    assert all(off_m(f) < 1e-4 for f in after)
    assert all(f.depth.world_T_camera is ROOM.poses[f.index] for f in after if f.index >= 8)
    assert any("segment 1 begins" in note and "poses are given from here on" in note for note in after[0].notes)


def test_poses_lost_for_a_while_leave_the_film_in_one_frame() -> None:
    frames = streamed(lambda i: i < 3 or i > 16)
    assert {f.segment for f in frames} == {0}
    assert all(off_m(f) < 1e-3 for f in frames)
    given = [f.index for f in frames if f.depth.pose_source is PoseSource.GIVEN]
    assert given == [0, 1, 2, 17, 18, 19]
    assert all(frames[i].depth.world_T_camera is ROOM.poses[i] for i in given)
    assert any("given again" in note and "m off" in note for f in frames for note in f.notes)


def test_relative_depth_beside_given_poses_is_not_laid_on_them_by_its_points() -> None:
    frames = streamed(lambda i: i == 0, is_metric=False)
    assert frames[0].depth.pose_source is PoseSource.GIVEN and frames[0].scale_source is ScaleSource.RELATIVE
    begun = next(f for f in frames if f.segment == 1)
    assert any("not in the unit of their poses" in note for note in begun.notes)
    assert {f.segment for f in frames} == {0, 1}


def test_a_given_pose_that_is_turned_is_not_called_given_any_more() -> None:
    view = ViewDepth(
        depth_m=np.ones((4, 4), dtype=np.float32), world_T_camera=camera_at(1.0), pose_source=PoseSource.GIVEN
    )

    def placed(similarity: Similarity) -> ViewDepth:
        place = Place(segment=0, segment_S_chunk=similarity, scale_source=ScaleSource.POSES)
        return in_segment([view], place)[0]

    moved = placed(replace(Similarity.identity(), translation=np.array([0.0, 0.0, 1.0])))
    assert moved.pose_source is PoseSource.ESTIMATED
    scaled = placed(replace(Similarity.identity(), scale=2.0))
    assert scaled.pose_source is PoseSource.GIVEN and scaled.world_T_camera is view.world_T_camera


def test_frames_of_sky_only_do_not_split_a_metric_film_whose_poses_are_given() -> None:
    poses = walk(40)

    class Metric(PosedWalkModel):
        def estimate(self, views: Sequence[View], **more: object) -> DepthEstimate:
            return replace(super().estimate(views), scale_source=ScaleSource.POSES)

    model = Metric(poses, is_metric=True, blind=frozenset([20]))
    film = [view_of(i, pose) for i, pose in enumerate(poses)]
    frames = list(stream_depth(film, model, options=CHUNKS))
    assert any(np.isnan(f.depth.depth_m).all() for f in frames)
    assert {f.segment for f in frames} == {0}
    assert all(f.depth.world_T_camera is poses[f.index] for f in frames)


def test_loop_closure_moves_no_given_pose(tmp_path: Path) -> None:
    """The first and the last stretch are given, the drifting one between them is not: only that may be pulled."""
    poses = walk(90, laps=1.5)

    class Mixed(WalkModel):
        def estimate(self, views: Sequence[View], **more: object) -> DepthEstimate:
            estimate = super().estimate(views)
            if any(view.world_T_camera is None for view in views):
                return estimate
            given = tuple(
                replace(found, world_T_camera=view.world_T_camera, pose_source=PoseSource.GIVEN)
                for found, view in zip(estimate.views, views, strict=True)
            )
            return replace(estimate, views=given)

    film = [view_of(i, pose if i < 16 or i >= 72 else None, seen_from=pose) for i, pose in enumerate(poses)]
    options = StreamOptions(chunk_views=16, overlap_views=4, loop_closure=True)
    model = Mixed(poses, is_metric=True, depth_noise=0.05)
    frames = list(stream_depth(film, model, options=options, work_folder=tmp_path))
    assert any("pull the trajectory" in note for note in frames[0].notes)
    own = [f for f in frames if f.depth.pose_source is PoseSource.GIVEN]
    assert {f.index for f in own} == {*range(14), *range(74, 90)}
    assert all(np.array_equal(f.depth.world_T_camera.matrix, poses[f.index].matrix) for f in own)  # type: ignore[union-attr]
