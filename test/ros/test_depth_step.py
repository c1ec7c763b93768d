"""From messages to a frame with depth: found by a model, fused, or the camera's own where the model fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="needs ROS 2 messages")

from builders import make_intrinsics
from n3d_ros.errors import BackendError, CancelledError, GroundingError, InputError, StatusCode
from n3d_ros.geometry.camera import CameraIntrinsics, CameraModel, Distortion
from n3d_ros.geometry.transform_buffer import TransformBuffer
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.inference.depth_source import FUSED, MODEL, ColorView, FoundDepth, PixelSource
from n3d_ros.inference.grounder import GroundingRequest
from n3d_ros.inference.timing import Stages
from n3d_ros.ros.config import PipelineConfig
from n3d_ros.ros.conversions import intrinsics_to_camera_info, model_to_camera_info, stamp_to_ns
from n3d_ros.ros.depth_step import DepthFailedError, FrameMaker, MadeFrame, NamedView, SeenDepth
from n3d_ros.ros.frame_assembly import FrameConfig
from n3d_ros.ros.image_codec import depth_to_image_msg, rgb_to_image_msg
from n3d_ros.ros.pairing import RgbdPair
from n3d_ros.ros.pipeline import FramePipeline
from node_under_test import BlockGrounder
from ros.test_pipeline import FRAME, SECOND, make_pair
from scripted_depth import CONFIDENCE, LOW_CONFIDENCE, NOTE, ScriptedDepth


def colour_only(stamp_ns: int = SECOND) -> RgbdPair:
    return replace(make_pair(stamp_ns), depth=None, depth_info=None)


def maker(source: Any = None, kind: str = MODEL, config: FrameConfig | None = None, **options: Any) -> FrameMaker:
    frames = FrameMaker(config or FrameConfig(), kind=kind, **options)
    frames.source = source
    return frames


def made(frames: FrameMaker, pair: RgbdPair | None = None, **options: Any) -> MadeFrame:
    return frames.frame_of(pair or colour_only(), TransformBuffer().lookup, Stages(), **options)


def test_a_colour_image_alone_becomes_a_frame_with_the_models_depth() -> None:
    source = ScriptedDepth(depth_m=1.5)
    frame = made(maker(source)).frame
    assert (frame.stamp_ns, frame.frame_id) == (SECOND, FRAME)
    assert frame.depth_m[20, 30] == 1.5
    (view,) = source.asked[0]
    assert view.sensor_depth_m is None
    assert view.intrinsics == make_intrinsics()


def test_sky_and_depth_out_of_range_count_as_none() -> None:
    frame = made(maker(ScriptedDepth(sky_rows=4))).frame
    assert np.isnan(frame.depth_m[:4]).all()
    assert np.isfinite(frame.depth_m[4:-4]).all()
    assert np.isnan(frame.depth_m[-4:, -4:]).all(), "50 m is beyond depth.max_m"


def test_depth_of_little_confidence_counts_as_none_when_a_bound_is_set() -> None:
    frames = maker(ScriptedDepth(), min_confidence=(CONFIDENCE + LOW_CONFIDENCE) / 2)
    depth = made(frames).frame.depth_m
    quarter = depth.shape[1] // 4
    assert np.isnan(depth[:, :quarter]).all()
    assert np.isfinite(depth[10, quarter:-4]).all()


def test_where_a_lens_saw_nothing_there_is_no_depth() -> None:
    pair = colour_only()
    lens = Distortion(model="plumb_bob", coefficients=(0.5, 0.2, 0.0, 0.0, 0.0))
    model = CameraModel(intrinsics=make_intrinsics(), distortion=lens)
    pair = replace(pair, color_info=model_to_camera_info(model, stamp_ns=SECOND, frame_id=FRAME))
    frame = made(maker(ScriptedDepth(sky_rows=0)), pair).frame
    black = (frame.rgb == 0).all(axis=2)
    assert black.any(), "rectification left a border"
    assert np.isnan(frame.depth_m[black]).all()
    assert np.isfinite(frame.depth_m[20, 30])


def test_all_sky_is_refused_in_words() -> None:
    sky = ScriptedDepth(find=lambda views: (FoundDepth(depth_m=np.full(views[0].rgb.shape[:2], np.nan, np.float32)),))
    with pytest.raises(GroundingError, match="as where all is sky"):
        made(maker(sky))


def test_depth_that_is_out_of_range_everywhere_is_refused_with_its_range() -> None:
    config = FrameConfig(depth_min_m=2.0, depth_max_m=10.0)
    with pytest.raises(GroundingError, match=r"1\.00 to 50\.00 m.*depth\.max_m = 10 m"):
        made(maker(ScriptedDepth(), config=config))


def test_without_a_model_and_without_a_camera_there_is_no_frame() -> None:
    with pytest.raises(DepthFailedError, match=r"depth_model\.model"):
        made(maker(None))


def test_fused_depth_keeps_what_the_sensor_measured_whatever_the_model_thinks_of_it() -> None:
    depth = np.full((48, 64), np.nan, dtype=np.float32)
    depth[:, :32] = 2.0
    source = ScriptedDepth(needs_sensor=True)
    frames = maker(source, FUSED, min_confidence=2.0)
    result = made(frames, pair_with(depth))
    assert (result.frame.depth_m[:, :32] == 2.0).all(), "neither sky nor confidence of the model touches it"
    assert np.isnan(result.frame.depth_m[:4, 32:]).all(), "sky, of the model"
    assert result.depth is not None and result.depth.found.source is not None
    assert set(np.unique(result.depth.found.source[:4, 32:])) == {PixelSource.NONE}
    assert set(np.unique(result.depth.found.source[10:40, 32:])) == {PixelSource.MODEL}


def test_what_the_sensor_measured_stays_where_the_colour_lens_saw_nothing() -> None:
    lens = Distortion(model="plumb_bob", coefficients=(0.5, 0.2, 0.0, 0.0, 0.0))
    model = CameraModel(intrinsics=make_intrinsics(), distortion=lens)
    info = model_to_camera_info(model, stamp_ns=SECOND, frame_id=FRAME)
    pinhole = model_to_camera_info(CameraModel(intrinsics=model.rectified_intrinsics), stamp_ns=SECOND, frame_id=FRAME)
    pair = replace(make_pair(depth_m=1.25), color_info=info, depth_info=pinhole)
    frame = made(maker(ScriptedDepth(needs_sensor=True), FUSED), pair).frame
    assert (frame.rgb == 0).all(axis=2).any(), "rectification left a border"
    assert (frame.depth_m == 1.25).all()


def test_fused_with_a_blind_sensor_asks_the_model_without_one() -> None:
    source = ScriptedDepth(needs_sensor=True)
    result = made(maker(source, FUSED), pair_with(np.full((48, 64), np.nan, dtype=np.float32)))
    assert source.asked[0][0].sensor_depth_m is None
    assert result.frame.depth_m[20, 30] == 1.0


def test_fused_without_a_model_is_the_camera_alone() -> None:
    result = made(maker(None, FUSED), make_pair(depth_m=1.25))
    assert result.frame.depth_m[20, 30] == pytest.approx(1.25)
    assert result.depth is not None and result.depth.found.source is not None
    assert set(np.unique(result.depth.found.source)) == {PixelSource.SENSOR}


def test_a_model_that_fails_on_an_image_leaves_the_sensors_depth_with_a_note_where_there_is_one() -> None:
    source = ScriptedDepth(needs_sensor=True)
    source.broken = "CUDA error"
    told: list[tuple[int, str]] = []
    frames = maker(source, FUSED, on_failure=lambda count, sentence: told.append((count, sentence)))
    result = made(frames, make_pair(depth_m=1.25))
    assert result.frame.depth_m[20, 30] == pytest.approx(1.25)
    assert "CUDA error" in result.notes[0]
    assert told == [(1, "CUDA error")]


def test_an_image_that_the_model_refuses_leaves_the_sensors_depth_with_a_note() -> None:
    def find(_views: Sequence[ColorView]) -> tuple[FoundDepth, ...]:
        raise InputError("No camera has such a focal length.")

    result = made(maker(ScriptedDepth(find=find), FUSED), make_pair(depth_m=1.25))
    assert result.frame.depth_m[20, 30] == pytest.approx(1.25)
    assert "No camera has such a focal length." in result.notes[0]


def test_without_a_sensor_the_failure_is_the_frames() -> None:
    source = ScriptedDepth()
    source.broken = "CUDA error"
    with pytest.raises(DepthFailedError, match="CUDA error") as caught:
        made(maker(source))
    assert (caught.value.code, caught.value.reason) == (StatusCode.BACKEND_FAILED, "depth_failed")


@pytest.mark.parametrize("error", [RuntimeError("cuDNN"), BackendError("too little memory", reason="out_of_memory")])
def test_failures_in_a_row_are_counted_until_one_image_goes_well(error: Exception) -> None:
    failing: list[Exception] = [error, error]

    def find(views: Sequence[ColorView]) -> tuple[FoundDepth, ...]:
        if failing:
            raise failing.pop()
        return (FoundDepth(depth_m=np.ones(views[0].rgb.shape[:2], np.float32)),)

    counts: list[int] = []
    frames = maker(ScriptedDepth(find=find), on_failure=lambda count, _: counts.append(count))
    for _ in range(2):
        with pytest.raises(DepthFailedError):
            made(frames)
    made(frames)
    failing.extend([error, GroundingError("All sky."), error])
    for expected in (DepthFailedError, GroundingError, DepthFailedError):
        with pytest.raises(expected):
            made(frames)
    assert counts == [1, 2, 1, 1]


@pytest.mark.parametrize("error", [CancelledError("Stopped."), InputError("Too small."), GroundingError("All sky.")])
def test_what_is_no_fault_of_the_model_is_passed_on_and_not_counted(error: Exception) -> None:
    def find(_views: Sequence[ColorView]) -> tuple[FoundDepth, ...]:
        raise error

    told: list[int] = []
    frames = maker(ScriptedDepth(find=find), on_failure=lambda count, _: told.append(count))
    with pytest.raises(type(error), match=str(error)):
        made(frames)
    assert told == []


def test_a_frame_is_made_once_and_the_newest_stays_while_one_of_the_past_is_looked_at() -> None:
    source = ScriptedDepth()
    frames = maker(source)
    newest, past = colour_only(2 * SECOND), colour_only(SECOND)
    for pair in (newest, past, newest, past):
        made(frames, pair)
    assert len(source.asked) == 2
    frames.forget()
    made(frames, newest)
    assert len(source.asked) == 3


def test_depth_is_told_as_soon_as_it_is_found_for_the_present_and_once() -> None:
    told: list[SeenDepth] = []
    frames = maker(ScriptedDepth(), on_depth=told.append)
    pair = colour_only()
    made(frames, pair)
    made(frames, pair)
    made(frames, colour_only(SECOND // 2), is_past=True)
    assert [one.view.stamp_ns for one in told] == [SECOND]


def test_further_cameras_are_looked_at_in_the_same_call_and_told_with_the_first() -> None:
    source, told = ScriptedDepth(), list[SeenDepth]()
    frames = maker(source, on_depth=told.append)
    frames.extra_views = lambda first: (NamedView(name="left", view=replace(first, reference_T_camera=None)),)
    made(frames)
    first, left = source.asked[0]
    assert first.reference_T_camera is not None and first.reference_T_camera.is_close(RigidTransform.identity())
    assert left.reference_T_camera is None
    ((named, found),) = told[0].beside
    assert named.name == "left"
    assert found.reference_T_camera is not None
    made(frames, colour_only(SECOND // 2), is_past=True)
    assert len(source.asked[1]) == 1, "nothing of them is remembered"


def test_with_a_colour_only_camera_the_pipeline_finds_what_it_finds_with_a_depth_camera() -> None:
    with_camera = FramePipeline(PipelineConfig(), BlockGrounder(), TransformBuffer().lookup)
    alone = FramePipeline(PipelineConfig(), BlockGrounder(), TransformBuffer().lookup, frames=maker(ScriptedDepth()))
    expected, got = with_camera.process(make_pair(depth_m=1.0)), alone.process(colour_only())
    assert got.is_ok and expected.is_ok
    assert [one.box.center.tolist() for one in got.detections] == [
        one.box.center.tolist() for one in expected.detections
    ]
    assert [name for name in got.stage_ms if name.startswith("depth")] == ["depth", "depth/network"]
    assert got.notes == (NOTE,)
    assert alone.counts["depth/scale"] == 2.0


def test_a_depth_model_that_fails_is_not_counted_against_the_grounder() -> None:
    failures: list[int] = []
    source = ScriptedDepth()
    source.broken = "CUDA error"
    pipeline = FramePipeline(
        PipelineConfig(),
        BlockGrounder(),
        TransformBuffer().lookup,
        frames=maker(source),
        on_failure=lambda count, _: failures.append(count),
    )
    outcome = pipeline.process(colour_only())
    assert (outcome.status, outcome.reason) == (StatusCode.BACKEND_FAILED, "depth_failed")
    assert failures == []


def test_a_look_back_at_a_colour_image_finds_its_depth_again() -> None:
    source = ScriptedDepth()
    pipeline = FramePipeline(PipelineConfig(), BlockGrounder(), TransformBuffer().lookup, frames=maker(source))
    past, newest = colour_only(SECOND), colour_only(2 * SECOND)
    for pair in (past, newest, colour_only(3 * SECOND)):
        assert pipeline.process(pair).is_ok
    outcome = pipeline.look_back(past, GroundingRequest())
    assert outcome.is_ok and outcome.scene is not None
    assert [one.id for one in outcome.scene.objects] == [1]
    assert len(source.asked) == 4


def pair_with(depth_m: Any) -> RgbdPair:
    """A pair whose depth image holds these metres, NaN for none."""
    return replace(make_pair(), depth=depth_to_image_msg(depth_m, stamp_ns=SECOND, frame_id=FRAME))


def test_everything_published_of_a_subsampled_image_has_its_size_and_calibration() -> None:
    depth_topics = pytest.importorskip("n3d_ros.ros.depth_topics", reason="needs rclpy")
    camera = CameraIntrinsics(width=160, height=120, fx=150.0, fy=150.0, cx=79.5, cy=59.5)
    info = intrinsics_to_camera_info(camera, stamp_ns=SECOND, frame_id=FRAME)
    rgb = np.full((camera.height, camera.width, 3), 90, np.uint8)
    pair = replace(colour_only(), color=rgb_to_image_msg(rgb, stamp_ns=SECOND, frame_id=FRAME), color_info=info)
    seen = made(maker(ScriptedDepth(), config=FrameConfig(max_processing_pixels=5000)), pair).depth
    assert seen is not None
    messages = {
        leaf: make(seen.view, seen.found) for leaf, (_, make) in depth_topics.OF_FIRST.items() if leaf != "source"
    }
    assert {(one.width, one.height) for one in messages.values()} == {(80, 60)}
    assert {(stamp_to_ns(one.header.stamp), one.header.frame_id) for one in messages.values()} == {(SECOND, FRAME)}
    assert (messages["camera_info"].k[0], messages["camera_info"].k[2]) == (75.0, 39.75), "the pixels that are left"
    cloud = messages["points"]
    assert (cloud.point_step, cloud.row_step, len(cloud.data)) == (16, 16 * 80, 16 * 80 * 60)
    assert [(one.name, one.offset) for one in cloud.fields] == [("x", 0), ("y", 4), ("z", 8), ("rgb", 12)]
    assert not cloud.is_dense, "sky has no points"
