"""Answers about moments, on whichever clock, from scenes and images that are kept; what goes along with a question."""

from __future__ import annotations

import threading
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="needs ROS 2 messages")

from n3d_ros.detection import SupportSurface
from n3d_ros.errors import N3dError, StatusCode
from n3d_ros.geometry.transform_buffer import TransformBuffer
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.inference.grounder import GroundingRequest, GroundingResult
from n3d_ros.ros import questions
from n3d_ros.ros.answering import AnswerDesk
from n3d_ros.ros.ask_job import AskJob
from n3d_ros.ros.asks import Ask, Kind, Reply
from n3d_ros.ros.config import PipelineConfig
from n3d_ros.ros.pipeline import FramePipeline
from n3d_ros.scene.query import ValueType
from n3d_ros.scene.spatial_answer import SpatialAnswer, SpatialQuery
from node_under_test import BlockGrounder
from ros.test_pipeline import FRAME, MAP_T_CAMERA, SECOND, make_buffer, make_desk, make_pair, make_pipeline

OTHER_CLOCK_NS = 10_000_000 * SECOND


class Past:
    """A desk whose camera looked once a second; the clock is the node's."""

    def __init__(self, *seconds: int, now_ns: int | None = None, pipeline: FramePipeline | None = None) -> None:
        self.pipeline = pipeline or make_pipeline()
        self.now = SimpleNamespace(ns=seconds[-1] * SECOND if now_ns is None else now_ns)
        self.desk: AnswerDesk = make_desk(self.pipeline, self.now)
        for second in seconds:
            self.look(make_pair(second * SECOND))

    def look(self, pair: Any) -> None:
        self.desk.saw(pair)
        assert self.pipeline.process(pair).is_ok

    def at_once(self, text: str, kind: Kind = Kind.QUESTION, **fields: Any) -> Reply:
        reply = self.desk.at_once(Ask(kind=kind, text=text, **fields))
        assert reply is not None
        return reply


@pytest.mark.parametrize("now_ns", [None, OTHER_CLOCK_NS], ids=["the images' clock", "another clock"])
def test_seconds_ago_count_from_the_present_of_the_images(now_ns: int | None) -> None:
    past = Past(1, 2, 3, 4, 5, now_ns=now_ns)
    reply = past.at_once("how many blocks were there 2 seconds ago?")
    assert (reply.status, reply.value) == (StatusCode.OK, 1.0)
    assert reply.stamp_ns == 3 * SECOND


def test_seconds_ago_in_a_request_with_a_stamp_count_from_that_stamp() -> None:
    past = Past(1, 2, 3, 4, 5)
    assert past.at_once("how many blocks were there 1 second ago?", stamp_ns=3 * SECOND).stamp_ns == 2 * SECOND


def test_a_moment_before_everything_is_refused_with_what_is_remembered() -> None:
    reply = Past(100, 101).at_once("how many blocks were there 90 seconds ago?")
    assert reply.status is StatusCode.NO_SUCH_MOMENT
    assert "reaches from 100.000 s to 101.000 s" in reply.message


def heard_by(monkeypatch: pytest.MonkeyPatch) -> list[SpatialQuery]:
    """What the desk puts to the scene, as it is put."""
    heard: list[SpatialQuery] = []

    def answer(scene: Any, query: SpatialQuery, question: Any = None) -> SpatialAnswer:
        heard.append(query)
        return SpatialAnswer(
            status=StatusCode.OK, text="There.", value=(0.0, 0.0, 1.0), value_type=ValueType.DIRECTION, clock_hour=3
        )

    monkeypatch.setattr(questions, "answer", answer)
    return heard


def test_a_change_is_told_against_the_scene_of_then_and_without_a_moment_the_oldest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    past, heard = Past(1, 2, 3, 4, 5), heard_by(monkeypatch)
    for text, expected in (("what changed in the last 2 seconds?", 3), ("what changed?", 1)):
        past.at_once(text)
        before = heard[-1].before
        assert before is not None
        assert before.stamp_ns == expected * SECOND
    past.at_once("how many blocks are there?")
    assert heard[-1].before is None


def test_a_camera_that_moved_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = TransformBuffer(cache_ns=1000 * SECOND)
    aside = replace(MAP_T_CAMERA, translation=np.array([0.0, 0.5, 1.0]))
    for second, pose in ((1, MAP_T_CAMERA), (2, aside)):
        buffer.set_transform("map", FRAME, second * SECOND, pose)
    past, heard = Past(1, 2, pipeline=make_pipeline(buffer)), heard_by(monkeypatch)
    past.at_once("what changed?")
    before = heard[-1].before
    assert before is not None
    assert before.frame_id == FRAME
    # the block of then, 1 m before the camera of then, as the camera of now sees it: half a metre to its right
    assert before.objects[0].box.center == pytest.approx([0.5, 0.0, 1.0], abs=1e-3)


def test_what_goes_along_with_a_question_is_in_the_frame_of_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    table = SupportSurface(normal=np.array([0.0, -1.0, 0.0]), offset_m=0.5, kind="table", outline=np.zeros((4, 3)))

    class Seeing(BlockGrounder):
        def ground(self, frame: Any, request: GroundingRequest, **callbacks: Any) -> GroundingResult:
            return replace(super().ground(frame, request, **callbacks), surfaces=(table,))

    pipeline = FramePipeline(PipelineConfig(), Seeing(), make_buffer().lookup)
    past, heard = Past(1, 2, pipeline=pipeline), heard_by(monkeypatch)
    reply = past.at_once("how many blocks are there?", target_frame="map")
    query = heard[-1]
    assert query.up == pytest.approx([0, 0, 1])
    assert query.surfaces[0].normal == pytest.approx([0, 0, 1])
    assert query.surfaces[0].height_m(np.array([0.0, 0.0, 0.5])) == pytest.approx(0.0)
    assert query.now_ns == 2 * SECOND
    assert query.viewer_is_camera
    assert reply.clock_hour == 3
    past.at_once("how many blocks are there?", viewpoint_frame=FRAME, viewpoint=RigidTransform.identity())
    assert not heard[-1].viewer_is_camera


def test_seconds_ago_count_from_when_it_was_asked_however_long_the_request_waits() -> None:
    past = Past(1, 2, 3)
    ask = Ask(kind=Kind.QUESTION, text="how many blocks were there 1 second ago?", asked_ns=3 * SECOND)
    for second in (4, 5, 6):
        past.now.ns = second * SECOND
        past.look(make_pair(second * SECOND))
    for reply in (past.desk.at_once(ask), past.desk.reply(ask)):
        assert reply is not None
        assert reply.stamp_ns == 2 * SECOND


def test_questions_to_one_scene_share_its_transformed_copy_and_each_frame_has_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard = heard_by(monkeypatch)
    scenes = list[Any]()
    answered = questions.answer

    def note(scene: Any, query: SpatialQuery, **options: Any) -> SpatialAnswer:
        scenes.append(scene)
        return answered(scene, query, **options)

    monkeypatch.setattr(questions, "answer", note)
    past = Past(1, pipeline=make_pipeline(make_buffer()))
    for frame in ("", "", FRAME, "map", "map"):
        past.at_once("how many blocks are there?", target_frame=frame)
    first, second, in_camera, in_map, again = scenes
    assert first is second
    assert in_map is again
    assert (in_camera.frame_id, in_map.frame_id) == (FRAME, "map")
    past.look(make_pair(2 * SECOND))
    past.at_once("how many blocks are there?", target_frame="map")
    assert scenes[-1].stamp_ns == 2 * SECOND
    assert len(heard) == len(scenes)


def test_a_question_is_read_once_for_all_who_answer_it() -> None:
    ask = Ask(kind=Kind.QUESTION, text="how many blocks were there 2 seconds ago?")
    assert ask.reading is not None
    assert ask.moment is not None
    assert Ask(kind=Kind.QUESTION, text="what changed since 2 seconds ago?").moment is None
    assert Ask(kind=Kind.PHRASE, text="red block").reading is None


def looks_of(past: Past) -> int:
    return len(past.pipeline.grounder.requests)  # type: ignore[attr-defined]


def test_a_phrase_is_answered_at_once_when_the_newest_image_shows_what_it_means() -> None:
    past = Past(1, 2)
    looks = looks_of(past)
    reply = past.at_once("the red block", Kind.PHRASE)
    assert (reply.status, reply.stamp_ns, len(reply.objects)) == (StatusCode.OK, 2 * SECOND, 1)
    assert looks_of(past) == looks
    assert past.desk.at_once(Ask(kind=Kind.PHRASE, text="blue ball")) is None, "that takes a look"
    assert past.desk.at_once(Ask(kind=Kind.PHRASE, text="the red block", anew=True)) is None, "so does this"
    past.now.ns += 10 * SECOND
    assert past.desk.at_once(Ask(kind=Kind.PHRASE, text="the red block")) is None, "the scene is too old"


@pytest.mark.parametrize("field", ["target_frame", "viewpoint_frame"])
def test_a_frame_that_tf_does_not_know_is_refused_before_an_image_is_looked_at(field: str) -> None:
    past = Past(1)
    looks = looks_of(past)
    kind = Kind.PHRASE if field == "target_frame" else Kind.QUESTION
    reply = past.desk.reply(Ask(kind=kind, text="how many blocks?", anew=True, **{field: "narnia"}))  # type: ignore[arg-type]
    assert reply.status is StatusCode.NO_TRANSFORM
    assert "narnia" in reply.message
    assert looks_of(past) == looks


def test_what_is_remembered_but_not_seen_now_is_looked_for() -> None:
    past = Past(1, 2)
    past.look(make_pair(3 * SECOND, depth_m=0.4))  # something else before the camera: the block is hidden
    scene = past.pipeline.memory.outcome and past.pipeline.memory.outcome.scene
    assert scene
    assert len(scene.objects) == 2
    reply = past.at_once("red block", Kind.PHRASE)
    assert len(reply.objects) == 1


def test_a_look_anew_answers_a_question_from_an_image_of_then() -> None:
    past = Past(1, 2, 3)
    looks = looks_of(past)
    ask = Ask(kind=Kind.QUESTION, text="how many blocks are there?", stamp_ns=2 * SECOND, anew=True)
    assert past.desk.at_once(ask) is None
    reply = past.desk.reply(ask)
    assert (reply.status, reply.value, reply.stamp_ns) == (StatusCode.OK, 1.0, 2 * SECOND)
    assert looks_of(past) == looks + 1


def test_a_look_anew_at_a_moment_without_image_is_refused_with_the_range() -> None:
    past = Past(100, 101)
    reply = past.at_once("red block", Kind.PHRASE, stamp_ns=50 * SECOND, anew=True)
    assert reply.status is StatusCode.NO_SUCH_MOMENT
    assert "from 100.000 s to 101.000 s" in reply.message


def test_a_question_anew_about_a_moment_without_image_is_answered_from_what_is_remembered() -> None:
    past = Past(*range(100, 130))
    reply = past.at_once("how many blocks were there 20 seconds ago?", anew=True)
    assert (reply.status, reply.value, reply.stamp_ns) == (StatusCode.OK, 1.0, 109 * SECOND)
    assert "No image within 1 s" in reply.message
    assert "boxes that are remembered" in reply.message


def test_what_a_scene_of_then_lacks_is_looked_for_in_its_image() -> None:
    past = Past(1, 2)
    ask = Ask(kind=Kind.PHRASE, text="blue ball", stamp_ns=SECOND)
    assert past.desk.at_once(ask) is None
    assert past.desk.reply(ask).status is StatusCode.NOT_FOUND
    assert past.pipeline.grounder.requests[-1].phrase == "blue ball"  # type: ignore[attr-defined]


def test_what_runs_while_the_node_goes_down_is_answered_before_its_step_ends() -> None:
    begun, go_on, replies = threading.Event(), threading.Event(), list[Reply]()

    class Deaf(BlockGrounder):
        def ground(self, frame: Any, request: GroundingRequest, **callbacks: Any) -> GroundingResult:
            begun.set()
            go_on.wait(10)
            return super().ground(frame, request, **callbacks)

    pipeline = FramePipeline(PipelineConfig(), Deaf(), TransformBuffer().lookup)
    desk = make_desk(pipeline, SimpleNamespace(ns=SECOND))
    desk.saw(make_pair())
    job = AskJob(Ask(kind=Kind.PHRASE, text="red block"), desk, on_done=replies.append)
    thread = threading.Thread(target=job.run)
    thread.start()
    try:
        assert begun.wait(5)
        desk.abandon(N3dError("The node is going down.", code=StatusCode.SHUTTING_DOWN))
        assert [reply.status for reply in replies] == [StatusCode.SHUTTING_DOWN]
    finally:
        go_on.set()
        thread.join(5)
    assert len(replies) == 1, "a client is answered once"
    desk.abandon(N3dError("Nothing runs.", code=StatusCode.SHUTTING_DOWN))
