"""The way of a pair through the pipeline: fixed frame, gravity, output frame, failures, resets, requests."""

from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="needs ROS 2 messages")

from builders import make_detection, make_intrinsics
from n3d_ros.errors import QueryError, StatusCode
from n3d_ros.geometry.transform_buffer import TransformBuffer
from n3d_ros.geometry.transforms import RigidTransform, rotation_about_axis
from n3d_ros.inference.grounder import GroundingRequest, GroundingResult
from n3d_ros.ros.answering import AnswerDesk
from n3d_ros.ros.ask_job import AskJob
from n3d_ros.ros.asks import Ask, Kind, Reply, reads_as_question
from n3d_ros.ros.config import PipelineConfig, RequestConfig
from n3d_ros.ros.conversions import intrinsics_to_camera_info
from n3d_ros.ros.image_codec import depth_to_image_msg, rgb_to_image_msg
from n3d_ros.ros.pairing import RgbdPair
from n3d_ros.ros.pipeline import FramePipeline
from n3d_ros.ros.replies import match_pairs
from n3d_ros.scene.objects import SceneObject
from n3d_ros.scene.scene import Scene
from node_under_test import BlockGrounder

FRAME = "camera_color_optical_frame"
SECOND = 1_000_000_000
# A camera that looks along the map's x axis, 1 m up.
MAP_T_CAMERA = RigidTransform(
    rotation=np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]), translation=np.array([0.0, 0.0, 1.0])
)


NOTE = "Left out of the phrase: shiny."


class NotingGrounder(BlockGrounder):
    """Has something to say about every look."""

    def ground(self, frame: Any, request: GroundingRequest, **callbacks: Any) -> GroundingResult:
        return replace(super().ground(frame, request, **callbacks), notes=(NOTE,))


class WatchedGrounder(BlockGrounder):
    """Keeps the requests it was given."""

    def __init__(self) -> None:
        self.requests: list[GroundingRequest] = []

    def ground(self, frame: Any, request: GroundingRequest, **callbacks: Any) -> GroundingResult:
        self.requests.append(request)
        return super().ground(frame, request, **callbacks)


def make_pair(stamp_ns: int = SECOND, depth_m: float = 1.0, **changes: Any) -> RgbdPair:
    """A wall before the camera."""
    camera = make_intrinsics()
    info = intrinsics_to_camera_info(camera, stamp_ns=stamp_ns, frame_id=FRAME)
    depth = np.full((camera.height, camera.width), depth_m, np.float32)
    rgb = np.full((camera.height, camera.width, 3), 90, np.uint8)
    pair = RgbdPair(
        color=rgb_to_image_msg(rgb, stamp_ns=stamp_ns, frame_id=FRAME),
        depth=depth_to_image_msg(depth, stamp_ns=stamp_ns, frame_id=FRAME),
        color_stamp_ns=stamp_ns,
        depth_stamp_ns=stamp_ns,
        color_info=info,
        depth_info=info,
    )
    return replace(pair, **changes)


def make_buffer(parent: str = "map") -> TransformBuffer:
    buffer = TransformBuffer(cache_ns=1000 * SECOND)
    for stamp_ns in (0, 100 * SECOND):
        buffer.set_transform(parent, FRAME, stamp_ns, MAP_T_CAMERA)
    return buffer


def make_pipeline(buffer: TransformBuffer | None = None, **settings: Any) -> FramePipeline:
    lookup = (buffer or TransformBuffer()).lookup
    return FramePipeline(PipelineConfig(**settings), WatchedGrounder(), lookup)


def test_without_tf_scene_and_objects_are_in_the_images_frame_and_gravity_is_left_to_the_grounder() -> None:
    pipeline = make_pipeline()
    outcome = pipeline.process(make_pair())
    assert outcome.is_ok, outcome.message
    assert outcome.scene is not None
    assert outcome.scene.frame_id == outcome.output_frame == FRAME
    assert outcome.up_camera is None
    assert pipeline.objects(outcome)[0].box.center == pytest.approx([0, 0, 1], abs=1e-3)


@pytest.mark.parametrize("parent", ["map", "odom", "world"])
def test_with_a_fixed_frame_the_scene_lives_there_and_objects_go_out_in_the_images_frame(parent: str) -> None:
    pipeline = make_pipeline(make_buffer(parent))
    outcome = pipeline.process(make_pair())
    assert outcome.scene is not None
    assert outcome.scene.frame_id == parent
    assert outcome.scene.objects[0].box.center == pytest.approx([1, 0, 1], abs=1e-3)
    assert outcome.output_frame == FRAME
    assert pipeline.objects(outcome)[0].box.center == pytest.approx([0, 0, 1], abs=1e-3)


def test_up_is_the_z_axis_of_the_fixed_frame_seen_from_the_camera() -> None:
    pipeline = make_pipeline(make_buffer("base_link"))
    outcome = pipeline.process(make_pair())
    assert outcome.up_camera == pytest.approx([0, -1, 0])
    assert pipeline.grounder.requests[0].up == pytest.approx([0, -1, 0])  # type: ignore[attr-defined]
    assert outcome.scene is not None
    assert outcome.scene.frame_id == FRAME  # base_link moves with the robot: no place for a scene


def test_an_output_frame_that_tf_does_not_know_refuses_the_pair_and_names_both_frames() -> None:
    outcome = make_pipeline(output_frame="map").process(make_pair())
    assert outcome.status is StatusCode.NO_TRANSFORM
    assert outcome.reason == "no_transform"
    assert "map" in outcome.message


def test_a_bad_image_ends_as_a_refusal_with_its_reason() -> None:
    pair = make_pair()
    pair.color.encoding = "rainbow12"
    outcome = make_pipeline().process(pair)
    assert (outcome.status, outcome.reason) == (StatusCode.BAD_INPUT, "unknown_encoding")
    assert "rainbow12" in outcome.message


def test_a_grounder_that_raises_fails_the_frame_only() -> None:
    pipeline = make_pipeline()
    outcome = pipeline.ground(make_pair(), GroundingRequest(phrase="explode"))
    assert (outcome.status, outcome.reason) == (StatusCode.BACKEND_FAILED, "backend_failed")
    assert pipeline.process(make_pair(2 * SECOND)).is_ok


def test_stages_are_timed_in_the_order_they_ran() -> None:
    outcome = make_pipeline().process(make_pair())
    assert list(outcome.stage_ms) == ["assemble", "tf", "ground", "ground/look", "scene"]


def test_the_same_object_keeps_its_id_and_a_reset_never_reuses_one() -> None:
    pipeline = make_pipeline()
    ids = [pipeline.objects(pipeline.process(make_pair(n * SECOND)))[0].id for n in (1, 2, 3)]
    assert len(set(ids)) == 1
    pipeline.reset()
    assert pipeline.objects(pipeline.process(make_pair(4 * SECOND)))[0].id > ids[0]


def test_a_stamp_before_the_scene_starts_a_new_one() -> None:
    pipeline = make_pipeline()
    pipeline.process(make_pair(100 * SECOND))
    outcome = pipeline.process(make_pair(SECOND))
    assert outcome.is_ok
    assert pipeline.objects(outcome)[0].observations == 1


def test_changed_frame_settings_hold_from_the_next_pair_on() -> None:
    pipeline = make_pipeline()
    assert pipeline.process(make_pair()).is_ok
    config = pipeline.config
    pipeline.configure(replace(config, frames=replace(config.frames, depth_max_m=0.5)))
    assert pipeline.process(make_pair(2 * SECOND)).reason == "no_depth"


def make_desk(pipeline: FramePipeline, now: SimpleNamespace) -> AnswerDesk:
    return AnswerDesk(pipeline, clock_ns=lambda: now.ns, config=RequestConfig, explain=lambda: "Nobody publishes.")


def test_a_question_is_answered_from_the_scene_without_grounding_again() -> None:
    pipeline, now = make_pipeline(), SimpleNamespace(ns=SECOND)
    desk = make_desk(pipeline, now)
    ask = Ask(kind=Kind.QUESTION, text="how many blocks are there?")
    assert desk.at_once(ask) is None
    desk.saw(make_pair())
    assert desk.reply(ask).value == 1
    looks = len(pipeline.grounder.requests)  # type: ignore[attr-defined]
    reply = desk.at_once(ask)
    assert reply is not None
    assert reply.value == 1
    assert len(pipeline.grounder.requests) == looks  # type: ignore[attr-defined]


def test_the_vertical_of_a_past_answer_is_that_of_its_own_image() -> None:
    buffer = TransformBuffer(cache_ns=1000 * SECOND)
    for second, pitch_rad in ((1, 0.0), (20, 1.0)):
        down = RigidTransform(rotation=rotation_about_axis([0.0, 1.0, 0.0], pitch_rad), translation=np.zeros(3))
        buffer.set_transform("map", FRAME, second * SECOND, down @ MAP_T_CAMERA)
    pipeline = make_pipeline(buffer)
    for second in (1, 20):
        assert pipeline.process(make_pair(second * SECOND)).is_ok
    desk = make_desk(pipeline, SimpleNamespace(ns=20 * SECOND))
    for stamp_ns in (SECOND, 20 * SECOND):
        reply = desk.at_once(Ask(kind=Kind.PHRASE, text="", target_frame="map", stamp_ns=stamp_ns))
        assert reply is not None
        assert reply.up == pytest.approx([0, 0, 1])


def test_a_scene_that_is_forgotten_while_it_is_asked_about_is_still_answered() -> None:
    pipeline, now = make_pipeline(), SimpleNamespace(ns=SECOND)
    desk = make_desk(pipeline, now)
    desk.saw(make_pair())
    pipeline.process(make_pair())
    placement = pipeline.placement

    def placement_after_a_jump_in_time(*args: Any, **options: Any) -> Any:
        pipeline.reset()  # as the worker may do while the executor's thread answers
        return placement(*args, **options)

    pipeline.placement = placement_after_a_jump_in_time  # type: ignore[method-assign]
    reply = desk.at_once(Ask(kind=Kind.QUESTION, text="how many blocks are there?"))
    assert reply is not None
    assert (reply.status, reply.value) == (StatusCode.OK, 1)


def test_a_view_that_is_no_longer_remembered_is_refused_as_such() -> None:
    pipeline = make_pipeline()
    scene = pipeline.process(make_pair()).scene
    assert scene is not None
    pipeline.reset()
    with pytest.raises(QueryError, match="forgotten meanwhile") as refused:
        pipeline.memory.view_of(scene)
    assert refused.value.code is StatusCode.NO_SUCH_MOMENT


@pytest.mark.parametrize("viewpoint", ["", "base_link"])
def test_the_executors_thread_never_waits_for_tf(viewpoint: str) -> None:
    waits: list[str] = []
    buffer = make_buffer("base_link")

    def clock_s() -> float:
        waits.append("asked for the time, to wait")
        return time.monotonic()

    config = PipelineConfig(gravity_frame="none", scene_frame=FRAME)
    pipeline, now = (
        FramePipeline(config, BlockGrounder(), buffer.lookup, now_s=clock_s),
        SimpleNamespace(ns=200 * SECOND),
    )
    desk = make_desk(pipeline, now)
    desk.saw(make_pair(200 * SECOND))
    assert pipeline.process(make_pair(200 * SECOND)).is_ok
    target = "" if viewpoint else "base_link"
    for stamp_ns in (0, 200 * SECOND):
        ask = Ask(
            kind=Kind.QUESTION,
            text="how many blocks?",
            target_frame=target,
            viewpoint_frame=viewpoint,
            stamp_ns=stamp_ns,
        )
        assert desk.at_once(ask) is None, "tf of that moment may still come: it is the worker's to wait"
        assert waits == []
        assert desk.reply(ask).status is StatusCode.NO_TRANSFORM
        assert waits
        waits.clear()


def test_a_bug_in_answering_is_an_answer_too(caplog: pytest.LogCaptureFixture) -> None:
    pipeline, now = make_pipeline(), SimpleNamespace(ns=SECOND)
    desk = make_desk(pipeline, now)
    desk.saw(make_pair())
    desk.reply(Ask(kind=Kind.PHRASE, text=""))
    replies: list[Reply] = []
    pipeline.placement = lambda *_args, **_options: {}["gone"]  # type: ignore[method-assign]
    for text in ("how many blocks are there?", ""):
        AskJob(Ask(kind=Kind.AUTO, text=text), desk, on_done=replies.append).run()
    replies.append(
        desk.at_once(Ask(kind=Kind.QUESTION, text="how many blocks are there?")) or Reply(status=StatusCode.OK)
    )
    assert [reply.status for reply in replies] == [StatusCode.BACKEND_FAILED] * 3
    assert "KeyError: 'gone'" in replies[0].message
    assert "Traceback" in caplog.text


def test_a_request_whose_refusal_fails_is_answered_when_it_expires() -> None:
    def broken() -> str:
        raise RuntimeError("no graph")

    pipeline = make_pipeline()
    desk = AnswerDesk(pipeline, clock_ns=lambda: 0, config=RequestConfig, explain=broken)
    replies: list[Reply] = []
    AskJob(Ask(kind=Kind.PHRASE, text=""), desk, on_done=replies.append).expire()
    assert "no graph" in replies[0].message


@pytest.mark.parametrize(("text", "status"), [("red block", StatusCode.OK), ("giraffe", StatusCode.NOT_FOUND)])
def test_what_the_grounder_notes_of_a_phrase_reaches_whoever_asked(text: str, status: StatusCode) -> None:
    pipeline = FramePipeline(PipelineConfig(), NotingGrounder(), TransformBuffer().lookup)
    desk = make_desk(pipeline, SimpleNamespace(ns=SECOND))
    desk.saw(make_pair())
    reply = desk.reply(Ask(kind=Kind.AUTO, text=text))
    assert reply.status is status
    for words in (reply.message, reply.sentence):
        assert words.endswith(NOTE)
    assert len(reply.sentence) > len(NOTE)
    reply = desk.reply(Ask(kind=Kind.QUESTION, text="how many blocks are there?"))
    assert NOTE not in reply.sentence, "that was about another phrase"


def test_a_piece_of_an_object_does_not_bring_another_object_into_the_answer() -> None:
    whole = make_detection("red box", center=(0, 0, 1), size=(0.3, 0.3, 0.3))
    piece = make_detection("red box", center=(0.14, 0, 1), size=(0.02, 0.1, 0.1))
    ball = make_detection("blue ball", center=(1, 0, 1), size=(0.1, 0.1, 0.1))
    known = tuple(SceneObject.first(i + 1, one, SECOND) for i, one in enumerate((whole, ball)))
    scene = Scene(frame_id="map", stamp_ns=SECOND, objects=known[:1], candidates=known[1:])
    assert [one.label for _, one in match_pairs([whole, piece], scene)] == ["red box"]
    assert [one.label for _, one in match_pairs([piece, ball], scene)] == ["red box", "blue ball"]
    far = make_detection("red box", center=(5, 0, 1))
    assert match_pairs([far], scene) == match_pairs([far], Scene.empty("map")) == []


def test_age_counts_from_the_stamp_or_from_arrival_when_the_stamp_is_of_another_clock() -> None:
    now = SimpleNamespace(ns=100 * SECOND)
    desk = make_desk(make_pipeline(), now)
    assert desk.freshness.age_s() is None
    desk.saw(make_pair(97 * SECOND))
    assert desk.freshness.age_s() == pytest.approx(3.0)
    assert desk.freshness.why_not(1.0).status is StatusCode.STALE_FRAME
    now.ns = 10_000_000 * SECOND
    desk.saw(make_pair(SECOND))
    assert desk.freshness.is_fresh()


@pytest.mark.parametrize("clock_offset_s", [0, 10_000_000], ids=["the image's clock", "another clock"])
def test_what_counts_is_the_age_of_the_image_that_the_answer_rests_on(
    clock_offset_s: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = SimpleNamespace(s=100.0)
    monkeypatch.setattr("n3d_ros.ros.freshness.time", SimpleNamespace(monotonic=lambda: now.s))
    pipeline, limit_s = make_pipeline(), RequestConfig().max_frame_age_s
    desk = AnswerDesk(
        pipeline,
        clock_ns=lambda: round((now.s + clock_offset_s) * SECOND),
        config=RequestConfig,
        explain=lambda: "",
    )
    assert pipeline.process(make_pair(100 * SECOND)).is_ok
    ask = Ask(kind=Kind.QUESTION, text="how many blocks are there?")
    now.s = 100.0 + 0.9 * limit_s
    newer = make_pair(round(now.s * SECOND))
    desk.saw(newer)
    assert desk.at_once(ask) is not None
    now.s = 100.0 + 1.8 * limit_s
    assert desk.freshness.is_fresh(), "the newest pair is young enough to be looked at"
    assert desk.at_once(ask) is None, "the scene is nearly twice as old as an answer may be"
    assert desk.reply(ask).stamp_ns == newer.stamp_ns


def test_the_past_is_answered_in_its_own_images_frame() -> None:
    pipeline, now = make_pipeline(make_buffer()), SimpleNamespace(ns=SECOND)
    for second, depth_m in ((1, 1.0), (20, 2.0)):
        pipeline.process(make_pair(second * SECOND, depth_m))
    reply = make_desk(pipeline, now).at_once(Ask(kind=Kind.PHRASE, text="block", stamp_ns=2 * SECOND))
    assert reply is not None
    assert reply.stamp_ns == SECOND
    assert reply.objects[0].box.center == pytest.approx([0, 0, 1], abs=1e-3)


def test_a_phrase_about_the_past_is_read_as_one_about_the_present() -> None:
    pipeline = make_pipeline()
    pipeline.process(make_pair())
    desk = make_desk(pipeline, SimpleNamespace(ns=SECOND))

    def past(text: str) -> Reply:
        reply = desk.at_once(Ask(kind=Kind.PHRASE, text=text, stamp_ns=SECOND))
        assert reply is not None
        return reply

    assert len(past("red case").objects) == 1
    assert "told by its shape only" in past("red case").message
    assert "Left out of the phrase" in past("shiny red block").sentence
    assert past("blue block").status is StatusCode.NOT_FOUND
    assert past("giraffe").status is StatusCode.NOT_UNDERSTOOD
    assert "Known colours" in past("giraffe").message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("red box", False),
        ("where is it", True),
        ("the box?", True),
        ("", False),
        ("Is it near", True),
        ("order the boxes by height", True),
        ("find the red box", True),
        ("the box left of the mug", False),
    ],
)
def test_a_question_is_told_from_a_phrase(text: str, expected: bool) -> None:
    assert reads_as_question(text) is expected


def test_gravity_that_nobody_asked_for_does_not_cost_a_pair() -> None:
    pipeline = make_pipeline(make_buffer("base_link"))
    outcome = pipeline.process(make_pair(200 * SECOND))
    assert outcome.is_ok
    assert outcome.up_camera is None
    strict = make_pipeline(make_buffer("base_link"), gravity_frame="base_link")
    assert strict.process(make_pair(200 * SECOND)).status is StatusCode.NO_TRANSFORM
