"""Questions in words, answers in words and values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import make_detection
from n3d_ros.errors import StatusCode
from n3d_ros.geometry import RigidTransform
from n3d_ros.scene.objects import SceneObject
from n3d_ros.scene.phrases import Phrase, singular
from n3d_ros.scene.query import MAX_TEXT_CHARS, SpatialAnswer, SpatialQuery, ValueType, answer
from n3d_ros.scene.scene import Scene

STAMP = 5_000_000_000


def thing(i: int, label: str, center: tuple[float, float, float], color: str | None, shape: str | None) -> SceneObject:
    found = make_detection(label, center=center, size=(0.2, 0.1, 0.085), color=color, shape=shape)
    return SceneObject.first(i, found, STAMP)


OBJECTS = (
    thing(1, "red box", (0.5, 0.1, 1.2), "red", "box"),
    thing(2, "red box", (0.5, -0.1, 1.2), "red", "box"),
    thing(4, "blue ball", (-0.3, 0.0, 0.9), "blue", "ball"),
    thing(7, "mug", (0.0, 0.2, 0.8), "red and white", None),
)
MAP = Scene(frame_id="map", stamp_ns=STAMP, objects=OBJECTS)
CAMERA = Scene(frame_id="camera_color_optical_frame", stamp_ns=STAMP, objects=OBJECTS)


def ask(text: str, scene: Scene = MAP, viewpoint: RigidTransform | None = None) -> SpatialAnswer:
    return answer(scene, SpatialQuery(text=text, viewpoint=viewpoint, viewer_is_camera=viewpoint is None))


def test_where_in_a_map_gives_the_place_in_its_axes_and_the_size() -> None:
    got = ask("Where is the blue ball?")
    assert got.status is StatusCode.OK
    assert got.text == "The blue ball 4 is at x -0.30, y 0.00, z 0.90 m in map. It measures 20 x 10 x 8.5 cm."
    assert (got.value, got.value_type, got.unit) == ((-0.3, 0.0, 0.9), ValueType.POSITION, "m")
    assert got.object_ids == (4,)
    assert got.stamp_ns == STAMP
    assert any("-0.30" in step for step in got.steps)


def test_where_in_a_camera_frame_speaks_of_ahead_right_and_lower() -> None:
    assert "0.80 m ahead of the camera, 0.20 m lower." in ask("where is the mug", CAMERA).text
    assert "0.90 m ahead of the camera, 0.30 m to the left." in ask("where is the blue ball", CAMERA).text


def test_where_from_a_viewpoint_uses_its_axes_and_keeps_the_value_in_the_scene_frame() -> None:
    turned = RigidTransform(rotation=np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]]), translation=np.array([0, -1, 0.5]))
    got = ask("where is the mug", viewpoint=turned)  # the viewer at y -1 looks along +y
    assert "1.20 m ahead of the viewpoint, 0.30 m higher, at x 0.00, y 0.20, z 0.80 m in map" in got.text
    assert got.value == pytest.approx((0.0, 0.2, 0.8))


def test_one_asked_for_and_two_there_is_answered_as_ambiguous() -> None:
    got = ask("Where is the red box?")
    assert got.status is StatusCode.AMBIGUOUS
    assert got.text.startswith('2 objects match "red box".')
    assert (got.value, got.object_ids) == (None, (1, 2))


def test_several_asked_for_are_all_told() -> None:
    got = ask("Where are the red boxes?")
    assert got.status is StatusCode.OK
    assert got.object_ids == (1, 2)


def test_counting_none_is_an_answer() -> None:
    assert (ask("how many red boxes are there?").value, ask("how many red things?").value) == (2.0, 3.0)
    none = ask("How many elephants are there?")
    assert (none.status, none.value, none.value_type, none.unit) == (StatusCode.OK, 0.0, ValueType.COUNT, "1")


def test_is_there_answers_yes_or_no() -> None:
    yes, no = ask("is there a mug?"), ask("is there a green mug?")
    assert (yes.value, yes.value_text, yes.object_ids) == (True, "yes", (7,))
    assert (no.status, no.value, no.value_text) == (StatusCode.OK, False, "no")
    assert "I see: red box 1" in no.text


def test_what_do_you_see_names_every_object() -> None:
    got = ask("What do you see?")
    assert got.object_ids == (1, 2, 4, 7)
    assert (got.value_type, got.value) == (ValueType.TEXT, "red box 1, red box 2, blue ball 4 and mug 7")
    assert all(word in got.text for word in ("red box 1", "red box 2", "blue ball 4", "mug 7"))


def test_an_object_that_is_not_there_is_not_found_and_what_is_there_is_said() -> None:
    got = ask("where is the unicorn")
    assert got.status is StatusCode.NOT_FOUND
    assert "unicorn" in got.text
    assert "blue ball 4" in got.text


def test_what_is_not_understood_says_what_is() -> None:
    got = ask("does the ball like the box?")
    assert got.status is StatusCode.NOT_UNDERSTOOD
    assert "where is the red box?" in got.text


def test_empty_and_endless_questions_and_no_image_have_their_own_codes() -> None:
    assert ask("  \n").status is StatusCode.INVALID_REQUEST
    assert ask("where is " + "a" * 1100).status is StatusCode.INVALID_REQUEST
    assert ask("what do you see?", Scene.empty("map")).status is StatusCode.NO_FRAME
    assert ask("what do you see?", Scene.empty("map", stamp_ns=STAMP)).text == "I see no objects."


def test_an_answer_about_many_objects_stays_short_and_counts_the_rest() -> None:
    many = tuple(thing(i, "very " * 30 + "long label", (0.1 * i, 0, 1), "red", "box") for i in range(1, 200))
    scene = Scene(frame_id="map", stamp_ns=STAMP, objects=many)
    for text in ("what do you see?", "where are the labels?", "is there a label", "how many labels?"):
        got = ask(text, scene)
        assert len(got.text) <= MAX_TEXT_CHARS
        assert len(got.object_ids) == 199
        assert len(got.steps) <= 11
    assert ask("what do you see?", scene).text.endswith("more.")


def test_words_from_outside_are_shown_on_one_line_and_short() -> None:
    got = ask("where is the \x1b[31m{0}%s\n" + "evil " * 12 + "?")
    assert "\x1b" not in got.text
    assert "\n" not in got.text


@pytest.mark.parametrize("text", ["SIDE", "side", "view", "angle", "point of view", "my side", "located", "sitting"])
def test_a_word_for_where_one_stands_is_no_question(text: str) -> None:
    assert ask(text, MAP).status is not StatusCode.OK


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(max_size=300), st.text(alphabet=" whereisthofmanycu?'", max_size=80)))
def test_every_text_gets_a_status_and_a_bounded_answer(text: str) -> None:
    for scene in (MAP, Scene.empty("map")):
        got = ask(text, scene)
        assert isinstance(got.status, StatusCode)
        assert 0 < len(got.text) <= MAX_TEXT_CHARS


def test_values_have_the_numbers_of_the_message(repository: object) -> None:
    from pathlib import Path

    lines = (Path(str(repository)) / "msg" / "msg" / "TypedValue.msg").read_text().splitlines()
    constants = {line.split("=")[0].split()[1]: int(line.split("=")[1].split()[0]) for line in lines if "uint8" in line and "=" in line.split("#")[0]}  # fmt: skip # noqa: E501
    assert constants == {kind.name: int(kind) for kind in ValueType}


# --- phrases


@pytest.mark.parametrize(
    ("plural", "one"),
    [("boxes", "box"), ("dishes", "dish"), ("glasses", "glass"), ("glass", "glass"), ("berries", "berry"),
     ("knives", "knife"), ("cups", "cup"), ("bus", "bus"), ("ball", "ball"), ("buses", "bus"), ("mice", "mouse"),
     ("lenses", "lens"), ("lens", "lens"), ("bookshelves", "bookshelf")],
)  # fmt: skip
def test_plurals_become_singular(plural: str, one: str) -> None:
    assert singular(plural) == one


@pytest.mark.parametrize(
    ("phrase", "fits"),
    [("red box", True), ("the red cubes", True), ("a box", True), ("red thing", True), ("everything", True),
     ("red and white box", False), ("blue box", False), ("ball", False)],
)  # fmt: skip
def test_a_phrase_fits_when_each_word_is_among_the_words_of_the_object(phrase: str, fits: bool) -> None:
    parsed = Phrase.parse(phrase)
    assert parsed is not None
    assert parsed.matches("package", "red", "box") is fits


def test_a_text_without_words_is_no_phrase() -> None:
    assert Phrase.parse("?!") is None
    assert Phrase.parse("the") is None
    assert Phrase.parse("word " * 17) is None
