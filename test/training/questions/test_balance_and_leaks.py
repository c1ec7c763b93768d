"""That a guess from the words alone is no better than chance."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from model_training.data.records import QuestionRecord
from model_training.questions.config import QuestionConfig
from model_training.questions.make import questions_about
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.scene.phrases import words_of
from training.questions.frames import random_frame

COMPARING = (
    "left_right", "front_behind", "above_below", "wide_thin", "tall_short", "big_small", "relative_distance",
    "furthest", "direction",
)  # fmt: skip
CONFIG = QuestionConfig(detection=0, category=0, referring=0, reasoning=16, attempts=4, classes=COMPARING)


@pytest.fixture(scope="module")
def asked() -> list[QuestionRecord]:
    rng = np.random.default_rng(11)
    return [one for k in range(90) for one in questions_about(random_frame(rng, f"leak-{k}"), CONFIG)]


def test_yes_and_no_are_as_frequent(asked: list[QuestionRecord]) -> None:
    answers = Counter(one.value for one in asked if one.value_type == "boolean")
    assert answers.total() > 300
    assert abs(answers["yes"] / answers.total() - 0.5) < 0.08


@pytest.mark.parametrize("sides", [("left", "right"), ("front", "behind"), ("above", "below")])
def test_opposite_sides_are_as_frequent(sides: tuple[str, str], asked: list[QuestionRecord]) -> None:
    answers = Counter(one.value for one in asked if one.value in sides)
    assert answers.total() > 20
    assert 0.3 < answers[sides[0]] / answers.total() < 0.7


def place_of_answer(one: QuestionRecord) -> int:
    """Where among the things offered the question names the one that is the answer."""
    return sorted(range(len(offered(one))), key=lambda k: offered(one)[k] == one.value)[-1]


def offered(one: QuestionRecord) -> list[str]:
    """The names between which a question leaves the choice: those behind "which of", or before and after "or"."""
    text = one.question.rstrip("?")
    if " or " in text:
        head, last = text.rsplit(" or the ", 1)
        first = head.split(", the ")[-1] if ", the " in head else head.split("the ")[-1]
        return [first.strip(), last.strip()]
    inner = text.split(" of the ", 1)[-1] if " of the " in text else text.split("Among the ", 1)[-1]
    inner = inner.split(" is ")[0].split(", which")[0]
    return [name.strip() for name in inner.replace(" and the ", ", the ").split(", the ")]


def choices(asked: list[QuestionRecord], count: int) -> list[QuestionRecord]:
    """The questions that offer so many names, the answer among them."""
    named = [
        one
        for one in asked
        if one.value_type == "text" and one.value not in ("left", "right", "front", "behind", "above", "below")
    ]
    return [one for one in named if len(offered(one)) == count and one.value in offered(one)]


@pytest.mark.parametrize("count", [2, 3])
def test_the_answer_is_named_first_as_often_as_last(count: int, asked: list[QuestionRecord]) -> None:
    places = Counter(place_of_answer(one) for one in choices(asked, count))
    assert places.total() > 30
    assert all(abs(places[k] / places.total() - 1 / count) < 0.16 for k in range(count)), places


def test_hours_are_spread_around_the_clock(asked: list[QuestionRecord]) -> None:
    hours = Counter(one.value for one in asked if one.question_class == "direction")
    assert len(hours) >= 10
    assert hours.most_common(1)[0][1] / hours.total() < 0.3


# --- a guesser that reads ---------------------------------------------------------------------------------------------


def guessed(texts: list[str], truth: FloatArray) -> float:
    """The share that a bag of words gets right on the later half after it was fitted on the earlier half."""
    known = {word: k for k, word in enumerate(sorted({word for text in texts for word in words_of(text)}))}
    bags = np.zeros((len(texts), len(known) + 1))
    bags[:, -1] = 1.0
    for row, text in enumerate(texts):
        for word in words_of(text):
            bags[row, known[word]] += 1.0
    half, weights = len(texts) // 2, np.zeros(len(known) + 1)
    for _ in range(400):
        chance = 1 / (1 + np.exp(-bags[:half] @ weights))
        weights -= 0.5 * (bags[:half].T @ (chance - truth[:half]) / half + 0.01 * weights)
    majority = max(float(truth[half:].mean()), 1 - float(truth[half:].mean()))
    found = float((((bags[half:] @ weights) > 0) == (truth[half:] > 0.5)).mean())
    return found - max(0.0, majority - 0.5)  # luck in the draw of the later half is not the words' doing


def test_the_words_do_not_tell_yes_from_no(asked: list[QuestionRecord]) -> None:
    questions = [one for one in asked if one.value_type == "boolean"]
    truth = np.array([one.value == "yes" for one in questions], dtype=float)
    assert guessed([one.question for one in questions], truth) < 0.6


def test_the_words_do_not_tell_which_of_two(asked: list[QuestionRecord]) -> None:
    questions = choices(asked, 2)
    truth = np.array([place_of_answer(one) for one in questions], dtype=float)
    assert len(questions) > 200
    assert guessed([one.question for one in questions], truth) < 0.62


def test_the_guesser_finds_a_leak_where_there_is_one(asked: list[QuestionRecord]) -> None:
    questions = [one for one in asked if one.value_type == "boolean"]
    texts = [one.question.replace("Is", "Is really") if one.value == "yes" else one.question for one in questions]
    truth = np.array([one.value == "yes" for one in questions], dtype=float)
    assert guessed(texts, truth) > 0.7


def test_an_absent_name_is_no_rarer_than_a_present_one() -> None:
    """With the labels of the frames as vocabulary every name is asked for both in vain and not."""
    rng = np.random.default_rng(3)
    records = [random_frame(rng, f"absent-{k}") for k in range(40)]
    labels = tuple(one.label for record in records for one in record.objects)
    config = replace(CONFIG, reasoning=0, category=6, vocabulary=labels, absent_share=0.4)
    found = Counter[tuple[str, bool]]()
    for record in records:
        for one in questions_about(record, config):
            if len(one.names) == 1 and " " not in one.names[0]:
                found[one.names[0], bool(one.object_ids)] += 1
    names = {name for name, _ in found}
    assert len(names) == 10
    assert all(found[name, True] and found[name, False] for name in names)
