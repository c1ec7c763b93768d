"""Which objects a phrase means, where labels name things and where they tell colour and shape only."""

from __future__ import annotations

import pytest

from builders import make_detection
from n3d_ros.errors import StatusCode
from n3d_ros.scene.objects import SceneObject
from n3d_ros.scene.phrases import Phrase, ignored_note, names_a_thing, select, vocabulary
from n3d_ros.scene.query import MAX_TEXT_CHARS, SpatialAnswer, SpatialQuery, answer
from n3d_ros.scene.scene import Scene


def thing(i: int, label: str, color: str | None = None, shape: str | None = None) -> SceneObject:
    return SceneObject.first(i, make_detection(label, color=color, shape=shape), 1)


BY_SHAPE = (thing(1, "red box", "red", "box"), thing(2, "blue cylinder", "blue", "cylinder"), thing(3, "grey object"))
NAMED = (
    thing(1, "coffee mug", "red", "cylinder"), thing(2, "tea mug", "red", None), thing(3, "screwdriver", "red", "box"),
    thing(4, "cardboard box", "brown", None), thing(5, "bottle", "green", "cylinder"),
)  # fmt: skip


def ask(text: str, objects: tuple[SceneObject, ...]) -> SpatialAnswer:
    return answer(Scene(frame_id="map", stamp_ns=1, objects=objects), SpatialQuery(text=text))


@pytest.mark.parametrize(
    ("phrase", "ids"),
    [("mug", (1, 2)), ("coffee mug", (1,)), ("shiny coffee mugs", (1,)), ("tea mug", (2,)), ("green mug", ()),
     ("red screwdriver", (3,)), ("box", (4,)), ("cube", (4,)), ("can", ()), ("cup", ()), ("bottles", (5,)),
     ("cylinder", ()), ("unicorn", ())],
)  # fmt: skip
def test_labels_that_name_things_match_by_their_own_words(phrase: str, ids: tuple[int, ...]) -> None:
    parsed = Phrase.parse(phrase)
    assert parsed is not None
    chosen = select(parsed, NAMED)
    assert tuple(one.id for one in chosen.objects) == ids
    assert chosen.is_understood


@pytest.mark.parametrize(
    ("phrase", "ids"),
    [("pink box", (1,)), ("box", (1, 4)), ("boxes", (1, 4)), ("cylinder", (2,)), ("yellow ones", (2,)), ("pink", (1,)),
     ("red laptop", (3,)), ("green box", (4,)), ("silver laptop", ())],
)  # fmt: skip
def test_a_name_that_a_measured_word_contradicts_counts(phrase: str, ids: tuple[int, ...]) -> None:
    parsed = Phrase.parse(phrase)
    assert parsed is not None
    objects = (
        thing(1, "pink box", "red", "box"), thing(2, "yellow cylinder", "pink", "box"),
        thing(3, "laptop", "red", "box"), thing(4, "green object", "green", "box"),
    )  # fmt: skip
    assert tuple(one.id for one in select(parsed, objects).objects) == ids


def test_what_is_called_so_goes_before_what_only_has_the_shape() -> None:
    parsed = Phrase.parse("the mug")
    assert parsed is not None
    mug = thing(7, "mug", "white", None)
    assert select(parsed, (*BY_SHAPE, mug)).objects == (mug,)
    assert select(parsed, BY_SHAPE).objects == (BY_SHAPE[1],)


def test_a_cup_is_found_by_its_shape_and_the_answer_says_so() -> None:
    got = ask("is there a cup?", BY_SHAPE)
    assert (got.value, got.object_ids) == (True, (2,))
    assert "by its shape only (bowl or cylinder)" in got.text
    assert ask("where is the cup?", BY_SHAPE).object_ids == (2,)
    assert ask("how many cups are there?", BY_SHAPE).value == 1.0


def test_no_cup_is_said_with_how_cups_are_told() -> None:
    got = ask("is there a red cup?", BY_SHAPE)
    assert (got.status, got.value) == (StatusCode.OK, False)
    assert "by its shape only" in got.text


@pytest.mark.parametrize(
    "text", ["is there a screwdriver?", "how many elephants are there?", "where is the red wrench"]
)
def test_a_noun_without_a_shape_is_not_answered_where_labels_name_nothing(text: str) -> None:
    got = ask(text, BY_SHAPE)
    assert (got.status, got.value, got.object_ids) == (StatusCode.NOT_UNDERSTOOD, None, ())
    assert vocabulary() in got.text
    assert len(got.text) <= MAX_TEXT_CHARS
    assert ask(text, NAMED).status is not StatusCode.NOT_UNDERSTOOD
    assert ask(text, ()).status is not StatusCode.NOT_UNDERSTOOD  # nothing is there at all


def test_left_out_words_are_told_in_the_answer() -> None:
    got = ask("where is the shiny red box?", BY_SHAPE)
    assert got.object_ids == (1,)
    assert "shiny" in got.text
    assert len(ignored_note(["x" * 900] * 15)) < 500


@pytest.mark.parametrize(
    ("phrase", "is_plural"),
    [("the red ones", True), ("the red one", False), ("boxes", True), ("glass", False), ("all of those", True),
     ("boxes, red", True), ("everything", True)],
)  # fmt: skip
def test_number_is_read_from_the_noun(phrase: str, is_plural: bool) -> None:
    parsed = Phrase.parse(phrase)
    assert parsed is not None
    assert parsed.is_plural is is_plural


def test_labels_of_colours_and_shapes_name_no_thing() -> None:
    assert not any(map(names_a_thing, ("red and white box", "grey object", "flat", "Silver cubes")))
    assert all(map(names_a_thing, ("mug", "coffee mug", "cardboard box", "can")))
