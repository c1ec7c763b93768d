"""The answers in the documentation are those that the node gives."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="the bag is read with the message packages of ROS 2")
pytest.importorskip("n3d_msgs", reason="the interface package is not built")

from n3d_ros.errors import StatusCode
from n3d_ros.ros.bag_questions import Answered
from scripts import query_examples

pytestmark = pytest.mark.ros


@pytest.fixture(scope="module")
def answers() -> dict[str, list[Answered]]:
    """Every question of the page, asked of the demo's bag now."""
    return query_examples.ask_all(query_examples.questions())


def test_the_page_says_what_is_answered_now(answers: dict[str, list[Answered]]) -> None:
    page = query_examples.PAGE.read_text(encoding="utf-8")
    new = query_examples.page_text(page, answers)
    assert query_examples.same_answers(page, new), "run: python -m scripts.query_examples"


def test_every_block_of_questions_is_on_the_page() -> None:
    page = query_examples.PAGE.read_text(encoding="utf-8")
    assert {match[2] for match in query_examples.BLOCK.finditer(page)} == set(query_examples.questions())


def test_only_what_is_meant_to_fail_fails(answers: dict[str, list[Answered]]) -> None:
    good = (StatusCode.OK, StatusCode.NOT_FOUND)
    for name, asked in answers.items():
        for one in asked:
            allowed = {"ambiguity": (*good, StatusCode.AMBIGUOUS), "past": (*good, StatusCode.NO_SUCH_MOMENT)}
            if name != "not_understood":
                assert one.reply.status in allowed.get(name, good), f"{one.question.text}: {one.reply.message}"


def test_another_word_or_another_size_is_noticed() -> None:
    assert query_examples.same_answers("it is 0.410 m away", "it is 0.411 m away")
    assert not query_examples.same_answers("it is 0.41 m away", "it is 0.61 m away")
    assert not query_examples.same_answers("it is 0.41 m away", "it is 0.41 m long")
    assert not query_examples.same_answers("3 boxes", "4 boxes")
