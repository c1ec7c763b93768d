"""Which objects words mean: names, numbers, places, bounds, extremes, others; several meanings and none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from n3d_ros.errors import StatusCode
from n3d_ros.scene.answers.context import MAX_WORK, TOO_MUCH
from n3d_ros.scene.answers.places import stands_at
from n3d_ros.scene.questions.question import (
    Choose,
    Compare,
    Count,
    Direction,
    Exists,
    Extreme,
    IsColored,
    IsPlaced,
    Measure,
    Place,
    Quantity,
    Relation,
    Sense,
    SizeBound,
    Thing,
    View,
    Viewpoint,
    Where,
    Which,
)
from n3d_ros.scene.scene import Scene
from scene.answers.asking import SECOND, STAMP, ask, known, scene_of, the

Q, R = Quantity, Relation
SCENE = scene_of(
    known(1, "red box", (-0.4, 0.0, 1.0), (0.1, 0.1, 0.1), color="red", shape="box"),
    known(2, "red box", (0.4, 0.0, 1.2), (0.2, 0.2, 0.2), color="red", shape="box"),
    known(3, "blue ball", (0.0, 0.0, 0.8), (0.1, 0.1, 0.1), color="blue", shape="ball"),
    known(7, "mug", (0.1, 0.0, 1.4), (0.08, 0.1, 0.08), color="white"),
)
BALL, MUG, BOX = the("blue ball"), the("mug"), the("red box")


def ids(thing: Thing) -> tuple[int, ...]:
    return ask(SCENE, Which(thing=thing)).object_ids


def test_places_bounds_and_extremes_choose_in_that_order() -> None:
    left = Place(relation=R.LEFT, references=(BALL,))
    tall = SizeBound(quantity=Q.HEIGHT, more=True, bound=0.15)
    assert ids(the("object", places=(left,))) == (1,)
    assert ids(the("box", bounds=(tall,))) == (2,)
    assert ids(the("box", bounds=(tall,), places=(left,))) == ()
    assert ids(the("box", extreme=Extreme(quantity=Q.DISTANCE, most=False, reference=MUG))) == (2,)
    larger = SizeBound(quantity=Q.VOLUME, more=True, reference=BALL)
    assert ids(the("object", bounds=(larger,))) == (2,)
    near = SizeBound(quantity=Q.DISTANCE, more=False, bound=1.1)
    assert ids(the("object", bounds=(near,))) == (1, 3)


def test_a_number_names_an_object() -> None:
    assert ask(SCENE, Where(thing=the("box", number=2))).object_ids == (2,)
    assert ask(SCENE, Where(thing=the("object", number=7))).object_ids == (7,)
    wrong = ask(SCENE, Where(thing=the("box", number=7)))
    assert wrong.status is StatusCode.NOT_FOUND
    assert "Number 7 is the mug 7." in wrong.text


def test_the_other_box_leaves_out_the_one_named_before() -> None:
    first = the("box", extreme=Extreme(quantity=Q.VOLUME, most=True))
    other = the("box", is_other=True)
    bigger = Compare(subject=first, quantity=Q.VOLUME, sense=Sense.MORE, other=other)
    got = ask(SCENE, bigger)
    assert (got.value, got.object_ids) == (True, (2, 1))
    named = the("box", is_other=True, others_of=the("box", number=1))
    assert ask(SCENE, Where(thing=named)).object_ids == (2,)


def test_the_box_when_there_are_two_is_answered_for_each() -> None:
    differ = ask(SCENE, IsPlaced(subject=BOX, options=(R.LEFT,), references=(BALL,)))
    assert (differ.status, differ.value, differ.object_ids) == (StatusCode.AMBIGUOUS, None, (1, 2))
    assert differ.text.startswith('2 objects match "red box". Yes, the red box 1')
    assert "No, the red box 2" in differ.text


def test_when_each_that_could_be_meant_gives_the_same_answer_that_is_the_answer() -> None:
    same = ask(SCENE, IsPlaced(subject=BOX, options=(R.BEHIND,), references=(BALL,)))
    assert (same.status, same.value) == (StatusCode.OK, True)
    assert same.text.startswith('2 objects match "red box". The answer is the same for each: yes.')
    assert {1, 2} <= set(same.object_ids)


def test_a_reference_with_several_meanings_is_told_with_each_answer() -> None:
    near = the("object", places=(Place(relation=R.RIGHT, references=(BOX,)),))
    got = ask(SCENE, Count(thing=near))
    assert (got.status, got.object_ids) == (StatusCode.AMBIGUOUS, (1, 2))
    assert "To the right of the red box 1: 3 objects match" in got.text


def test_a_reference_that_something_fits_goes_before_one_that_nothing_fits() -> None:
    """The mug is to the right of one of the two boxes only, so that one is taken to be meant."""
    right = the("mug", places=(Place(relation=R.RIGHT, references=(BOX,)),))
    got = ask(SCENE, Where(thing=right))
    assert (got.status, got.object_ids) == (StatusCode.OK, (7,))


def test_two_definite_things_are_two_objects() -> None:
    boxes = IsPlaced(subject=BOX, options=(R.LEFT,), references=(BOX,))
    got = ask(SCENE, boxes)
    assert got.status is StatusCode.AMBIGUOUS
    assert "red box 1 is 80 cm to the left of the red box 2" in got.text


def test_the_place_where_one_stands_may_have_several_meanings_too() -> None:
    at_box = Viewpoint(view=View.AT_THING, at=BOX)
    got = ask(SCENE, Direction(target=BALL), at_box)
    assert got.status is StatusCode.AMBIGUOUS
    assert "from the red box 1" in got.text
    assert "from the red box 2" in got.text


# --- colours as measured

LIT = scene_of(
    known(1, "table", (0.0, 0.4, 1.5), (1.0, 0.1, 0.8), color="orange"),
    known(2, "mug", (-0.3, 0.0, 1.0), color="blue"),
    known(3, "jug", (0.3, 0.0, 1.2), color=""),
    known(4, "crate", (0.5, 0.0, 1.2), color="red"),
    known(5, "crate", (0.8, 0.0, 1.2), color="orange"),
    known(6, "yellow cup", (0.0, 0.0, 2.0), color="yellow"),
)


def test_the_brown_table_may_measure_orange() -> None:
    got = ask(LIT, Where(thing=the("brown table")))
    assert (got.status, got.object_ids) == (StatusCode.OK, (1,))
    assert any("what looks orange is taken for brown" in note for note in got.steps)
    above = ask(LIT, IsPlaced(subject=the("blue mug"), options=(R.ABOVE,), references=(the("brown table"),)))
    assert (above.status, above.value) == (StatusCode.OK, True)
    assert ask(LIT, Where(thing=the("pink jug"))).object_ids == (3,)  # of no clear colour


def test_a_measured_colour_goes_before_its_shades() -> None:
    assert ask(LIT, Where(thing=the("red crate"))).object_ids == (4,)
    got = ask(LIT, Where(thing=the("brown crate")))  # red and orange are shades of it, both
    assert (got.status, got.object_ids) == (StatusCode.AMBIGUOUS, (4, 5))


def test_a_reference_taken_by_its_shade_is_told_in_a_step() -> None:
    right = Place(relation=R.RIGHT, references=(the("purple mug"),))
    got = ask(LIT, Where(thing=the("jug", places=(right,))))
    assert (got.status, got.object_ids) == (StatusCode.OK, (3,))
    assert sum("what looks blue is taken for purple" in step for step in got.steps) == 1
    at_table = Viewpoint(view=View.AT_THING, at=the("brown table"))
    seen = ask(LIT, Direction(target=the("blue mug")), at_table)
    assert seen.status is StatusCode.OK and any("taken for brown" in step for step in seen.steps)


def test_one_thing_is_not_compared_with_itself_under_the_name_of_its_shade() -> None:
    for intent in (
        Compare(subject=the("purple mug"), quantity=Q.VOLUME, sense=Sense.MORE, other=the("blue mug")),
        Measure(quantity=Q.DISTANCE, thing=the("blue mug"), reference=the("purple mug")),
        IsPlaced(subject=the("purple mug"), options=(R.LEFT,), references=(the("blue mug"),)),
    ):
        got = ask(LIT, intent)
        assert (got.status, got.value) == (StatusCode.NOT_FOUND, None)
        assert got.text.startswith('I see no "purple mug".')
    crates = Compare(subject=the("pink crate"), quantity=Q.VOLUME, sense=Sense.MORE, other=the("red crate"))
    assert set(ask(LIT, crates).object_ids) == {4, 5}  # orange is a shade of pink, too


def test_what_left_is_not_found_in_a_shade_of_it() -> None:
    gone = known(9, "mug", (0.0, 0.0, 1.0), color="purple", stamp_ns=STAMP - 5 * SECOND)
    got = ask(LIT, Where(thing=the("purple mug")), departed=(gone,))
    assert got.status is StatusCode.NOT_FOUND and "I last saw the mug 9" in got.text
    earlier = scene_of(gone, stamp_ns=STAMP - 5 * SECOND)
    assert ask(LIT, Where(thing=the("purple mug")), before=earlier).status is StatusCode.NOT_FOUND
    measured_otherwise = scene_of(replace(gone, id=2), stamp_ns=STAMP - 5 * SECOND)  # the same mug
    assert ask(LIT, Where(thing=the("purple mug")), before=measured_otherwise).object_ids == (2,)


def test_any_purple_mug_and_each_are_taken_as_measured() -> None:
    any_mug, each = the("purple mug", is_any=True), the("purple mug", is_each=True)
    for thing in (any_mug, each):
        right = Place(relation=R.RIGHT, references=(thing,))
        assert ask(LIT, Where(thing=the("jug", places=(right,)))).status is StatusCode.NOT_FOUND


def test_a_number_goes_before_the_colour_of_another() -> None:
    assert ask(LIT, Where(thing=the("pink crate", number=5))).object_ids == (5,)
    assert ask(LIT, Where(thing=the("red crate", number=5))).object_ids == (5,)  # crate 4 measures red


@pytest.mark.parametrize(
    "words", ["red mug", "white table", "orange cup", "brown thing", "brown and yellow table", "red mug 2"]
)
def test_another_colour_is_no_shade(words: str) -> None:
    assert ask(LIT, Where(thing=the(words))).status is StatusCode.NOT_FOUND


def test_whether_there_is_a_brown_table_and_how_many_is_answered_by_what_is_measured() -> None:
    assert ask(LIT, Exists(thing=the("brown table"))).value is False
    assert ask(LIT, Count(thing=the("brown table"))).value == 0


# --- nothing there


def test_nothing_called_so_is_not_found_and_what_is_there_is_said() -> None:
    for intent in (
        Where(thing=the("unicorn")),
        Measure(quantity=Q.HEIGHT, thing=the("unicorn")),
        IsPlaced(subject=MUG, options=(R.LEFT,), references=(the("unicorn"),)),
        Which(thing=the("unicorns")),
    ):
        got = ask(SCENE, intent)
        assert (got.status, got.value) == (StatusCode.NOT_FOUND, None)
        assert 'I see no "unicorn' in got.text
        assert "blue ball 3" in got.text


def test_what_left_the_scene_is_told_with_its_last_place() -> None:
    gone = known(9, "cup", (0.25, 0.0, 1.0), stamp_ns=STAMP - 12 * SECOND)
    got = ask(SCENE, Where(thing=the("cup")), departed=(gone,))
    assert got.status is StatusCode.NOT_FOUND
    assert "I last saw the cup 9 12.0 s ago, 1.00 m ahead of the camera, 0.25 m to the right." in got.text
    assert "I last saw the cup 9" in ask(SCENE, Exists(thing=the("cup", is_any=True)), departed=(gone,)).text


def test_none_is_an_answer_to_how_many_and_is_there() -> None:
    count, there = ask(SCENE, Count(thing=the("unicorns"))), ask(SCENE, Exists(thing=the("unicorn", is_any=True)))
    assert (count.status, count.value) == (StatusCode.OK, 0.0)
    assert (there.status, there.value) == (StatusCode.OK, False)


def test_none_at_that_place_is_not_found_for_the_box_and_none_for_which() -> None:
    above = the("box", places=(Place(relation=R.ABOVE, references=(MUG,)),))
    assert ask(SCENE, Where(thing=above)).status is StatusCode.NOT_FOUND
    listed = ask(SCENE, Which(thing=above))
    assert (listed.status, listed.value, listed.object_ids) == (StatusCode.OK, "none", ())


def test_a_noun_that_nothing_here_is_ever_called_by_is_not_understood() -> None:
    plain = scene_of(known(1, "red box", (0, 0, 1), color="red", shape="box"))
    for intent in (Where(thing=the("elephant")), Count(thing=the("elephants")), Exists(thing=the("elephant"))):
        assert ask(plain, intent, open_vocabulary=False).status is StatusCode.NOT_UNDERSTOOD
        assert ask(plain, intent, open_vocabulary=True).status is not StatusCode.NOT_UNDERSTOOD


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({}, True), ({"at_least": 2}, True), ({"at_least": 3}, False), ({"at_least": 0, "at_most": 1}, False),
     ({"at_least": 2, "at_most": 2}, True), ({"negated": True}, False)],
)  # fmt: skip
def test_are_there_so_many_counts(changes: dict[str, object], expected: bool) -> None:
    assert ask(SCENE, Exists(thing=the("red boxes"), **changes)).value is expected  # type: ignore[arg-type]


# --- many meanings


def crowd(count: int) -> Scene:
    """Equal boxes 12 cm apart in rows of eight, so that all stand next to others."""
    return scene_of(*(known(n + 1, "box", (n % 8 * 0.12, n // 8 * -0.12, 1.0)) for n in range(count)))


def nested(relation: Relation) -> Thing:
    return the("box", places=(Place(relation=relation, references=(the("box"),)),))


def test_more_meanings_than_are_followed_up_are_never_answered_for_sure() -> None:
    """Of 64 boxes each is as large as the others, also the 48 that are not tried."""
    got = ask(crowd(64), Compare(subject=the("box"), quantity=Q.HEIGHT, sense=Sense.MORE, other=the("box")))
    assert got.status is StatusCode.AMBIGUOUS
    assert got.text.startswith('64 objects match "box". There are more meanings than the 16 that I followed up')


def test_nested_places_of_many_equal_things_cost_bounded_work(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = list[Relation]()
    monkeypatch.setattr(
        "n3d_ros.scene.answers.resolve.stands_at",
        lambda place, *args, **kwargs: tried.append(place.relation) or stands_at(place, *args, **kwargs),
    )
    places = [nested(one) for one in (R.NEXT_TO, R.LEFT, R.RIGHT)]
    deep = the("box", places=(Place(relation=R.NEXT_TO, references=(places[0],)),))
    for things in (tuple(places), (deep, *places)):
        intent = Choose(candidates=things, extreme=Extreme(quantity=Q.DISTANCE, most=False, reference=deep))
        assert ask(crowd(64), intent).status is StatusCode.AMBIGUOUS
    assert len(tried) <= 2 * MAX_WORK


def test_work_beyond_the_bound_is_refused() -> None:
    boxes = Compare(subject=the("boxes"), quantity=Q.HEIGHT, sense=Sense.MORE, other=the("boxes"))
    assert ask(crowd(64), boxes).status is StatusCode.OK
    refused = ask(crowd(90), boxes)
    assert (refused.status, refused.text) == (StatusCode.AMBIGUOUS, TOO_MUCH)


def test_next_to_a_box_leaves_out_only_the_box_itself() -> None:
    near = the("boxes", places=(Place(relation=R.NEXT_TO, references=(the("box", is_any=True),)),))
    assert ask(crowd(3), Count(thing=near)).value == 3


def test_how_far_many_things_are_apart_names_the_nearest_and_the_farthest_pair() -> None:
    boxes = the("boxes")
    got = ask(crowd(4), Measure(quantity=Q.DISTANCE, thing=boxes, reference=boxes))
    assert got.text.startswith("Nearest to each other are the box 1 and the box 2, 12 cm apart; farthest apart are")
    assert got.text.endswith("the box 1 and the box 4, 36 cm.")


BIG = Extreme(quantity=Q.VOLUME, most=True)


def test_the_big_one_is_the_one_that_stands_out() -> None:
    assert ask(SCENE, Where(thing=the("big red box", stands_out=BIG))).object_ids == (2,)
    small = replace(BIG, most=False)
    got = ask(SCENE, Where(thing=the("small red box", stands_out=small)))
    assert (got.object_ids, "Left out" in got.text) == ((1,), False)
    assert ask(SCENE, Where(thing=the("big mug", stands_out=BIG))).object_ids == (7,)


@pytest.mark.parametrize(("edge_m", "status"), [(0.105, StatusCode.AMBIGUOUS), (0.12, StatusCode.OK)])
def test_of_two_about_as_big_none_is_the_big_one(edge_m: float, status: StatusCode) -> None:
    scene = scene_of(known(1, "box", (0, 0, 1)), known(2, "box", (1, 0, 1), (edge_m,) * 3))
    assert ask(scene, Where(thing=the("big box", stands_out=BIG))).status is status


# --- every, any: what decides is told


def test_everything_left_of_a_thing_does_not_ask_about_the_thing_itself() -> None:
    everything = the("object", is_each=True)
    right_of_box = IsPlaced(subject=everything, options=(R.RIGHT,), references=(the("box", number=1),))
    assert ask(SCENE, right_of_box).value is True
    left_of_mug = IsPlaced(subject=everything, options=(R.LEFT,), references=(MUG,))
    got = ask(SCENE, left_of_mug)
    assert (got.value, got.text) == (False, "No, the red box 2 is 30 cm to the right of the mug 7.")


def test_one_of_them_is_told_by_those_that_are() -> None:
    blue = ask(SCENE, IsColored(subject=the("object", is_any=True), colors=("blue",)))
    assert (blue.value, blue.text) == (True, "Yes, the blue ball 3 is blue.")
    red = ask(SCENE, IsColored(subject=the("boxes"), colors=("blue",)))
    assert (red.value, red.text) == (False, "No, the red box 1 is red. The red box 2 is red.")
