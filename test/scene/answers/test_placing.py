"""Left and right, front and behind, above and below, on, under, inside, next to, between."""

from __future__ import annotations

import math

import numpy as np
import pytest

from n3d_ros.errors import StatusCode
from n3d_ros.geometry import RigidTransform
from n3d_ros.geometry.transforms import rotation_about_axis
from n3d_ros.scene.questions.question import (
    ChoosePlaced,
    Exists,
    IsPlaced,
    Place,
    Relation,
    Side,
    View,
    Viewpoint,
    Which,
)
from n3d_ros.scene.spatial_answer import SpatialAnswer
from scene.answers.asking import ask, known, level_table, scene_of, the

R = Relation
Point = tuple[float, float, float]
MUG, BOX = the("mug"), the("box")
OPPOSITE = Viewpoint(view=View.OPPOSITE)
TRIED = (R.LEFT, R.RIGHT, R.FRONT, R.BEHIND, R.ABOVE, R.BELOW, R.ON, R.UNDER, R.INSIDE, R.NEXT_TO)


def placed(relation: Relation, mug: Point, seen: Viewpoint | None = None, stddev_m: float = 0.0) -> SpatialAnswer:
    """Whether a mug there stands so to a box one metre ahead of the camera."""
    scene = scene_of(known(1, "mug", mug, stddev_m=stddev_m), known(2, "box", (0.0, 0.0, 1.0), stddev_m=stddev_m))
    return ask(scene, IsPlaced(subject=MUG, options=(relation,), references=(BOX,)), seen)


@pytest.mark.parametrize(
    ("mug", "holding"),
    [
        ((-0.3, 0.0, 1.0), {R.LEFT}),
        ((0.3, 0.0, 1.0), {R.RIGHT}),
        ((0.0, 0.0, 0.6), {R.FRONT}),
        ((0.0, 0.0, 1.4), {R.BEHIND}),
        ((0.0, -0.3, 1.0), {R.ABOVE}),  # optical y runs down
        ((0.0, 0.3, 1.0), {R.BELOW, R.UNDER}),
        ((0.2, -0.15, 1.3), {R.RIGHT, R.ABOVE, R.BEHIND}),
        ((0.0, -0.1, 1.0), {R.ABOVE, R.ON}),
        ((0.15, 0.0, 1.0), {R.RIGHT, R.NEXT_TO}),
    ],
)
def test_relations_of_two_boxes_follow_from_their_centres_and_faces(mug: Point, holding: set[Relation]) -> None:
    assert {relation for relation in TRIED if placed(relation, mug).value} == holding


def test_someone_facing_the_camera_sees_left_and_right_front_and_behind_exchanged() -> None:
    mug = (-0.3, -0.2, 1.4)
    assert {one for one in TRIED if placed(one, mug).value} == {R.LEFT, R.BEHIND, R.ABOVE}
    assert {one for one in TRIED if placed(one, mug, OPPOSITE).value} == {R.RIGHT, R.FRONT, R.ABOVE}


@pytest.mark.parametrize(("degrees", "is_left"), [(0, True), (90, True), (180, False), (270, False)])
def test_left_of_uses_the_viewpoint(degrees: float, is_left: bool) -> None:
    scene = scene_of(known(1, "mug", (0.0, 1.0, 0.0)), known(2, "box", (1.0, 0.0, 0.0)), frame_id="map")
    viewer = RigidTransform(rotation=rotation_about_axis([0, 0, 1], math.radians(degrees)), translation=np.zeros(3))
    intent = IsPlaced(subject=MUG, options=(R.LEFT,), references=(BOX,))
    assert ask(scene, intent, viewpoint=viewer, viewer_is_camera=False).value is is_left


def test_left_runs_level_when_the_camera_is_rolled() -> None:
    """Rolled by 90 degrees to the right, the image's left is up; what lies higher is then not left of anything."""
    rolled = RigidTransform(rotation=rotation_about_axis([0, 0, 1], math.pi / 6), translation=np.zeros(3))
    mug, box = known(1, "mug", (-0.02, -0.2, 1.0)), known(2, "box", (0.0, 0.0, 1.0))
    scene = scene_of(mug.transformed(rolled.inverse()), box.transformed(rolled.inverse()))
    up = rolled.inverse().rotate([0.0, -1.0, 0.0])
    intent = IsPlaced(subject=MUG, options=(R.LEFT,), references=(BOX,))
    assert "2.0 cm to the left" in ask(scene, intent, up=up).text
    assert "2.0 cm to the left" not in ask(scene, intent).text


def test_sides_without_anyone_who_looks_are_refused_and_heights_are_not() -> None:
    scene = scene_of(known(1, "mug", (0, 0, 1)), known(2, "box", (1, 0, 0)), frame_id="map")
    refused = ask(scene, IsPlaced(subject=MUG, options=(R.LEFT,), references=(BOX,)))
    assert refused.status is StatusCode.INVALID_REQUEST
    assert "viewpoint" in refused.text
    assert ask(scene, IsPlaced(subject=MUG, options=(R.ABOVE,), references=(BOX,))).value is True


def test_an_offset_within_the_error_is_neither_left_nor_right() -> None:
    """2 cm with 1 cm on each side: two standard deviations of the difference are 2.8 cm."""
    for relation in (R.LEFT, R.RIGHT):
        got = placed(relation, (-0.02, 0.0, 1.0), stddev_m=0.01)
        assert (got.status, got.value) == (StatusCode.OK, False)
        assert "about the same place" in got.text
    assert placed(R.LEFT, (-0.03, 0.0, 1.0), stddev_m=0.01).value is True
    assert any("0.030 m +- 0.014 m" in step for step in placed(R.LEFT, (-0.03, 0.0, 1.0), stddev_m=0.01).steps)


def test_left_or_right_is_answered_with_the_side() -> None:
    scene = scene_of(known(1, "mug", (0.2, 0.0, 1.0)), known(2, "box", (0.0, 0.0, 1.0)))
    got = ask(scene, IsPlaced(subject=MUG, options=(R.LEFT, R.RIGHT), references=(BOX,)))
    assert (got.value, got.text) == ("right", "The mug 1 is 20 cm to the right of the box 2.")


@pytest.mark.parametrize(
    ("relation", "center", "holds"),
    [(R.LEFT, (-0.1, 0, 1), True), (R.RIGHT, (-0.1, 0, 1), False), (R.FRONT, (0, 0, 1), True),
     (R.BEHIND, (0, 0, -1), True), (R.ABOVE, (0, -0.3, 1), True), (R.NEXT_TO, (0, 0, 0.5), True),
     (R.NEXT_TO, (0, 0, 0.6), False)],
)  # fmt: skip
def test_seen_from_the_viewers_own_place_front_is_ahead(relation: Relation, center: Point, holds: bool) -> None:
    assert ask(scene_of(known(1, "mug", center)), IsPlaced(subject=MUG, options=(relation,))).value is holds


# --- touching


def test_what_lies_in_a_bowl_is_inside_it_and_not_next_to_it() -> None:
    bowl, apple = known(1, "bowl", (0, 0, 1), (0.2, 0.1, 0.2)), known(2, "apple", (0, -0.02, 1), (0.08, 0.08, 0.08))
    scene = scene_of(bowl, apple)
    asked = {
        relation: ask(scene, IsPlaced(subject=the("apple"), options=(relation,), references=(the("bowl"),))).value
        for relation in (R.INSIDE, R.NEXT_TO, R.ON)
    }
    assert asked == {R.INSIDE: True, R.NEXT_TO: False, R.ON: False}
    assert ask(scene, IsPlaced(subject=the("bowl"), options=(R.INSIDE,), references=(the("apple"),))).value is False


def test_what_lies_in_a_bowl_is_on_it_too_when_it_is_known_to_be_one() -> None:
    bowl = known(1, "bowl", (0, 0, 1), (0.2, 0.1, 0.2), shape="bowl")
    scene = scene_of(bowl, known(2, "apple", (0, -0.02, 1), (0.08, 0.08, 0.08)))
    on = the("object", places=(Place(relation=R.ON, references=(the("bowl"),)),))
    assert ask(scene, Which(thing=on)).object_ids == (2,)
    assert ask(scene, Exists(thing=on, negated=True)).value is False


def test_on_the_floor_is_only_what_stands_on_it_itself() -> None:
    """The vase on the box is not on the floor, though on a table it would be on the table."""
    scene = scene_of(known(1, "box", (0, 0.25, 1)), known(2, "vase", (0, 0.15, 1)))
    for kind, ids in (("floor", (1,)), ("table", (1, 2))):
        on = the("object", places=(Place(relation=R.ON, references=(the(kind),)),))
        assert ask(scene, Which(thing=on), surfaces=(level_table(kind=kind),)).object_ids == ids


def test_a_floor_lamp_is_no_floor_and_a_coffee_table_is_a_table() -> None:
    scene = scene_of(
        known(1, "floor lamp", (0, -0.5, 1), (0.2, 1.6, 0.2)),
        known(2, "coffee table", (0.6, 0.05, 1), (0.5, 0.5, 0.5)),
        known(3, "vase", (0.6, -0.3, 1), (0.1, 0.2, 0.1)),
    )

    def on(words: str) -> tuple[int, ...]:
        place = Place(relation=R.ON, references=(the(words),))
        return ask(scene, Which(thing=the("object", places=(place,))), surfaces=(level_table(kind="floor"),)).object_ids

    assert (on("floor"), on("table"), on("lamp")) == ((1, 2), (3,), ())


def test_on_the_table_is_what_rests_there_and_what_rests_on_that() -> None:
    """The table is 30 cm below the camera: a 10 cm body that rests on it has its centre at 25 cm."""
    scene = scene_of(
        known(1, "book", (0.0, 0.28, 1.0), (0.3, 0.04, 0.3)),
        known(2, "mug", (0.0, 0.21, 1.0)),
        known(3, "ball", (0.5, 0.25, 1.0)),
        known(4, "lamp", (0.5, 0.0, 1.0)),
        known(5, "box", (3.0, 0.25, 1.0)),
        known(6, "shoe", (0.5, 0.5, 1.0)),
    )
    table = (level_table(),)
    on = the("object", places=(Place(relation=R.ON, references=(the("table"),)),))
    under = the("object", places=(Place(relation=R.UNDER, references=(the("table"),)),))
    assert ask(scene, Which(thing=on), surfaces=table).object_ids == (1, 2, 3)
    assert ask(scene, Which(thing=under), surfaces=table).object_ids == (6,)
    below_mug = the("object", places=(Place(relation=R.UNDER, references=(MUG,)),))
    assert ask(scene, Which(thing=below_mug), surfaces=table).object_ids == (1,)
    below_book = the("object", places=(Place(relation=R.UNDER, references=(the("book"),)),))
    assert ask(scene, Which(thing=below_book), surfaces=table).value == "table"


def test_without_a_table_in_the_image_nothing_is_said_to_be_on_it() -> None:
    on = the("object", places=(Place(relation=R.ON, references=(the("table"),)),))
    got = ask(scene_of(known(1, "mug", (0, 0, 1))), Exists(thing=on))
    assert got.status is StatusCode.NOT_FOUND
    assert got.text.startswith('I see no "table".')


@pytest.mark.parametrize(
    ("center", "holds"),
    [((0.0, 0.0, 1.0), True), ((0.3, 0.0, 1.0), True), ((0.0, 0.0, 1.3), True), ((0.0, 0.0, 1.6), False),
     ((0.7, 0.0, 1.0), False)],
)  # fmt: skip
def test_between_means_along_the_way_and_not_far_beside_it(center: Point, holds: bool) -> None:
    """The way is 1 m long, so a third of a metre beside it still counts."""
    scene = scene_of(known(1, "mug", center), known(2, "box", (-0.5, 0, 1)), known(3, "ball", (0.5, 0, 1)))
    intent = IsPlaced(subject=MUG, options=(R.BETWEEN,), references=(BOX, the("ball")))
    assert ask(scene, intent).value is holds


def test_between_the_boxes_takes_a_plural() -> None:
    scene = scene_of(known(1, "mug", (0, 0, 1)), known(2, "box", (-0.5, 0, 1)), known(3, "box", (0.5, 0, 1)))
    assert ask(scene, IsPlaced(subject=MUG, options=(R.BETWEEN,), references=(the("boxes"),))).value is True


def test_next_to_depends_on_the_free_space_and_the_size() -> None:
    small = scene_of(known(1, "mug", (0.25, 0, 1)), known(2, "box", (0, 0, 1)))  # 15 cm apart, bodies of 10 cm
    large = scene_of(known(1, "mug", (0.40, 0, 1)), known(2, "box", (0, 0, 1), (0.4, 0.1, 0.1)))  # the same gap
    intent = IsPlaced(subject=MUG, options=(R.NEXT_TO,), references=(BOX,))
    assert (ask(small, intent).value, ask(large, intent).value) == (False, True)
    assert any("0.150 m of free space" in step for step in ask(small, intent).steps)


def test_within_30_cm_counts_between_the_centres() -> None:
    scene = scene_of(known(1, "mug", (0.29, 0, 1)), known(2, "box", (0, 0, 1)), known(3, "ball", (-0.31, 0, 1)))
    near = the("object", places=(Place(relation=R.NEXT_TO, references=(BOX,), within_m=0.3),))
    assert ask(scene, Which(thing=near)).object_ids == (1,)


# --- several


def test_boxes_left_of_the_mug_means_all_and_a_box_means_any() -> None:
    scene = scene_of(known(1, "box", (-0.2, 0, 1)), known(2, "box", (0.2, 0, 1)), known(3, "mug", (0, 0, 1)))
    boxes, a_box = the("boxes"), the("box", is_any=True)
    for relation, subject, reference, expected in (
        (R.LEFT, boxes, MUG, False),
        (R.LEFT, a_box, MUG, True),
        (R.LEFT, MUG, a_box, True),
        (R.ABOVE, a_box, MUG, False),
    ):
        got = ask(scene, IsPlaced(subject=subject, options=(relation,), references=(reference,)))
        assert (got.status, got.value) == (StatusCode.OK, expected)


def test_not_left_of_turns_the_answer_around() -> None:
    scene = scene_of(known(1, "mug", (0.2, 0.0, 1.0)), known(2, "box", (0.0, 0.0, 1.0)))
    got = ask(scene, IsPlaced(subject=MUG, options=(R.LEFT,), references=(BOX,), negated=True))
    assert (got.value, got.text) == (True, "Yes, the mug 1 is 20 cm to the right of the box 2.")


@pytest.mark.parametrize(
    ("relation", "name"), [(R.LEFT, "mug 1"), (R.RIGHT, "box 2"), (R.FRONT, "box 2"), (R.BEHIND, "mug 1")]
)
def test_which_is_further_left_is_answered_by_name(relation: Relation, name: str) -> None:
    scene = scene_of(known(1, "mug", (-0.2, 0.0, 1.5)), known(2, "box", (0.0, 0.0, 1.0)))
    assert ask(scene, ChoosePlaced(candidates=(MUG, BOX), relation=relation)).value == name


def test_which_of_two_is_behind_the_box_names_the_one_or_both_or_neither() -> None:
    scene = scene_of(known(1, "mug", (0, 0, 1.5)), known(2, "box", (0, 0, 1.0)), known(3, "ball", (0, 0, 0.8)))
    both = ChoosePlaced(candidates=(MUG, the("ball")), relation=R.BEHIND, reference=BOX)
    assert ask(scene, both).value == "mug 1"
    neither = ChoosePlaced(candidates=(MUG, the("ball")), relation=R.LEFT, reference=BOX)
    assert ask(scene, neither).value == "neither"


@pytest.mark.parametrize(
    ("mug", "side"),
    [((-0.3, 0, 1.1), "left"), ((0.3, 0, 1.1), "right"), ((0.1, 0, 0.6), "front"), ((0.1, 0, 1.4), "behind"),
     ((0.1, -0.4, 1.0), "above"), ((0.1, 0.4, 1.0), "below"), ((0, -0.1, 1), "on")],
)  # fmt: skip
def test_on_which_side_is_the_side_with_the_largest_offset(mug: Point, side: str) -> None:
    scene = scene_of(known(1, "mug", mug), known(2, "box", (0, 0, 1)))
    assert ask(scene, Side(subject=MUG, reference=BOX)).value == side
