"""Does it fit; what changed; what colour; descriptions; answers about the past."""

from __future__ import annotations

from dataclasses import replace

import pytest

from n3d_ros.errors import StatusCode
from n3d_ros.scene.departed import Departed, Departure
from n3d_ros.scene.questions.question import (
    Changed,
    Describe,
    Fits,
    IsColored,
    Measure,
    Moment,
    Place,
    Quantity,
    Relation,
    Where,
)
from scene.answers.asking import SECOND, STAMP, ask, known, level_table, scene_of, the

MUG, CRATE = the("mug"), the("crate")
SCENE = scene_of(
    known(1, "mug", (0.0, 0.0, 1.0), (0.08, 0.10, 0.12), color="white"),
    known(2, "crate", (-0.5, 0.0, 1.0), (0.30, 0.20, 0.40)),
    known(3, "crate", (0.5, 0.0, 1.0), (0.09, 0.20, 0.40)),
)


@pytest.mark.parametrize(
    ("opening", "fits"),
    [((0.09,), True), ((0.07,), False), ((0.11, 0.09), True), ((0.09, 0.09), False), ((0.13, 0.09, 0.11), True),
     ((0.13, 0.09, 0.09), False)],
)  # fmt: skip
def test_edges_pass_an_opening_when_the_thing_may_be_turned(opening: tuple[float, ...], fits: bool) -> None:
    got = ask(SCENE, Fits(thing=MUG, opening_m=opening))
    assert (got.status, got.value) == (StatusCode.OK, fits)
    assert ("to spare" in got.text) is fits


def test_between_two_things_counts_the_free_space_and_the_shorter_level_edge() -> None:
    """From -0.35 to 0.455 m: 80.5 cm."""
    crates = Fits(thing=MUG, between=(the("crates"),))
    got = ask(SCENE, crates)
    assert (got.value, "72 cm to spare" in got.text) == (True, True)  # 80.5 - 8
    wide = scene_of(*SCENE.objects, known(4, "sofa", (0, 0, 2), (0.9, 0.8, 2.0)))
    assert ask(wide, Fits(thing=the("sofa"), between=(the("crates"),))).value is False


def test_in_a_container_every_edge_must_be_shorter() -> None:
    for number, fits in ((2, True), (3, True)):
        assert ask(SCENE, Fits(thing=MUG, inside=the("crate", number=number))).value is fits
    assert ask(SCENE, Fits(thing=the("crate", number=2), inside=MUG)).value is False


def test_on_top_compares_the_footprints() -> None:
    assert ask(SCENE, Fits(thing=MUG, on_top_of=the("crate", number=2))).value is True
    assert ask(SCENE, Fits(thing=the("crate", number=2), on_top_of=MUG)).value is False
    assert ask(SCENE, Fits(thing=MUG, on_top_of=the("table")), surfaces=(level_table(),)).value is True


def test_a_fit_within_the_error_is_a_no_that_says_so() -> None:
    scene = scene_of(known(1, "mug", (0, 0, 1), (0.08, 0.1, 0.1), stddev_m=0.005))
    got = ask(scene, Fits(thing=MUG, opening_m=(0.085,)))
    assert got.value is False
    assert "may just fit" in got.text


# --- changes


def test_what_is_there_already_fits_and_nothing_fits_itself() -> None:
    scene = scene_of(known(1, "lid", (0, -0.06, 1), (0.1, 0.02, 0.1)), known(2, "jar", (0, 0, 1)))
    there = ask(scene, Fits(thing=the("lid"), on_top_of=the("jar")))
    assert (there.value, there.text) == (True, "Yes, the lid 1 is on the jar 2 already.")
    itself = ask(scene, Fits(thing=the("jar"), inside=the("jar")))
    assert (itself.value, itself.text) == (False, "No, the jar 2 has no room in itself.")


def test_of_several_only_those_that_do_not_fit_are_told() -> None:
    got = ask(SCENE, Fits(thing=the("objects"), opening_m=(0.1,)))
    assert got.text == "No, the crate 2 does not fit through a gap of 10 cm: 10 cm are missing."


BEFORE = scene_of(
    known(1, "mug", (0.0, 0.0, 1.0)),
    known(2, "box", (0.3, 0.0, 1.0), stddev_m=0.01),
    known(3, "cup", (0.5, 0.0, 1.0)),
    known(4, "ball", (0.7, 0.0, 1.0)),
    stamp_ns=STAMP - 60 * SECOND,
)
NOW = scene_of(
    known(1, "mug", (0.1, 0.0, 1.0)),  # moved
    known(2, "box", (0.325, 0.0, 1.0), stddev_m=0.01),  # 2.5 cm: within its error
    known(4, "ball", (0.715, 0.0, 1.0)),  # 1.5 cm: too little
    known(5, "spoon", (0.9, 0.0, 1.0)),  # new; the cup is gone
)


def test_what_changed_names_new_gone_and_moved() -> None:
    got = ask(NOW, Changed(), before=BEFORE)
    assert got.status is StatusCode.OK
    assert got.value == "new: spoon 5; gone: cup 3; moved: mug 1"
    assert set(got.object_ids) == {5, 3, 1}
    assert "mug 1 moved by 10 cm" in got.text
    assert ask(NOW, Changed(is_new=True), before=BEFORE).value == "new: spoon 5"
    assert ask(NOW, Changed(is_gone=True), before=BEFORE).value == "gone: cup 3"
    assert ask(NOW, Changed(), before=NOW).value == "nothing"


@pytest.mark.parametrize(
    ("words", "moved", "new", "gone"),
    [("mug", True, False, False), ("box", False, False, False), ("ball", False, False, False),
     ("spoon", False, True, False), ("cup", True, False, True)],
)  # fmt: skip
def test_whether_one_thing_moved_is_new_or_gone(words: str, moved: bool, new: bool, gone: bool) -> None:
    asked = (
        Changed(thing=the(words)),
        Changed(thing=the(words), is_new=True),
        Changed(thing=the(words), is_gone=True),
    )
    assert [ask(NOW, intent, before=BEFORE).value for intent in asked] == [moved, new, gone]


def test_what_moved_leaves_out_what_is_new_or_gone() -> None:
    assert ask(NOW, Changed(is_moved=True), before=BEFORE).value == "moved: mug 1"
    got = ask(NOW, Changed(is_moved=True), before=NOW)
    assert (got.value, got.text) == ("nothing", "Nothing moved in 0.0 s.")
    assert ask(NOW, Changed(thing=the("cup"), is_moved=True), before=BEFORE).value is False


def test_what_changed_at_a_place_leaves_out_the_rest() -> None:
    right_of_ball = Place(relation=Relation.RIGHT, references=(the("ball"),))
    got = ask(NOW, Changed(place=right_of_ball), before=BEFORE)
    assert (got.value, got.object_ids) == ("new: spoon 5", (5,))


def test_what_was_not_looked_for_is_not_gone() -> None:
    unseen, empty = (
        replace(NOW, departed=(Departed(object=BEFORE.objects[2], left_ns=STAMP, how=how),))
        for how in (Departure.UNSEEN, Departure.EMPTY)
    )
    got = ask(unseen, Changed(), before=BEFORE)
    assert got.value == "new: spoon 5; moved: mug 1"
    assert "I have not seen the cup 3 again: its place was out of view." in got.text
    assert ask(empty, Changed(is_gone=True), before=BEFORE).value == "gone: cup 3"
    one = ask(unseen, Changed(thing=the("cup"), is_gone=True), before=BEFORE)
    assert (one.value, one.text) == (False, "No, I have not seen the cup 3 again: its place was out of view.")


def test_how_far_a_thing_moved_is_told_since_the_earlier_scene() -> None:
    got = ask(NOW, Measure(quantity=Quantity.MOVED, thing=MUG), before=BEFORE)
    assert got.value == pytest.approx(0.1)
    assert got.text == "The mug 1 has moved by 10 cm in 1 min 0 s."
    still = ask(NOW, Measure(quantity=Quantity.MOVED, thing=the("ball")), before=BEFORE)
    assert "has hardly moved, by 1.5 cm," in still.text
    for scene, before in ((NOW, None), (scene_of(known(9, "mug", (0, 0, 1)), stamp_ns=STAMP), BEFORE)):
        refused = ask(scene, Measure(quantity=Quantity.MOVED, thing=MUG), before=before)
        assert refused.status is StatusCode.NO_SUCH_MOMENT


def test_changes_without_a_memory_are_refused() -> None:
    assert ask(NOW, Changed()).status is StatusCode.NO_SUCH_MOMENT
    assert ask(NOW, Changed(thing=the("unicorn")), before=BEFORE).status is StatusCode.NOT_FOUND


# --- the rest


@pytest.mark.parametrize(
    ("colors", "value"),
    [(("white",), True), (("red",), False), (("red", "white"), "white"), (("red", "blue"), "neither")],
)
def test_is_it_white(colors: tuple[str, ...], value: bool | str) -> None:
    assert ask(SCENE, IsColored(subject=MUG, colors=colors)).value == value


def test_a_description_tells_place_size_colour_and_when_it_was_seen() -> None:
    got = ask(SCENE, Describe(thing=MUG))
    assert got.value == "mug 1"
    for part in ("1.00 m ahead", "8.0 cm wide, 10 cm tall and 12 cm deep", "white", "found in 1 image"):
        assert part in got.text


def test_an_answer_about_the_past_says_how_long_ago_its_image_is() -> None:
    got = ask(SCENE, Where(thing=MUG), moment=Moment(ago_s=5.0), now_ns=STAMP + 4 * SECOND)
    assert got.text.startswith("4.0 s ago: The mug 1 is")
    assert not ask(SCENE, Where(thing=MUG), now_ns=STAMP + 4 * SECOND).text.startswith("4.0 s")
