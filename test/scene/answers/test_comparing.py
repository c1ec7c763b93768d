"""More, less, most, about the same; orders."""

from __future__ import annotations

import pytest

from n3d_ros.errors import StatusCode
from n3d_ros.scene.questions.question import Choose, Compare, Extreme, Order, Quantity, Sense, Which
from n3d_ros.scene.spatial_answer import ValueType
from scene.answers.asking import ask, known, scene_of, the

Q = Quantity
MUG, BOX, BALL = the("mug"), the("box"), the("ball")
SCENE = scene_of(
    known(1, "mug", (0.0, 0.0, 1.5), (0.1, 0.2, 0.1)),
    known(2, "box", (0.3, 0.1, 1.0), (0.3, 0.1, 0.1)),
    known(3, "ball", (0.4, -0.1, 1.2), (0.12, 0.12, 0.12)),
)


def uncertain(mug_m: float, box_m: float, stddev_m: float = 0.005):  # type: ignore[no-untyped-def]
    """Two things of these heights, each off by 5 mm: two standard deviations of the difference are 14 mm."""
    return scene_of(
        known(1, "mug", (0.0, 0.0, 1.0), (0.1, mug_m, 0.1), stddev_m=stddev_m),
        known(2, "box", (0.5, 0.0, 1.0), (0.1, box_m, 0.1), stddev_m=stddev_m),
    )


@pytest.mark.parametrize(
    ("quantity", "sense", "expected"),
    [
        (Q.HEIGHT, Sense.MORE, True),  # 20 and 10 cm
        (Q.HEIGHT, Sense.LESS, False),
        (Q.HEIGHT, Sense.EQUAL, False),
        (Q.WIDTH, Sense.LESS, True),  # 10 and 30 cm
        (Q.DEPTH, Sense.EQUAL, True),  # 10 and 10 cm
        (Q.DEPTH, Sense.MORE, False),
        (Q.VOLUME, Sense.LESS, True),  # 2 and 3 litres
        (Q.FOOTPRINT, Sense.LESS, True),
        (Q.LENGTH, Sense.LESS, True),
        (Q.THICKNESS, Sense.EQUAL, True),
        (Q.DISTANCE, Sense.MORE, True),  # 1.5 and 1.0 m ahead
        (Q.ELEVATION, Sense.MORE, True),  # the box lies 10 cm lower
        (Q.LATERAL, Sense.LESS, True),
    ],
)
def test_two_things_are_compared_by_their_measures(quantity: Quantity, sense: Sense, expected: bool) -> None:
    got = ask(SCENE, Compare(subject=MUG, quantity=quantity, sense=sense, other=BOX))
    assert (got.status, got.value_type, got.value) == (StatusCode.OK, ValueType.BOOLEAN, expected)
    assert set(got.object_ids) == {1, 2}
    denied = ask(SCENE, Compare(subject=MUG, quantity=quantity, sense=sense, other=BOX, negated=True))
    assert denied.value is not expected


def test_closer_to_a_third_thing_measures_from_there() -> None:
    """From the ball: the box is 0.1, 0.2 and 0.2 m away, 0.3 m; the mug 0.4, 0.1 and 0.3 m, 0.51 m."""
    intent = Compare(subject=BOX, quantity=Q.DISTANCE, sense=Sense.LESS, other=MUG, reference=BALL)
    got = ask(SCENE, intent)
    assert got.value is True
    assert got.text == "Yes, the box 2 is closer to the ball 3 than the mug 1: 30 cm against 51 cm."
    extreme = Extreme(quantity=Q.DISTANCE, most=False, reference=BALL)
    assert ask(SCENE, Choose(candidates=(MUG, BOX), extreme=extreme)).value == "box 2"


def test_a_bound_and_a_multiple_are_compared_with_too() -> None:
    for bound, expected in ((0.19, True), (0.21, False)):
        assert ask(SCENE, Compare(subject=MUG, quantity=Q.HEIGHT, sense=Sense.MORE, bound=bound)).value is expected
    for factor, expected in ((1.9, True), (2.1, False)):
        intent = Compare(subject=MUG, quantity=Q.HEIGHT, sense=Sense.MORE, other=BOX, factor=factor)
        assert ask(SCENE, intent).value is expected
    twice = Compare(subject=MUG, quantity=Q.HEIGHT, sense=Sense.EQUAL, other=BOX, factor=2.0)
    assert ask(SCENE, twice).value is True


def test_compared_with_everything_else() -> None:
    for thing, expected in ((MUG, True), (BALL, False)):
        assert ask(SCENE, Compare(subject=thing, quantity=Q.HEIGHT, sense=Sense.MORE)).value is expected


@pytest.mark.parametrize(("mug_m", "same"), [(0.100, True), (0.113, True), (0.116, False)])
def test_a_difference_within_the_error_is_about_the_same(mug_m: float, same: bool) -> None:
    scene = uncertain(mug_m, 0.100)
    more, equal, less = (
        ask(scene, Compare(subject=MUG, quantity=Q.HEIGHT, sense=sense, other=BOX))
        for sense in (Sense.MORE, Sense.EQUAL, Sense.LESS)
    )
    assert (more.value, equal.value, less.value) == (not same, same, False)
    assert ("about the same height" in more.text) is same
    assert any("2 standard deviations are 0.014 m" in step for step in more.steps)


def test_which_is_taller_is_about_the_same_when_the_error_does_not_tell() -> None:
    intent = Choose(candidates=(MUG, BOX), extreme=Extreme(quantity=Q.HEIGHT, most=True))
    tied, clear = ask(uncertain(0.11, 0.10), intent), ask(uncertain(0.12, 0.10), intent)
    assert (tied.value, set(tied.object_ids)) == ("about the same", {1, 2})
    assert (clear.value, clear.object_ids) == ("mug 1", (1,))
    assert clear.text == "The mug 1 is taller: 12 cm against 10 cm."


@pytest.mark.parametrize(
    ("quantity", "most", "rank", "name"),
    [
        (Q.HEIGHT, True, 1, "mug 1"),
        (Q.HEIGHT, True, 2, "ball 3"),
        (Q.HEIGHT, False, 1, "box 2"),
        (Q.VOLUME, True, 1, "box 2"),
        (Q.VOLUME, False, 1, "ball 3"),
        (Q.DISTANCE, False, 1, "box 2"),
        (Q.DISTANCE, True, 1, "mug 1"),
        (Q.LATERAL, False, 1, "mug 1"),
        (Q.LATERAL, True, 1, "ball 3"),
        (Q.ELEVATION, True, 1, "ball 3"),
    ],
)
def test_the_extreme_of_all_objects_is_named(quantity: Quantity, most: bool, rank: int, name: str) -> None:
    extreme = Extreme(quantity=quantity, most=most, rank=rank)
    got = ask(SCENE, Which(thing=the("object", extreme=extreme), is_single=True))
    assert (got.status, got.value) == (StatusCode.OK, name)


def test_the_two_nearest_are_named_in_order() -> None:
    extreme = Extreme(quantity=Q.DISTANCE, most=False, count=2)
    assert ask(SCENE, Which(thing=the("objects", extreme=extreme))).object_ids == (2, 3)


def test_an_extreme_that_is_tied_says_so() -> None:
    extreme = Extreme(quantity=Q.HEIGHT, most=True)
    got = ask(uncertain(0.11, 0.10), Which(thing=the("object", extreme=extreme), is_single=True))
    assert (got.value, set(got.object_ids)) == ("about the same", {1, 2})


@pytest.mark.parametrize(
    ("quantity", "ascending", "ids"),
    [
        (Q.DISTANCE, True, (2, 3, 1)),
        (Q.DISTANCE, False, (1, 3, 2)),
        (Q.HEIGHT, True, (2, 3, 1)),
        (Q.LATERAL, True, (1, 2, 3)),
    ],
)
def test_things_are_put_in_order(quantity: Quantity, ascending: bool, ids: tuple[int, ...]) -> None:
    for things in ((the("objects"),), (MUG, BOX, BALL)):
        got = ask(SCENE, Order(things=things, quantity=quantity, ascending=ascending))
        assert got.object_ids == ids
        assert got.value_type is ValueType.TEXT


def test_an_order_from_a_thing_leaves_that_thing_out() -> None:
    assert ask(SCENE, Order(things=(the("objects"),), quantity=Q.DISTANCE, reference=MUG)).object_ids == (3, 2)


# --- none, any, at least


@pytest.mark.parametrize(("sense", "bound", "expected"), [(Sense.MORE, 0.2, True), (Sense.LESS, 0.2, True)])
def test_at_least_and_at_most_hold_for_equality(sense: Sense, bound: float, expected: bool) -> None:
    intent = Compare(subject=MUG, quantity=Q.HEIGHT, sense=sense, bound=bound, inclusive=True)
    assert ask(SCENE, intent).value is expected
    assert ask(SCENE, Compare(subject=MUG, quantity=Q.HEIGHT, sense=sense, bound=bound)).value is False


def test_anything_is_not_compared_with_itself() -> None:
    """The mug is the tallest: nothing is taller, though the mug itself is among "anything"."""
    anything = the("object", is_any=True)
    got = ask(SCENE, Compare(subject=anything, quantity=Q.HEIGHT, sense=Sense.MORE, other=MUG))
    assert got.value is False
    assert got.text.startswith("No, none of 2 objects is.")
    assert ask(SCENE, Compare(subject=anything, quantity=Q.HEIGHT, sense=Sense.MORE, other=BALL)).value is True
    assert ask(SCENE, Compare(subject=MUG, quantity=Q.HEIGHT, sense=Sense.MORE, other=MUG)).value is False


@pytest.mark.parametrize(("bound", "expected"), [(0.15, False), (0.25, True)])
def test_none_of_them_is_the_denial_of_any(bound: float, expected: bool) -> None:
    nothing = Compare(
        subject=the("object", is_any=True), quantity=Q.HEIGHT, sense=Sense.MORE, bound=bound, negated=True
    )
    assert ask(SCENE, nothing).value is expected


def test_a_yes_names_only_what_speaks_for_it() -> None:
    got = ask(SCENE, Compare(subject=the("object", is_any=True), quantity=Q.HEIGHT, sense=Sense.MORE, other=BALL))
    assert got.text == "Yes, the mug 1 is taller than the ball 3: 20 cm against 12 cm."


def test_a_tie_tells_every_measure() -> None:
    intent = Choose(candidates=(MUG, BOX), extreme=Extreme(quantity=Q.HEIGHT, most=True))
    assert ask(uncertain(0.11, 0.10), intent).text.endswith("have about the same height: 11 cm and 10 cm.")


def test_the_two_tallest_are_told_with_their_heights() -> None:
    extreme = Extreme(quantity=Q.HEIGHT, most=True, count=2)
    got = ask(SCENE, Which(thing=the("objects", extreme=extreme)))
    assert got.text == "The mug 1 (20 cm) and the ball 3 (12 cm) are the tallest."


def test_the_free_space_between_two_things_is_compared_with_a_bound() -> None:
    """10 cm beside it and 40 cm before it: 41 cm."""
    intent = Compare(subject=BOX, quantity=Q.GAP, sense=Sense.MORE, bound=0.6, reference=MUG)
    text = ask(SCENE, intent).text
    assert text == "No, the free space between the box 2 and the mug 1 is 41 cm, less than 60 cm."
