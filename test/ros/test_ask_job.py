"""A request in the queue: put off to the next image while tf may still come, answered once, whatever happens."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from n3d_ros.errors import N3dError, StatusCode
from n3d_ros.geometry import RigidTransform, TransformBuffer
from n3d_ros.ros import answering
from n3d_ros.ros.ask_job import AskJob
from n3d_ros.ros.asks import Ask, Kind, Reply
from n3d_ros.ros.config import PipelineConfig
from n3d_ros.ros.pipeline import FramePipeline
from n3d_ros.ros.worker import QueueFullError
from node_under_test import BlockGrounder
from ros.test_pipeline import FRAME, SECOND, make_desk, make_pair


class Waiting:
    """A request for the blocks in map, before tf knows map."""

    def __init__(self, *, is_full: bool = False) -> None:
        self.buffer = TransformBuffer()
        pipeline = FramePipeline(PipelineConfig(output_frame="map"), BlockGrounder(), self.buffer.lookup)
        self.desk = make_desk(pipeline, SimpleNamespace(ns=SECOND))
        self.replies: list[Reply] = []
        self.queued = 0
        self.is_full = is_full
        ask = Ask(kind=Kind.PHRASE, text="red block")
        self.job = AskJob(ask, self.desk, on_done=self.replies.append, again=self._again)
        self.desk.saw(make_pair())

    def _again(self, _job: AskJob) -> None:
        if self.is_full:
            raise QueueFullError("16 requests are waiting already.")
        self.queued += 1

    def hear_tf(self) -> None:
        self.buffer.set_transform("map", FRAME, SECOND, RigidTransform.identity(), static=True)


def test_a_request_that_tf_cannot_place_yet_waits_for_the_next_image() -> None:
    waiting = Waiting()
    assert waiting.job.ready()
    waiting.job.run()
    assert (waiting.replies, waiting.queued) == ([], 1)
    assert not waiting.job.ready(), "the same image would come to the same"
    waiting.hear_tf()
    waiting.desk.saw(make_pair(SECOND + 1))
    assert waiting.job.ready()
    waiting.job.run()
    assert [reply.status for reply in waiting.replies] == [StatusCode.OK]


def test_a_request_that_waits_in_vain_says_which_transform_lacks() -> None:
    waiting = Waiting()
    waiting.job.run()
    waiting.job.expire()
    assert [reply.status for reply in waiting.replies] == [StatusCode.NO_TRANSFORM]
    assert "'map'" in waiting.replies[0].message


def test_a_request_that_waits_for_tf_ends_when_tf_had_its_time_though_no_image_comes_any_more() -> None:
    waiting = Waiting()
    waiting.job.run()
    assert waiting.job.deadline_s == waiting.desk.settled_s
    assert time.monotonic() < waiting.job.deadline_s <= time.monotonic() + answering.SETTLE_S
    waiting.desk.forget()  # time jumped back meanwhile: then its own time counts
    assert waiting.job.deadline_s <= time.monotonic() + waiting.job.ask.timeout_s


def test_once_tf_had_its_time_a_frame_that_lacks_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "SETTLE_S", 0.0)
    waiting = Waiting()
    waiting.job.run()
    assert waiting.queued == 0
    assert [reply.status for reply in waiting.replies] == [StatusCode.NO_TRANSFORM]


def test_after_a_jump_back_tf_has_its_time_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "SETTLE_S", 0.0)
    waiting = Waiting()
    assert not waiting.desk.is_settling()
    waiting.desk.forget()
    assert waiting.desk.is_settling()


def test_a_request_that_finds_no_room_to_wait_is_answered() -> None:
    waiting = Waiting(is_full=True)
    waiting.job.run()
    assert [reply.status for reply in waiting.replies] == [StatusCode.NO_TRANSFORM]


def test_a_request_that_waits_for_tf_is_answered_when_the_node_goes_down() -> None:
    waiting = Waiting()
    waiting.job.run()
    waiting.job.abandon(N3dError("The node is going down.", code=StatusCode.SHUTTING_DOWN))
    waiting.job.expire()
    assert [reply.status for reply in waiting.replies] == [StatusCode.SHUTTING_DOWN]


def test_a_request_that_was_cancelled_while_it_ran_does_not_wait() -> None:
    waiting = Waiting()
    waiting.job.cancel()
    waiting.job.run()
    assert waiting.queued == 0
    assert len(waiting.replies) == 1


def test_a_request_that_ran_out_of_time_while_tf_lacked_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = Waiting()
    waiting.job.run()
    waiting.desk.saw(make_pair(SECOND + 1))
    waiting.desk.reply = lambda *_args, **_options: Reply(status=StatusCode.TIMEOUT)  # type: ignore[method-assign]
    monkeypatch.setattr(answering, "SETTLE_S", 0.0)
    waiting.job.run()
    assert [reply.status for reply in waiting.replies] == [StatusCode.NO_TRANSFORM]
    assert "'map'" in waiting.replies[0].message
