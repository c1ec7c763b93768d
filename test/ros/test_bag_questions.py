"""Questions asked while a bag is worked through: when they are asked, and what they do not change."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bags_for_tests import CAMERA, FRAME_ID, START_NS, map_T_camera, render, write_camera_bag
from n3d_ros.errors import QueryError, StatusCode
from n3d_ros.inference.grounder import create_grounder
from n3d_ros.ros import bag_questions
from n3d_ros.ros.bag import BagReader, BagWriter
from n3d_ros.ros.bag_pass import BagListeners, BagPass
from n3d_ros.ros.bag_questions import BagQuestion, read_questions
from n3d_ros.ros.camera_topics import find_camera_topics
from n3d_ros.ros.config import MemoryConfig, NodeConfig
from n3d_ros.ros.offline import OfflineSummary, run_bag
from n3d_ros.ros.rgbd_bag import RgbdBagWriter, write_transform


def run(bag: Path, *texts: str) -> OfflineSummary:
    with BagReader(bag) as reader:
        questions = tuple(map(BagQuestion.parse, texts))
        grounder = create_grounder("geometric")
        return run_bag(reader, None, topics=find_camera_topics(reader), grounder=grounder, questions=questions)


def test_a_question_is_answered_from_what_was_known_at_its_time(tmp_path: Path) -> None:
    bag = write_camera_bag(tmp_path / "bag", frames=5)
    summary = run(
        bag, "how many red boxes are there?", "@0.25 where is the red box?", "@99 how many objects are there?"
    )
    texts = [(one.question.text, one.reply.status.name) for one in summary.answers]
    assert texts == [
        ("where is the red box?", "OK"),
        ("how many objects are there?", "OK"),
        ("how many red boxes are there?", "OK"),
    ]
    stamps = [one["stamp_ns"] for one in summary.looks]
    assert [stamps.index(one.reply.stamp_ns) for one in summary.answers] == [2, 4, 4]


def test_a_question_before_the_first_image_says_that_there_was_none(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        camera = RgbdBagWriter(writer, CAMERA, frame_id=FRAME_ID)
        write_transform(writer, "map", FRAME_ID, map_T_camera(), START_NS - 10**9, static=True)
        camera.write_frame(*render(map_T_camera()), START_NS)
    early, late = run(tmp_path / "bag", "@0.5 how many objects are there?", "@1 how many objects are there?").answers
    assert early.reply.status is StatusCode.NO_FRAME and "no pair of images" in early.reply.message
    assert late.reply.status is StatusCode.OK


def test_the_settings_of_the_memory_hold_as_in_the_node(tmp_path: Path) -> None:
    bag = write_camera_bag(tmp_path / "bag", frames=4)
    for seconds, kept_ms in ((10.0, (0, 200)), (0.0, ())):
        config = replace(NodeConfig(), memory=MemoryConfig(frames_s=seconds))
        with BagReader(bag) as reader:
            topics, grounder = find_camera_topics(reader), create_grounder("geometric")
            bag_pass = BagPass(reader, topics, grounder, config, BagListeners())
            bag_pass.run()
        stamps_ns = bag_pass._desk._desk._frames.stamps_ns  # of images each 100 ms: rate_hz is 5
        assert tuple((stamp_ns - START_NS) // 10**6 for stamp_ns in stamps_ns) == kept_ms


def test_questions_do_not_change_what_is_found(tmp_path: Path) -> None:
    bag = write_camera_bag(tmp_path / "bag", frames=4)
    asked = run(bag, "@0.15 where is the red box?", "how many boxes are there?", "!?", "\x00")
    assert json.dumps(run(bag).looks) == json.dumps(asked.looks)


@pytest.mark.parametrize("text", ["", "   ", "@2.5 ", "@", "@soon where?", "@-1 where?", "@nan where?", "x" * 1025])
def test_a_question_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(QueryError):
        BagQuestion.parse(text)


def test_a_question_may_hold_an_at_sign_of_its_own() -> None:
    assert BagQuestion.parse("who is @home?") == BagQuestion(text="who is @home?")
    assert BagQuestion.parse(" @1.5  where? ") == BagQuestion(text="where?", at_s=1.5)


def test_too_many_questions_or_too_large_a_file_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "q.txt"
    file.write_text("where?\n" * 3)
    monkeypatch.setattr(bag_questions, "MAX_QUESTIONS", 3)
    assert len(read_questions((), file)) == 3
    with pytest.raises(QueryError, match="at most 3 questions, got 4"):
        read_questions(("why?",), file)
    monkeypatch.setattr(bag_questions, "MAX_FILE_BYTES", 8)
    with pytest.raises(QueryError, match="at most 8 bytes"):
        read_questions((), file)
    for content in (b"\xff\xfe", None):
        file.unlink()
        if content:
            file.write_bytes(content)
        with pytest.raises(QueryError, match="expected a text file"):
            read_questions((), file)
