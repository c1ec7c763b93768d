"""Requests to a grounder of open vocabulary: names handed over, deadlines, ways to answer, failures. No node."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="needs ROS 2 messages")

from builders import make_intrinsics
from n3d_ros.errors import BackendError, StatusCode
from n3d_ros.geometry.transform_buffer import TransformBuffer
from n3d_ros.inference.grounder import Grounder, Reasoning
from n3d_ros.ros.answering import AnswerDesk
from n3d_ros.ros.ask_job import AskJob
from n3d_ros.ros.asks import Ask, Kind, Reply
from n3d_ros.ros.config import MemoryConfig, PipelineConfig, RequestConfig
from n3d_ros.ros.conversions import intrinsics_to_camera_info
from n3d_ros.ros.health import grounding_health
from n3d_ros.ros.image_codec import depth_to_image_msg, rgb_to_image_msg
from n3d_ros.ros.ledger import Ledger
from n3d_ros.ros.pairing import RgbdPair
from n3d_ros.ros.pipeline import FramePipeline
from n3d_ros.scene.query import ValueType
from node_under_test import BlockGrounder
from talking_grounder import STEPS_PER_BOX, TalkingGrounder, box_of

SECOND = 1_000_000_000
FRAME = "camera_color_optical_frame"


def make_pair(stamp_ns: int = SECOND, depth_m: float = 2.0) -> RgbdPair:
    """A wall before the camera."""
    camera = make_intrinsics()
    info = intrinsics_to_camera_info(camera, stamp_ns=stamp_ns, frame_id=FRAME)
    shape = (camera.height, camera.width)
    return RgbdPair(
        color=rgb_to_image_msg(np.full((*shape, 3), 90, np.uint8), stamp_ns=stamp_ns, frame_id=FRAME),
        depth=depth_to_image_msg(np.full(shape, depth_m, np.float32), stamp_ns=stamp_ns, frame_id=FRAME),
        color_stamp_ns=stamp_ns,
        depth_stamp_ns=stamp_ns,
        color_info=info,
        depth_info=info,
    )


class Desk:
    """A desk with one image, and a grounder that needs no time."""

    def __init__(self, grounder: Grounder | None = None, mode: str = "boxes", *, frames_s: float = 10.0) -> None:
        self.talking = TalkingGrounder(step_s=0.0)
        self.failures: list[tuple[int, str]] = []
        self.pipeline = FramePipeline(
            PipelineConfig(),
            grounder or self.talking,
            TransformBuffer().lookup,
            on_failure=lambda count, sentence: self.failures.append((count, sentence)),
        )
        self.desk = AnswerDesk(
            self.pipeline,
            clock_ns=lambda: SECOND,
            config=lambda: RequestConfig(answer_mode=mode),
            explain=lambda: "Nobody publishes.",
            memory=lambda: MemoryConfig(frames_s=frames_s),
        )
        self.desk.saw(make_pair())

    def ask(self, text: str, **options: Any) -> Reply:
        return self.desk.reply(Ask(kind=options.pop("kind", Kind.AUTO), text=text), **options)


def test_question_and_things_reach_the_grounder_also_when_code_cannot_read_the_question() -> None:
    desk = Desk()
    reply = desk.ask("How far is the red mug from the laptop?")
    assert desk.talking.requests[-1].question == "How far is the red mug from the laptop?"
    assert desk.talking.requests[-1].nouns == ("red mug", "laptop")
    assert desk.talking.requests[-1].phrase is None
    if reply.status is StatusCode.NOT_UNDERSTOOD:
        assert "answer_mode 'model' or 'both'" in reply.message
        assert [one.label for one in reply.objects] == ["red mug", "laptop"], "what was found is told all the same"


def test_a_question_is_put_to_a_grounder_of_open_vocabulary_however_fresh_the_scene_is() -> None:
    desk = Desk()
    desk.pipeline.process(make_pair())
    assert desk.desk.at_once(Ask(kind=Kind.QUESTION, text="is there a lamp?")) is None
    assert desk.ask("is there a lamp?").value is True


def test_a_grounder_with_a_vocabulary_of_its_own_is_told_no_question() -> None:
    seen: list[Any] = []

    class Watched(BlockGrounder):
        def ground(self, frame: Any, request: Any, **callbacks: Any) -> Any:
            seen.append(request)
            return super().ground(frame, request, **callbacks)

    Desk(Watched()).ask("is there a lamp?")
    assert (seen[-1].question, seen[-1].nouns) == (None, ())


def test_a_question_about_everything_looks_for_everything() -> None:
    desk = Desk()
    assert desk.ask("how many objects are there?").value == 2.0
    assert (desk.talking.requests[-1].question, desk.talking.requests[-1].nouns) == (None, ())


def test_an_unknown_word_is_not_refused_but_not_found() -> None:
    desk = Desk()
    reply = desk.ask("how many giraffes are there?")
    assert (reply.status, reply.value) == (StatusCode.OK, 1.0)
    desk.talking.name = "blind"
    desk.talking.ground = lambda *_, **__: TalkingGrounder._result([])  # type: ignore[method-assign]
    desk.pipeline.reset()
    assert desk.ask("how many zebras are there?").value == 0.0
    assert desk.ask("where is the zebra?").status is StatusCode.NOT_FOUND


def test_what_was_found_for_a_question_is_called_so_in_the_answer_and_in_the_models_words_for_a_phrase() -> None:
    assert [one.label for one in Desk().ask("where is the red mug?").objects] == ["red mug"]
    assert [one.label for one in Desk().ask("red mug", kind=Kind.PHRASE).objects] == ["mug"]


def test_a_look_for_some_things_says_nothing_of_the_others() -> None:
    desk = Desk()
    for n in range(1, 8):
        assert desk.pipeline.process(make_pair(n * SECOND)).is_ok
    for n in range(8, 16):
        outcome = desk.pipeline.process(make_pair(n * SECOND), nouns=("mug",))
    assert outcome.scene is not None
    labels = {known.label: known for known in outcome.scene.objects}
    assert set(labels) <= {"mug", "laptop"}
    assert "laptop" not in labels or labels["laptop"].undetected == 0


@pytest.mark.parametrize(("mode", "verdict"), [("model", ""), ("both", "differs from the boxes")])
def test_the_model_may_answer_otherwise_than_the_boxes(mode: str, verdict: str) -> None:
    desk = Desk(mode=mode)
    desk.talking.answer = "No, I see none."
    reply = desk.ask("is there a lamp?")
    assert reply.status is StatusCode.OK
    assert reply.value is (mode == "both"), "with both, code has the last word"
    assert verdict in (reply.steps[-1] if verdict else "")
    question, boxes = desk.talking.reasoned[-1]
    assert question == "is there a lamp?"
    assert boxes[0].box.size[0] == pytest.approx(0.1), "the model thinks about its own boxes, not the fitted ones"


def test_where_code_has_no_answer_both_gives_the_models() -> None:
    desk = Desk(mode="both")
    desk.talking.answer = "It is a fine day."
    reply = desk.ask("why is the mug sad?")
    assert (reply.status, reply.sentence) == (StatusCode.OK, "It is a fine day.")
    assert reply.value_type == ValueType.TEXT
    assert reply.steps[0].startswith("The boxes give no answer to compare with (NOT_UNDERSTOOD)")


@pytest.mark.parametrize("mode", ["model", "both"])
def test_without_a_language_model_the_boxes_answer_and_say_why(mode: str) -> None:
    reply = Desk(BlockGrounder(), mode=mode).ask("how many blocks are there?")
    assert (reply.status, reply.value) == (StatusCode.OK, 1.0)
    assert f"answer_mode '{mode}' takes a language model" in reply.message


def test_a_model_that_fails_to_think_leaves_the_boxes_answer() -> None:
    desk = Desk(mode="model")

    def fail(*_: Any, **__: Any) -> Reasoning:
        raise RuntimeError("device lost")

    desk.talking.reason = fail  # type: ignore[method-assign]
    reply = desk.ask("is there a lamp?")
    assert (reply.status, reply.value) == (StatusCode.OK, True)
    assert "could not answer" in reply.message
    assert "device lost" in reply.message
    assert desk.failures[-1][0] == 1


def test_an_answer_without_an_end_is_marked_partial() -> None:
    desk = Desk(mode="model")
    desk.talking.reason = lambda *_, **__: Reasoning(answer="", thought="Let me", partial=True)  # type: ignore[method-assign]
    reply = desk.ask("is there a lamp?")
    assert reply.status is StatusCode.TIMEOUT
    assert reply.message.startswith("Partial")
    assert reply.objects


def test_at_the_deadline_objects_so_far_are_answered() -> None:
    desk = Desk()
    desk.talking.step_s, desk.talking.sure_boxes = 0.01, 1
    reply = desk.ask("endless mug", kind=Kind.PHRASE, deadline_s=time.monotonic() + 0.3)
    assert reply.status is StatusCode.TIMEOUT
    assert reply.message.startswith("Partial")
    assert reply.objects
    assert reply.value == len(reply.objects)


def test_a_job_that_is_cancelled_stops_before_the_next_step() -> None:
    desk, replies = Desk(), list[Reply]()
    job = AskJob(
        Ask(kind=Kind.PHRASE, text="endless mug"),
        desk.desk,
        on_done=replies.append,
        on_progress=lambda *_: job.cancel(),
    )
    job.run()
    assert desk.talking.steps == STEPS_PER_BOX, "the first box, and not one step more"
    assert replies[0].status is StatusCode.CANCELLED


def test_a_request_that_waited_for_a_busy_node_is_told_so() -> None:
    desk, replies = Desk(), list[Reply]()
    AskJob(Ask(kind=Kind.PHRASE, text="mug", timeout_s=3.0), desk.desk, on_done=replies.append).expire()
    assert replies[0].status is StatusCode.TIMEOUT
    assert "busy with other work, such as earlier requests, for all of the 3 s" in replies[0].message


def test_without_an_image_a_request_ends_sooner_than_the_model_may_take() -> None:
    desk, replies = Desk(), list[Reply]()
    ask = Ask(kind=Kind.PHRASE, text="mug", timeout_s=60.0, image_timeout_s=5.0)
    job = AskJob(ask, desk.desk, on_done=replies.append)
    assert 59.0 < job.deadline_s - time.monotonic() <= 60.0, "an image is there: the model may take its time"
    desk.desk.forget()
    assert 4.0 < job.deadline_s - time.monotonic() <= 5.0
    job.expire()
    assert replies[0].status is StatusCode.NO_FRAME
    assert "within 5.0 s" in replies[0].message
    named = AskJob(Ask(kind=Kind.PHRASE, text="mug", timeout_s=60.0), desk.desk, on_done=replies.append)
    assert 59.0 < named.deadline_s - time.monotonic() <= 60.0, "who names a time has it for the image, too"


def test_what_this_look_did_not_find_is_told_where_it_was_last_seen() -> None:
    desk = Desk()
    for n in range(1, 6):
        desk.pipeline.process(make_pair(n * SECOND))
    desk.talking.ground = lambda *_, **__: TalkingGrounder._result([])  # type: ignore[method-assign]
    desk.desk.saw(make_pair(6 * SECOND))
    reply = desk.ask("mug", kind=Kind.PHRASE)
    assert (reply.status, reply.value) == (StatusCode.NOT_FOUND, 0.0)
    assert reply.sentence.startswith("This look did not find 'mug'. Remembered: mug ")
    assert "last seen 1.0 s ago at x -0.35, y 0.00, z 1.00 m in camera_color_optical_frame" in reply.sentence
    assert desk.ask("zebra", kind=Kind.PHRASE).sentence.startswith("Nothing here is called 'zebra'; the scene holds")
    desk.pipeline.reset()
    assert desk.ask("", kind=Kind.PHRASE).sentence == "This look found nothing; the scene holds no objects."


def test_a_list_that_was_cut_off_says_nothing_of_what_it_lacks() -> None:
    def overlooked(*, cut_off: bool) -> int:
        desk = Desk()
        for n in range(1, 6):
            desk.pipeline.process(make_pair(n * SECOND, 1.0))
        result = TalkingGrounder._result([box_of("mug", 0)])
        desk.talking.ground = lambda *_, **__: replace(result, cut_off=cut_off)  # type: ignore[method-assign]
        outcome = desk.pipeline.process(make_pair(6 * SECOND, 1.0))  # something is at the laptop's place
        assert outcome.scene is not None
        laptop = next(one for one in outcome.scene.objects if one.label == "laptop")
        return laptop.undetected

    assert overlooked(cut_off=False) == 1
    assert overlooked(cut_off=True) == 0


def test_notes_and_counts_of_look_and_thought_are_passed_on() -> None:
    desk = Desk(mode="model")
    found = replace(TalkingGrounder._result([box_of("mug", 0)]), counts={"passes": 9.0})
    thought = Reasoning(answer="Yes.", notes=("3 boxes were left out.",), counts={"tokens": 4.0})
    desk.talking.ground = lambda *_, **__: found  # type: ignore[method-assign]
    desk.talking.reason = lambda *_, **__: thought  # type: ignore[method-assign]
    assert desk.ask("is there a mug?").message == "3 boxes were left out."
    assert dict(desk.pipeline.counts) == {"ground/passes": 9.0, "reason/tokens": 4.0}
    report = grounding_health(Ledger(), "talking", "cpu", counts=desk.pipeline.counts)
    assert report.values["ground/passes (latest)"] == "9"
    desk.ask("mug", kind=Kind.PHRASE)
    assert dict(desk.pipeline.counts) == {"ground/passes": 9.0}, "of the latest look alone"


def _raiser(error: Exception) -> Callable[..., Any]:
    def ground(*_: Any, **__: Any) -> Any:
        raise error

    return ground


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (BackendError("9 GB more.", reason="out_of_memory"), "out_of_memory"),
        (BackendError("Broken."), "backend_failed"),
        (RuntimeError("Lost."), "backend_failed"),
    ],
)
def test_failures_of_the_grounder_itself_are_counted_in_a_row(error: Exception, reason: str) -> None:
    desk = Desk()
    working, desk.talking.ground = desk.talking.ground, _raiser(error)  # type: ignore[method-assign]
    outcomes = [desk.pipeline.process(make_pair(n * SECOND)) for n in (1, 2)]
    assert [one.reason for one in outcomes] == [reason, reason]
    assert [count for count, _ in desk.failures] == [1, 2]
    desk.talking.ground = working  # type: ignore[method-assign]
    assert desk.pipeline.process(make_pair(3 * SECOND)).is_ok
    desk.talking.ground = _raiser(error)  # type: ignore[method-assign]
    desk.pipeline.process(make_pair(4 * SECOND))
    assert desk.failures[-1][0] == 1


def test_notes_on_a_model_that_is_not_there_go_with_every_answer() -> None:
    desk = Desk(BlockGrounder())
    desk.pipeline.grounder_notes = ("The model cannot be used.",)
    for text in ("red block", "how many blocks are there?"):
        assert desk.ask(text).message.endswith("The model cannot be used.")
    reply = desk.desk.at_once(Ask(kind=Kind.QUESTION, text="how many blocks are there?"))
    assert reply is not None
    assert reply.message.endswith("The model cannot be used.")


def test_an_image_of_the_past_that_is_kept_is_looked_at_and_thought_about() -> None:
    desk = Desk(mode="model")
    desk.desk.saw(make_pair(3 * SECOND))
    desk.pipeline.process(make_pair(3 * SECOND))
    memory = desk.pipeline.memory
    assert desk.desk.at_once(Ask(kind=Kind.QUESTION, text="is there a lamp?", stamp_ns=SECOND)) is None
    reply = desk.desk.reply(Ask(kind=Kind.QUESTION, text="is there a lamp?", stamp_ns=SECOND))
    assert (reply.stamp_ns, reply.sentence) == (SECOND, "Yes, there is.")
    assert [one.label for one in reply.objects] == ["lamp"]
    assert desk.pipeline.memory is memory, "what is known now stays as it is"


def test_the_past_without_image_is_answered_from_boxes_whatever_the_mode() -> None:
    desk = Desk(mode="model", frames_s=0.0)
    desk.pipeline.process(make_pair())
    reply = desk.desk.at_once(Ask(kind=Kind.QUESTION, text="is there a mug?", stamp_ns=SECOND))
    assert reply is not None
    assert reply.value is True
    assert "No images are kept" in reply.message
    assert "remembered" in reply.message


def test_a_later_phrase_makes_the_name_of_a_known_object_more_precise() -> None:
    desk = Desk()
    desk.pipeline.process(make_pair())
    assert [one.label for one in desk.ask("mug", kind=Kind.PHRASE).objects] == ["mug"]
    assert [one.label for one in desk.ask("the coffee mug", kind=Kind.PHRASE).objects] == ["coffee mug"]
    scene = desk.pipeline.process(make_pair(2 * SECOND)).scene
    assert scene is not None
    assert [one.label for one in scene.objects] == ["coffee mug", "laptop"]
    desk.desk.saw(make_pair(3 * SECOND))
    assert [one.label for one in desk.ask("mug", kind=Kind.PHRASE).objects] == ["coffee mug"]


def test_a_grounder_of_looks_renames_nothing_after_what_was_asked_for() -> None:
    class Looking(BlockGrounder):
        def ground(self, frame: Any, request: Any, **callbacks: Any) -> Any:
            return super().ground(frame, replace(request, phrase=None), **callbacks)

    desk = Desk(Looking())
    assert [one.label for one in desk.ask("the mug", kind=Kind.PHRASE).objects] == ["red block"]
    scene = desk.pipeline.memory.outcome and desk.pipeline.memory.outcome.scene
    assert scene
    assert [one.label for one in scene.objects] == ["red block"]
