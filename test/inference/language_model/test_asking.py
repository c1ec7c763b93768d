"""Requests become the prompts that the model learnt."""

from __future__ import annotations

import pytest

from n3d_ros.codec.prompts import (
    MAX_NAME_CHARACTERS,
    MAX_NAMES,
    detection_text,
    grounding_text,
    question_text,
    referring_text,
)
from n3d_ros.errors import QueryError
from n3d_ros.inference.grounder import MAX_NOUNS, MAX_PHRASE_CHARS, GroundingRequest
from n3d_ros.inference.language_model.asking import ask_for, is_referring


def test_a_request_for_nothing_in_particular_detects_everything() -> None:
    assert ask_for(GroundingRequest()).text == detection_text()


def test_a_question_is_asked_in_its_own_words() -> None:
    question = "Is the red mug left of the bowl?"
    assert ask_for(GroundingRequest(question=question, nouns=("red mug", "bowl"))).text == question_text(question)


def test_a_phrase_names_a_category() -> None:
    ask = ask_for(GroundingRequest(phrase="the red mug"))
    assert ask.text == grounding_text(["red mug"])
    assert ask.classes == ("red mug",)


def test_semicolons_part_several_categories() -> None:
    assert ask_for(GroundingRequest(phrase="mug; red box ;; mug")).text == grounding_text(["mug", "red box"])


def test_nouns_are_asked_for_together() -> None:
    assert ask_for(GroundingRequest(nouns=("red mug", "a table"))).text == grounding_text(["red mug", "table"])


def test_a_phrase_that_tells_one_thing_from_others_is_a_referring_expression() -> None:
    ask = ask_for(GroundingRequest(phrase="the cup left of the laptop"))
    assert ask.text == referring_text(["the cup left of the laptop"])
    assert ask.classes == ()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mug", False),
        ("hot air balloon", False),
        ("onion", False),
        ("man in red", True),
        ("tallest bottle", True),
        ("person with a blue hat", True),
        ("small white round plastic lid", True),
        ("左边的杯子", False),
    ],
)
def test_categories_and_referring_expressions_are_told_apart(name: str, expected: bool) -> None:
    assert is_referring(name) is expected


@pytest.mark.parametrize("phrase", ["the", " ; ", "a"])
def test_a_phrase_of_nothing_but_small_words_does_not_fail(phrase: str) -> None:
    assert ask_for(GroundingRequest(phrase=phrase)).text


@pytest.mark.parametrize("length", [129, 200, MAX_PHRASE_CHARS])
def test_every_phrase_that_a_request_may_have_is_asked(length: int) -> None:
    words = ("the man with the red jacket who stands left of the door, " * 10)[:length].strip(" ,")
    assert f"'{words}'" in ask_for(GroundingRequest(phrase=words)).text
    assert f"'{words}'" in ask_for(GroundingRequest(nouns=(words,))).text
    assert MAX_NAME_CHARACTERS == MAX_PHRASE_CHARS and MAX_NAMES >= MAX_NOUNS


def test_more_words_than_fit_a_prompt_are_refused() -> None:
    with pytest.raises(QueryError, match="2048 characters together"):
        ask_for(GroundingRequest(nouns=tuple(f"{k}" * 200 for k in range(16))))


@pytest.mark.parametrize("phrase", ["''; mug", 'mug; ""', "' ' ; the mug"])
def test_parts_without_words_do_not_count(phrase: str) -> None:
    assert ask_for(GroundingRequest(phrase=phrase)).text == grounding_text(["mug"])


def test_a_phrase_of_quotes_alone_is_refused() -> None:
    with pytest.raises(QueryError, match="1 to 512 characters, got 0"):
        ask_for(GroundingRequest(phrase="''; '"))
