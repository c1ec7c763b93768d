"""Questions in words and what they are read as."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from n3d_ros.scene.questions import reading
from n3d_ros.scene.questions.budget import MAX_STEPS, Budget
from n3d_ros.scene.questions.lexicon import table
from n3d_ros.scene.questions.patterns import Grammar
from n3d_ros.scene.questions.question import Question
from n3d_ros.scene.questions.reading import MAX_CHARS, UNDERSTOOD, named_things, read
from scene.questions.notation import notation

KINDS = yaml.load((Path(__file__).parent / "readings.yaml").read_text(), Loader=yaml.BaseLoader)
READINGS = [(text, expected) for rows in KINDS.values() for text, expected in rows]
REFUSED = yaml.load((Path(__file__).parent / "refused.yaml").read_text(), Loader=yaml.BaseLoader)
WORDS = sorted({word for spelling in table() for word in spelling} | {"mug", "box", "red", "3", "20", "cm", "?", ","})
questions = st.sampled_from([text for text, _ in READINGS])


def question_of(text: str) -> Question:
    found = read(text)
    assert found.question is not None, f"{text!r}: not read: {found.unread!r}"
    assert found.unread == ""
    return found.question


def line_of(text: str) -> str | None:
    question = read(text).question
    return None if question is None else notation(question)


@pytest.mark.parametrize(("text", "expected"), READINGS, ids=[text for text, _ in READINGS])
def test_a_question_is_read_as_the_table_says(text: str, expected: str) -> None:
    question = question_of(text)
    assert notation(question) == expected
    assert question.text == text


@pytest.mark.parametrize(("text", "unread"), REFUSED, ids=[text for text, _ in REFUSED])
def test_what_is_not_understood_is_refused_and_named(text: str, unread: str) -> None:
    found = read(text)
    assert found.question is None
    assert unread in found.unread


@pytest.mark.parametrize("text", UNDERSTOOD)
def test_the_examples_shown_to_users_are_understood(text: str) -> None:
    question_of(text)


def test_two_rules_may_not_share_a_name() -> None:
    grammar = Grammar()
    grammar.add("standing", [("lie", lambda _: True)])
    with pytest.raises(ValueError, match="'standing' already"):
        grammar.add("standing", [("located", lambda _: True)])
    with pytest.raises(ValueError, match="'standing' already"):
        grammar.add_reader("standing", lambda _source, _place: iter(()))


def test_the_table_has_every_kind_of_question() -> None:
    kinds = {type(question_of(text).intent).__name__ for text, _ in READINGS}
    assert kinds >= {
        "Where", "Count", "Exists", "Which", "Choose", "ChoosePlaced", "IsPlaced", "IsColored", "Side", "Compare",
        "Measure", "Difference", "Direction", "Order", "Fits", "Describe", "Changed",
    }  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    questions, st.sampled_from(["please", "Hello, ", "Could you please tell me", "Hey robot,", "I would like to know"])
)
def test_courtesy_changes_nothing(text: str, courtesy: str) -> None:
    polite = f"{courtesy} {text[0].lower() + text[1:]}"
    if text.split()[0].lower() in ("could", "can", "would", "please", "hey", "i", "do", "tell"):
        return  # already courteous
    assert line_of(polite) == line_of(text)


@settings(max_examples=100, deadline=None)
@given(questions, st.sampled_from([str.upper, str.lower, str.title]))
def test_case_changes_nothing_but_the_names(text: str, change: object) -> None:
    changed = line_of(change(text))  # type: ignore[operator]
    assert changed is not None
    expected = line_of(text)
    assert expected is not None
    assert changed.lower() == expected.lower()


@settings(max_examples=60, deadline=None)
@given(questions, st.sampled_from(["", "?", " ?", "??", "!", ".", " please?", ", please."]))
def test_the_end_of_the_sentence_changes_nothing(text: str, end: str) -> None:
    if text.endswith(")") or "(A)" in text:
        return
    assert line_of(text.rstrip("?.! ") + end) == line_of(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What colour is the mug?", "What color is the mug?"),
        ("How many centimetres tall is the mug?", "How many centimeters tall is the mug?"),
        ("Is the grey box left of the mug?", "Is the gray box left of the mug?"),
        ("What's on the table?", "What is on the table?"),
        ("What's on the table?", "Whats on the table"),
        ("Isn't the mug red?", "isnt the mug red"),
        ("Where's the mug?", "where is the mug"),
        ("Does the mug fit in a 20 cm gap?", "Does the mug fit in a 20cm gap?"),
        ("Is the mug taller than half a metre?", "Is the mug taller than 50 cm?"),
        ("Is the mug taller than half a meter?", "Is the mug taller than 0.5 m?"),
        ("Does the mug fit in a 20x30x10 cm box?", "Does the mug fit in a box of 20 by 30 by 10 centimetres?"),
        ("Are there two mugs?", "Are there 2 mugs?"),
        ("Is the mug left of the box?", "Is the mug to the left of the box?"),
        ("Is the mug left of the box?", "Is the mug on the left-hand side of the box?"),
        ("What did you see five minutes ago?", "What did you see 300 seconds ago?"),
        ("What did you see at 3 pm?", "What did you see at 15:00?"),
    ],
)
def test_two_spellings_are_read_alike(one: str, other: str) -> None:
    assert line_of(one) is not None
    assert (line_of(one) or "").lower().replace("gray", "grey") == (line_of(other) or "").lower().replace(
        "gray", "grey"
    )


def test_articles_do_not_change_a_name() -> None:
    for text in ("Is the mug taller than the box?", "Is my mug taller than your box?", "Is mug taller than box?"):
        assert line_of(text) == "Compare(mug, HEIGHT, MORE, other=box)"


def test_any_noun_is_a_name() -> None:
    assert line_of("Is the flux capacitor behind the gizmo?") == "IsPlaced(flux capacitor, BEHIND, gizmo)"


def test_names_are_told_once_in_their_order() -> None:
    text = "Is the red mug on the desk closer to the lamp than the red mug on the shelf?"
    assert named_things(question_of(text)) == ("red mug", "desk", "shelf", "lamp")
    assert named_things(question_of("what do you see?")) == ()


def test_an_additional_word_of_meaning_is_never_dropped() -> None:
    for text, _ in READINGS[::7]:
        assert read(f"{text.rstrip('?.! ')} because gravity").question is None


def test_a_second_question_is_named_and_not_answered() -> None:
    found = read("Where is the mug and how tall is the box?")
    assert found.question is None
    assert found.unread == "and how tall is the box ? (one question at a time)"


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=MAX_CHARS + 50))
def test_any_text_is_read_or_refused(text: str) -> None:
    assert (read(text).question is None) or read(text).unread == ""


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=80))
def test_words_of_asking_in_any_order_are_read_or_refused(words: list[str]) -> None:
    text = " ".join(words)[:MAX_CHARS]
    assert (read(text).question is None) or read(text).unread == ""


@pytest.mark.parametrize(
    "text",
    ["the mug left of " * 60, "is the mug left of the box and " * 30, "of " * 300, "which " * 150, "mug, " * 200,
     "20 by " * 150, "(A) " * 200, "1_" * 400, "x" * 1024, "the the the " * 80, "'" * 1024,
     "is there a mug that is " * 40],
)  # fmt: skip
def test_work_is_bounded(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    budgets = list[Budget]()
    monkeypatch.setattr(reading, "Budget", lambda: budgets.append(Budget()) or budgets[-1])
    read(text[:MAX_CHARS])
    assert all(budget.steps <= MAX_STEPS + len(text) for budget in budgets)
    assert len(budgets) <= 1


@pytest.mark.parametrize("times", [2, 4, 8, 12, 16, 20, 24, 30])
def test_nested_places_take_bounded_work(times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    budget = Budget()
    monkeypatch.setattr(reading, "Budget", lambda: budget)
    read("is the box " + "left of the box " * times)
    assert budget.steps <= MAX_STEPS + 100


@pytest.mark.parametrize("word", ["mug", "the mug", "left of the mug", "taller than the mug", "that is red", "and",
                                  "5 cm by", "someone facing", "between the mug and the box", "from the mug",
                                  "or the mug"])  # fmt: skip
def test_repeated_words_are_read_or_refused(word: str) -> None:
    for start in ("is the box", "where is the box", "which is larger,", "how far is the box from", "sort the boxes"):
        reading_ = read(f"{start} {f'{word} ' * 14}".strip())
        assert reading_.question is None or reading_.unread == ""


def test_a_text_that_takes_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "Budget", lambda: Budget(until_s=0.0))
    assert read("is the box " + "left of the box " * 12).question is None


def test_a_text_beyond_the_limit_is_refused() -> None:
    assert read("where is the mug " * 100).question is None
    assert read("").question is None
