"""An image of the past looked at again, and a scene that is kept in another frame from some moment on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="needs ROS 2 messages")

from n3d_ros.detection import Detection3D, SupportSurface
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.transform_buffer import TransformBuffer
from n3d_ros.geometry.transforms import RigidTransform, rotation_about_axis
from n3d_ros.inference.grounder import GroundingRequest, GroundingResult
from n3d_ros.ros.config import PipelineConfig
from n3d_ros.ros.pipeline import FramePipeline
from node_under_test import BlockGrounder
from ros.test_pipeline import FRAME, MAP_T_CAMERA, SECOND, make_pair, make_pipeline


class TwoBlockGrounder(BlockGrounder):
    """Sees a green ball beside the block when it is asked for."""

    def ground(self, frame: Any, request: GroundingRequest, **callbacks: Any) -> GroundingResult:
        if request.phrase != "ball":
            return super().ground(frame, request, **callbacks)
        box = Box3D.axis_aligned(np.array([0.5, 0.0, 1.0]), np.array([0.1, 0.1, 0.1]))
        return GroundingResult(detections=(Detection3D(label="green ball", box=box, color="green", shape="ball"),))


def pipeline_of(*seconds: int) -> FramePipeline:
    pipeline = FramePipeline(PipelineConfig(), TwoBlockGrounder(), TransformBuffer().lookup)
    for second in seconds:
        assert pipeline.process(make_pair(second * SECOND)).is_ok
    return pipeline


def test_a_look_back_changes_neither_scene_nor_memory_nor_the_ids_to_come() -> None:
    pipeline = pipeline_of(1, 2, 3)
    before = pipeline.memory
    outcome = pipeline.look_back(make_pair(2 * SECOND), GroundingRequest(phrase="ball"))
    assert outcome.is_ok, outcome.message
    assert pipeline.memory is before
    following = pipeline.process(make_pair(4 * SECOND))
    assert following.scene is not None
    assert [(one.id, one.observations) for one in following.scene.objects] == [(1, 4)]


def test_a_look_back_finds_known_objects_under_their_ids_and_new_ones_under_new_ids() -> None:
    pipeline = pipeline_of(1, 2, 3)
    again = pipeline.look_back(make_pair(2 * SECOND), GroundingRequest()).scene
    assert again is not None
    assert [(one.id, one.last_seen_ns) for one in again.objects] == [(1, 2 * SECOND)]
    ball = pipeline.look_back(make_pair(2 * SECOND), GroundingRequest(phrase="ball")).scene
    assert ball is not None
    assert [(one.id, one.label) for one in ball.objects] == [(1, "red block"), (2, "green ball")]
    now = pipeline.ground(make_pair(4 * SECOND), GroundingRequest(phrase="ball")).scene
    assert now is not None
    assert [one.id for one in now.objects] == [1, 3], "a number never means another thing"


def test_a_look_back_knows_an_object_that_was_first_noticed_later() -> None:
    pipeline = pipeline_of(1, 2)
    now = pipeline.ground(make_pair(3 * SECOND), GroundingRequest(phrase="ball")).scene
    assert now is not None
    then = pipeline.look_back(make_pair(SECOND), GroundingRequest(phrase="ball")).scene
    assert then is not None
    ball = next(one for one in then.objects if one.label == "green ball")
    assert ball.id == now.objects[-1].id
    assert ball.first_seen_ns == ball.last_seen_ns == SECOND


def test_the_scene_goes_on_in_a_fixed_frame_that_appears_later() -> None:
    buffer = TransformBuffer(cache_ns=1000 * SECOND)
    pipeline = make_pipeline(buffer)
    first = pipeline.process(make_pair(SECOND))
    assert first.scene is not None
    assert first.scene.frame_id == FRAME
    for second in (2, 10):
        buffer.set_transform("odom", FRAME, second * SECOND, MAP_T_CAMERA)
    second = pipeline.process(make_pair(2 * SECOND))
    assert second.scene is not None
    assert (second.scene.frame_id, [one.id for one in second.scene.objects]) == ("odom", [1])
    assert second.scene.objects[0].box.center == pytest.approx([1, 0, 1], abs=1e-3)
    assert second.scene.objects[0].observations == 2


def test_a_scene_that_tf_cannot_take_along_starts_anew_without_using_an_id_twice() -> None:
    pipeline = pipeline_of(1)
    pipeline.process(replace(make_pair(2 * SECOND), color=_renamed(make_pair(2 * SECOND).color, "other_camera")))
    scene = pipeline.memory.history.scenes[-1]
    assert (scene.frame_id, [one.id for one in scene.objects]) == ("other_camera", [2])


def test_each_remembered_scene_has_the_surfaces_that_were_seen_with_it() -> None:
    table = SupportSurface(normal=np.array([0.0, -1.0, 0.0]), offset_m=0.5, kind="table", outline=np.zeros((4, 3)))

    class Seeing(BlockGrounder):
        def ground(self, frame: Any, request: GroundingRequest, **callbacks: Any) -> GroundingResult:
            return replace(super().ground(frame, request, **callbacks), surfaces=(table,))

    pipeline = FramePipeline(PipelineConfig(), Seeing(), TransformBuffer().lookup)
    scene = pipeline.process(make_pair()).scene
    assert scene is not None
    assert pipeline.memory.view_of(scene).surfaces == (table,)


def test_a_surface_in_another_frame_is_the_same_surface() -> None:
    rng = np.random.default_rng(3)
    corners = rng.normal(size=(5, 3))
    surface = SupportSurface(normal=np.array([0.0, 0.6, 0.8]), offset_m=0.4, kind="table", outline=corners)
    other_T_this = RigidTransform(rotation=rotation_about_axis([1, 2, 3], 1.1), translation=np.array([1.0, -2.0, 0.5]))
    moved = surface.transformed(other_T_this)
    points = rng.normal(size=(20, 3))
    np.testing.assert_allclose(moved.height_m(other_T_this.apply(points)), surface.height_m(points), atol=1e-12)
    np.testing.assert_allclose(moved.outline, other_T_this.apply(corners), atol=1e-12)


def _renamed(image: Any, frame_id: str) -> Any:
    image.header.frame_id = frame_id
    return image
