"""Answers judged by hand: computed values by their type, words by what they say."""

from __future__ import annotations

import time
from typing import Any

import pytest

from model_training.data.records import QuestionRecord
from model_training.evaluation.answering import computed_answer, ids_called, scene_of
from model_training.evaluation.judging import (
    CHOICE,
    NOT_JUDGED,
    NUMERIC,
    OPEN,
    group_of,
    hour_of,
    judge_computed,
    judge_words,
)
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.scene.query import read
from n3d_ros.scene.questions.budget import Budget
from n3d_ros.scene.scene import Scene
from training.evaluation.frames_for_evaluation import cube, found, question


def shown() -> Scene:
    """A mug on the left and near, a red box on the right and far, a blue box above it; the mug is the smallest."""
    objects = [
        found("mug", cube(-0.5, 0, 1.0, 0.1)),
        found("box", cube(0.5, 0, 2.0, 0.2), color="red"),
        found("box", Box3D.axis_aligned((0.5, -1, 3.0), (0.4, 0.5, 0.3)), color="blue"),
    ]
    return scene_of(objects, "full")


TYPED: list[tuple[str, str, str, bool]] = [
    ("Is the mug to the left of the red box?", "boolean", "yes", True),
    ("Is the mug to the left of the red box?", "boolean", "no", False),
    ("How wide is the red box?", "number", "0.25", True),  # 0.20 m is within a quarter of it
    ("How wide is the red box?", "number", "0.27", False),
    ("How many boxes are there?", "count", "2", True),
    ("How many boxes are there?", "count", "3", False),
    ("Which is closer to the camera, the mug or the red box?", "text", "mug", True),
    ("Which is closer to the camera, the mug or the red box?", "text", "the red box", False),
    ("Which is wider, the red box or the blue box?", "text", "blue box", True),
    ("Which is wider, the red box or the blue box?", "text", "red box", False),
    ("Is the mug left or right of the red box?", "text", "left", True),
    ("What is the depth order of the mug, the red box and the blue box?", "text", "mug; red box; blue box", True),
    ("What is the depth order of the mug, the red box and the blue box?", "text", "mug, red box and blue box", True),
    ("What is the depth order of the mug, the red box and the blue box?", "text", "red box; mug; blue box", False),
    ("What is the depth order of the mug, the red box and the blue box?", "text", "mug; red box", False),
]


@pytest.mark.parametrize(("text", "kind", "value", "right"), TYPED)
def test_a_computed_value_is_judged_by_its_type(text: str, kind: str, value: str, right: bool) -> None:
    verdict = judge_computed(
        question(1, text, value, value_type=kind), computed_answer(shown(), text, open_vocabulary=True), shown()
    )
    assert verdict.right is right, verdict


def test_an_hour_is_judged_exactly() -> None:
    text = "At what o'clock is the mug from the red box?"  # 1 m left and 1 m nearer: 135 degrees left of ahead
    answer = computed_answer(shown(), text, open_vocabulary=True)
    verdicts = [
        judge_computed(question(1, text, value, value_type="direction"), answer, shown()).right
        for value in ("8 o'clock", "8", "9", "7 o'clock")
    ]
    assert verdicts == [True, True, False, False]  # 12 - floor(135 / 30) = 8


def test_a_missing_object_makes_an_answer_wrong() -> None:
    text = "How far is the mug from the lamp?"
    verdict = judge_computed(
        question(1, text, "1.2", value_type="number"), computed_answer(shown(), text, open_vocabulary=True), shown()
    )
    assert (verdict.right, verdict.why) == (False, "not_found")


def test_a_reading_that_the_clock_cut_off_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "Can you tell me how wide the red box is, please?"
    seconds = iter([-1.0, -1.0, 100.0])
    monkeypatch.setattr("n3d_ros.scene.questions.budget.STEPS_PER_LOOK", 1)
    monkeypatch.setattr(
        "n3d_ros.scene.questions.reading.Budget", lambda: Budget(until_s=time.monotonic() + next(seconds))
    )
    assert read(text).question is None  # without time, nothing is understood
    assert computed_answer(shown(), text, open_vocabulary=True).value == pytest.approx(0.2)


def test_a_question_without_a_value_is_not_judged() -> None:
    text = "Is there a mug?"
    verdict = judge_computed(question(1, text, ""), computed_answer(shown(), text, open_vocabulary=True), shown())
    assert (verdict.right, verdict.why) == (None, NOT_JUDGED)


def test_a_name_with_a_place_means_one_of_several() -> None:
    assert ids_called("the box behind the red box", shown()) == {3}
    assert ids_called("box", shown()) == {2, 3}
    assert ids_called("lamp", shown()) == set()
    assert ids_called("!!", shown()) == set()


SAID: list[tuple[dict[str, Any], str, bool]] = [
    ({"value": "yes"}, "Yes, the mug is to the left of the box.", True),
    ({"value": "yes"}, "No.", False),
    ({"value": "no"}, "The mug is not behind the box.", False),  # begins with neither: no exact answer
    ({"value": "0.5", "value_type": "number"}, "The distance is 62 cm.", True),
    ({"value": "0.5", "value_type": "number"}, "The distance is 63 cm.", False),
    ({"value": "0.5", "value_type": "number"}, "It is far away.", False),
    ({"value": "3", "value_type": "count"}, "There are three mugs.", True),
    ({"value": "3", "value_type": "direction"}, "The box is at 3 o'clock.", True),
    ({"value": "3", "value_type": "direction"}, "The box is at 4 o'clock.", False),
    ({"value": "left", "value_type": "text"}, "The mug is on the left side.", True),
    ({"value": "left", "value_type": "text"}, "The mug is to the right, not left.", False),
    ({"value": "mug", "value_type": "text"}, "The mug is closer than the red box.", True),
    ({"value": "mug", "value_type": "text"}, "The red box is closer than the mug.", False),
    ({"value": "mug; red box", "value_type": "text"}, "First the mug, then the red box.", True),
    ({"value": "mug; red box", "value_type": "text"}, "The red box, then the mug.", False),
    ({"value": "mug", "value_type": "text"}, "   ", False),
]  # fmt: skip


@pytest.mark.parametrize(("expected", "text", "right"), SAID)
def test_words_are_read_and_judged(expected: dict[str, Any], text: str, right: bool) -> None:
    asked = question(1, "Which is closer, the mug or the red box?", **expected)
    assert judge_words(asked, text).right is right


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("(B)", True),
        ("B", True),
        ("b.", True),
        ("The answer is (B) red box", True),
        ("(A) mug", False),
        ("The red box is closer.", True),
        ("A mug", False),
        ("Neither.", False),
        ("E", False),
    ],
)
def test_a_choice_is_taken_by_letter_or_by_name(text: str, right: bool) -> None:
    asked = question(1, "Which is closer?", "(B)", value_type="text")
    assert judge_words(asked, text, ("mug", "red box")).right is right


@pytest.mark.parametrize(
    "text", ["A red box", "A red box is closer.", "Answer: a red box", "The answer is B.", "B red"]
)
def test_an_article_is_no_letter(text: str) -> None:
    asked = question(1, "Which is closer?", "(B)", value_type="text")
    assert judge_words(asked, text, ("mug", "red box")).right is True


@pytest.mark.parametrize("value", ["zebra", "(F)"])
def test_nothing_is_right_where_the_true_answer_is_no_choice(value: str) -> None:
    text = "Which is closer to the camera, the mug or the red box?"
    asked, choices = question(1, text, value, value_type="text"), ("cup", "lamp")
    answer = computed_answer(shown(), text, open_vocabulary=True)
    for verdict in (judge_words(asked, "No idea.", choices), judge_computed(asked, answer, shown(), choices)):
        assert (verdict.right, verdict.why) == (None, NOT_JUDGED)


ORDER = "cereal box; lamp; box"


@pytest.mark.parametrize(
    ("value", "text", "right"),
    [
        (ORDER, "The cereal box, the lamp, the box.", True),
        (ORDER, "The cereal box, the box, the lamp.", False),
        ("box", "The cereal box is the nearest.", False),
        ("pear", "The basket is the nearest, then the pear.", False),
        ("pear", "Not the basket but the pear.", True),
        ("pear", "It is not the pear.", False),
        ("pear", "The nearest to the basket is the pear.", True),
        ("yellow pear", "The pear.", False),
        ("left", "The basket is to the left of the lamp.", True),
    ],
)
def test_a_word_belongs_to_the_longest_name_and_the_first_thing_is_the_answer(
    value: str, text: str, right: bool
) -> None:
    asked = question(1, "Which one of these?", value, value_type="text")
    there = ("cereal box", "box", "lamp", "pear", "basket")
    assert judge_words(asked, text, others=there).right is right


def test_a_thing_of_another_name_is_no_exact_answer() -> None:
    text = "What is the nearest object?"
    for label, value, right in (
        ("cereal box", "cereal box", True),
        ("floor lamp", "lamp", True),
        ("pitcher", "jug", True),
        ("orange", "orange", True),  # the word is a colour, too
        ("grey box", "cereal box", False),  # the node would take it for one
        ("cylinder", "candle", False),
    ):
        scene = scene_of([found(label, cube(0, 0, 1.0)), found("table", cube(1, 0, 3.0))], "full")
        answer = computed_answer(scene, text, open_vocabulary=True)
        assert judge_computed(question(1, text, value, value_type="text"), answer, scene).right is right, label


def test_an_orange_orange_is_an_orange() -> None:
    orange = found("orange", cube(0, 0, 1.0), color="orange")
    scene = scene_of([orange, found("table", cube(1, 0, 3.0))], "full")
    assert ids_called("orange orange", scene) == {scene.objects[0].id}


def test_a_computed_name_is_one_of_the_choices() -> None:
    text = "Which is closer to the camera, the mug or the red box?"
    answer = computed_answer(shown(), text, open_vocabulary=True)
    for value, right in (("(A)", True), ("(B)", False), ("mug", True)):
        asked = question(1, text, value, value_type="text")
        assert judge_computed(asked, answer, shown(), ("mug", "red box")).right is right


def test_questions_count_where_the_benchmark_counts_them() -> None:
    def asked(kind: str, value_type: str = "text") -> QuestionRecord:
        return question(1, "?", "1", question_class=kind, value_type=value_type)

    assert group_of(asked("left_right")) == OPEN
    assert group_of(asked("distance", "number")) == NUMERIC
    assert group_of(asked("direction", "direction")) == NUMERIC
    assert group_of(asked("depth_order"), ("a", "b")) == CHOICE


@pytest.mark.parametrize(
    ("value", "hour"),
    [("3", 3), ("12 o'clock", 12), ("three o'clock", 3), ("13", None), ("0", None), ("north", None), ("", None)],
)
def test_hours_are_read_as_data_sets_write_them(value: str, hour: int | None) -> None:
    assert hour_of(value) == hour
