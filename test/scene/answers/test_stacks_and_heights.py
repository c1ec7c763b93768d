"""Stacks on a table over a floor; above against higher; what is said of the viewer's own place."""

from __future__ import annotations

import pytest

from n3d_ros.errors import StatusCode
from n3d_ros.scene.query import answer
from n3d_ros.scene.questions.question import ChoosePlaced, Exists, IsPlaced, Place, Relation, Where, Which
from n3d_ros.scene.spatial_answer import SpatialAnswer, SpatialQuery
from scene.answers.asking import OPTICAL_T_VIEWER, ask, known, level_table, scene_of, the

R = Relation
TABLE, FLOOR = level_table(0.3), level_table(1.0, kind="floor")
# From the table, 30 cm below the camera, up: book, box, mug; beside them a bowl with an apple; a shoe on the floor.
STACK = scene_of(
    known(1, "book", (0.0, 0.28, 1.0), (0.3, 0.04, 0.3)),
    known(2, "box", (0.0, 0.20, 1.0), (0.12, 0.12, 0.12)),
    known(3, "mug", (0.0, 0.09, 1.0)),
    known(4, "bowl", (0.5, 0.20, 1.0), (0.3, 0.2, 0.3), shape="bowl"),
    known(5, "apple", (0.5, 0.16, 1.0), (0.08, 0.08, 0.08)),
    known(6, "shoe", (0.3, 0.95, 1.0)),
)


def is_so(subject: str, relation: Relation, reference: str) -> SpatialAnswer:
    intent = IsPlaced(subject=the(subject), options=(relation,), references=(the(reference),))
    return ask(STACK, intent, surfaces=(TABLE, FLOOR))


def what_is(relation: Relation, reference: str) -> SpatialAnswer:
    place = Place(relation=relation, references=(the(reference),))
    return ask(STACK, Which(thing=the("objects", places=(place,))), surfaces=(TABLE, FLOOR))


@pytest.mark.parametrize("name", ["book", "box", "mug", "bowl", "apple"])
def test_all_of_a_stack_is_on_the_table_and_the_table_under_it(name: str) -> None:
    assert is_so(name, R.ON, "table").value is True
    assert is_so("table", R.UNDER, name).value is True
    assert is_so(name, R.ON, "floor").value is False


def test_what_is_on_the_table_follows_what_carries_what() -> None:
    assert set(what_is(R.ON, "table").object_ids) == {1, 2, 3, 4, 5}
    assert what_is(R.ON, "floor").object_ids == (6,)
    steps = is_so("mug", R.ON, "table").steps
    assert any("mug 3 rests on box 2; box 2 rests on book 1; book 1 is on the table." in step for step in steps)


def test_what_is_under_names_all_that_carries_it_down_to_the_table() -> None:
    got = what_is(R.UNDER, "mug")
    assert set(got.object_ids) == {1, 2}
    assert "table" in str(got.value)
    assert "floor" not in str(got.value)
    assert set(what_is(R.UNDER, "apple").object_ids) == {4}


def test_of_two_surfaces_the_lower_one_is_under_the_other() -> None:
    assert (is_so("floor", R.UNDER, "table").value, is_so("table", R.UNDER, "floor").value) == (True, False)
    assert (is_so("table", R.ON, "floor").value, is_so("floor", R.ON, "table").value) == (True, False)
    assert what_is(R.UNDER, "table").object_ids == (6,)


def test_every_pair_that_is_on_is_under_the_other_way_round() -> None:
    names = ("book", "box", "mug", "bowl", "apple", "shoe", "table", "floor")
    pairs = {(a, b) for a in names for b in names if a != b and is_so(a, R.ON, b).value}
    assert len(pairs) == 10
    assert all(is_so(b, R.UNDER, a).value for a, b in pairs)


def test_a_table_contains_nothing() -> None:
    got = is_so("bowl", R.INSIDE, "table")
    assert (got.value, got.text) == (False, "No, the bowl 4 is on the table, not inside it.")
    shelf = level_table(0.3, kind="shelf")
    inside = IsPlaced(subject=the("bowl"), options=(R.INSIDE,), references=(the("shelf"),))
    assert ask(STACK, inside, surfaces=(shelf,)).value is True


def test_a_table_that_is_an_object_carries_stacks_and_has_a_cat_under_it() -> None:
    """Its box reaches down to the floor, and the cat is between its legs."""
    scene = scene_of(
        known(1, "coffee table", (0.0, 0.5, 2.0), (1.0, 0.5, 0.6)),
        known(2, "book", (0.0, 0.23, 2.0), (0.2, 0.04, 0.2)),
        known(3, "vase", (0.0, 0.11, 2.0), (0.1, 0.2, 0.1)),
        known(4, "cat", (0.0, 0.65, 2.0), (0.3, 0.2, 0.2)),
    )

    def found(relation: Relation) -> tuple[int, ...]:
        place = Place(relation=relation, references=(the("coffee table"),))
        return ask(scene, Which(thing=the("objects", places=(place,)))).object_ids

    assert (found(R.ON), found(R.UNDER), found(R.INSIDE)) == ((2, 3), (4,), ())


# --- above and higher

BESIDE = scene_of(
    known(1, "bowl", (-0.3, 0.0, 1.0)),
    known(2, "bottle", (0.3, -0.05, 1.0), (0.1, 0.2, 0.1)),
    known(3, "lamp", (-0.3, -0.4, 1.0)),
)


def placed(subject: str, relation: Relation, reference: str) -> SpatialAnswer:
    return ask(BESIDE, IsPlaced(subject=the(subject), options=(relation,), references=(the(reference),)))


def test_what_is_above_a_thing_is_over_it() -> None:
    above = the("objects", places=(Place(relation=R.ABOVE, references=(the("bowl"),)),))
    below = the("objects", places=(Place(relation=R.BELOW, references=(the("lamp"),)),))
    assert ask(BESIDE, Which(thing=above)).object_ids == (3,)
    assert ask(BESIDE, Which(thing=below)).object_ids == (1,)
    anything = IsPlaced(subject=the("bottle", is_any=True), options=(R.ABOVE,), references=(the("bowl"),))
    assert ask(BESIDE, anything).value is False
    over_bottle = the("object", places=(Place(relation=R.ABOVE, references=(the("bottle"),)),))
    assert ask(BESIDE, Exists(thing=over_bottle)).value is False


def test_a_thing_beside_another_at_its_height_is_not_almost_above_it() -> None:
    """What only the measuring error keeps from being above is told; what stands beside is not."""
    pair = (known(1, "bowl", (-0.3, 0, 1), stddev_m=0.01), known(2, "bottle", (0.3, 0, 1), stddev_m=0.01))
    above = the("objects", places=(Place(relation=R.ABOVE, references=(the("bowl"),)),))
    assert "about the same place" not in ask(scene_of(*pair), Which(thing=above)).text


def test_a_thing_beside_another_is_higher_and_said_not_to_be_over_it() -> None:
    """The benchmark compares heights alone, so the answer is yes."""
    got = placed("bottle", R.ABOVE, "bowl")
    assert (got.value, got.text) == (True, "Yes, the bottle 2 is 5.0 cm higher than the bowl 1, but not over it.")
    got = placed("bowl", R.ABOVE, "bottle")
    assert (got.value, got.text) == (False, "No, the bowl 1 is 5.0 cm lower than the bottle 2.")
    assert placed("lamp", R.ABOVE, "bowl").text == "Yes, the lamp 3 is 40 cm above the bowl 1."


def test_below_and_under_explain_each_other() -> None:
    below, under = placed("bowl", R.BELOW, "bottle"), placed("bowl", R.UNDER, "bottle")
    assert (below.value, below.text) == (True, "Yes, the bowl 1 is 5.0 cm lower than the bottle 2, but not under it.")
    assert (under.value, under.text) == (False, "No, the bowl 1 is 5.0 cm lower than the bottle 2, but not under it.")
    assert placed("bowl", R.UNDER, "lamp").value is True


def test_which_is_higher_says_higher_with_the_difference() -> None:
    got = ask(BESIDE, ChoosePlaced(candidates=(the("bottle"), the("bowl")), relation=R.ABOVE))
    assert (got.value, got.text) == ("bottle 2", "The bottle 2 is 5.0 cm higher than the bowl 1.")


# --- the viewer, surfaces, between


@pytest.mark.parametrize(("relation", "words"), [(R.ON, "what is on it"), (R.INSIDE, "what is in it")])
def test_what_is_on_or_in_the_viewer_is_refused(relation: Relation, words: str) -> None:
    got = ask(BESIDE, IsPlaced(subject=the("bowl"), options=(relation,)))
    assert (got.status, got.value) == (StatusCode.NOT_UNDERSTOOD, None)
    assert f"I know where the camera is, not {words}" in got.text
    assert ask(BESIDE, Which(thing=the("objects", places=(Place(relation=relation),)))).status is got.status


@pytest.mark.parametrize(("center", "holds"), [((0, 0.5, 0.4), True), ((0, 0.5, 0.8), False), ((0, -0.5, 0.4), False)])
def test_under_me_is_lower_and_not_far_beside_me(center: tuple[float, float, float], holds: bool) -> None:
    scene = scene_of(known(1, "mug", center))
    assert ask(scene, IsPlaced(subject=the("mug"), options=(R.UNDER,))).value is holds
    below = the("objects", places=(Place(relation=R.BELOW),))
    assert ask(scene, Which(thing=below)).object_ids == ((1,) if holds else ())


def test_the_size_of_a_surface_is_what_is_seen_of_it() -> None:
    text = ask(STACK, Where(thing=the("table")), surfaces=(TABLE,)).text
    assert "What is seen of it measures" in text


def test_between_narrows_towards_both_ends() -> None:
    """25 cm beside a way of 1 m is near enough halfway and too far beside its ends."""
    ends = (known(1, "box", (-0.5, 0, 1)), known(2, "ball", (0.5, 0, 1)))
    found = {
        x: ask(
            scene_of(*ends, known(3, "mug", (x, 0.0, 1.25))),
            IsPlaced(subject=the("mug"), options=(R.BETWEEN,), references=(the("box"), the("ball"))),
        ).value
        for x in (0.0, 0.4, -0.4)
    }
    assert found == {0.0: True, 0.4: False, -0.4: False}


def test_the_words_of_a_question_come_to_the_same() -> None:
    def asked(text: str) -> SpatialAnswer:
        return answer(STACK, SpatialQuery(text=text, surfaces=(TABLE, FLOOR), viewpoint=OPTICAL_T_VIEWER))

    assert asked("Is the mug on the table?").value is True
    assert asked("Is the table under the box?").value is True
    assert asked("Is the bowl in the table?").value is False
    assert asked("What is above the book?").object_ids == (2, 3)
    assert asked("Is the mug on me?").status is StatusCode.NOT_UNDERSTOOD
