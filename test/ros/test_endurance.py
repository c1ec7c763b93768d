"""The node over minutes: `make test-long`. Half an hour of the same is `n3d bench endurance --minutes 30`."""

from __future__ import annotations

import os

import pytest

from benchmarks.endurance import EnduranceFigures, measure_endurance
from benchmarks.fuzzing import fuzz_messages, fuzz_questions
from domains import DOMAIN_ID
from node_harness import ros_environment

pytestmark = [pytest.mark.ros, pytest.mark.long, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def session() -> EnduranceFigures:
    ros_environment()
    os.environ["ROS_DOMAIN_ID"] = str(DOMAIN_ID)
    return measure_endurance(minutes=3)


def test_memory_grows_by_less_than_20_mib(session: EnduranceFigures) -> None:
    assert session.growth_mib < 20, session.memory_mib


def test_every_received_frame_is_used_or_told_as_dropped(session: EnduranceFigures) -> None:
    assert session.frames.received > 1000
    assert session.frames.unreported in (0, 1), session.frames.text  # one may be at work


def test_every_question_is_answered(session: EnduranceFigures) -> None:
    assert session.asked > 100
    assert sum(session.answers.values()) == session.asked
    assert sum(session.answers[code] for code in ("OK", "NOT_FOUND", "AMBIGUOUS")) > session.asked / 2


def test_no_exception_is_left_unhandled_and_the_node_ends_in_order(session: EnduranceFigures) -> None:
    assert not session.faults
    assert session.exit_code == 0
    assert session.camera_starts >= 3 <= session.bag_loops


def test_odd_questions_never_raise_and_never_take_long() -> None:
    asked = fuzz_questions(30_000, seed=1)
    assert not asked.raised
    assert asked.slowest_ms < 1000, asked.slowest  # a hang, not a slow moment of the machine


def test_odd_messages_do_not_end_the_node() -> None:
    ros_environment()
    os.environ["ROS_DOMAIN_ID"] = str(DOMAIN_ID)
    sent = fuzz_messages(3_000, seed=1)
    assert sent.lived
    assert not sent.faults
