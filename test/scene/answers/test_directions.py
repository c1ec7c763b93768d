"""Clock directions and places told from somewhere."""

from __future__ import annotations

import math

import numpy as np
import pytest

from n3d_ros.geometry import RigidTransform
from n3d_ros.geometry.transforms import rotation_about_axis
from n3d_ros.scene.questions.question import Direction, IsPlaced, Relation, View, Viewpoint, Where
from n3d_ros.scene.spatial_answer import ValueType
from scene.answers.asking import OPTICAL_T_VIEWER, ask, known, scene_of, the

MUG, BOX = the("mug"), the("box")


@pytest.mark.parametrize(
    ("right_m", "ahead_m", "hour"),
    [  # by hand: the angle to the left, in whole steps of 30 degrees, taken off 12 (spec n3d_vlm c)
        (-0.1, 1.0, 12), (0.0, 1.0, 12), (-0.57, 1.0, 12), (-1.0, 1.0, 11), (-1.0, 0.1, 10), (-1.0, -0.1, 9),
        (-1.0, -1.0, 8), (-0.1, -1.0, 7), (0.1, -1.0, 6), (1.0, -1.0, 5), (1.0, -0.1, 4), (1.0, 0.1, 3),
        (1.0, 1.0, 2), (0.1, 1.0, 1), (-1.0, 0.0, 9), (0.0, -1.0, 6), (1.0, 0.0, 3),
    ],
)  # fmt: skip
def test_the_clock_hour_follows_the_rule_of_the_paper(right_m: float, ahead_m: float, hour: int) -> None:
    scene = scene_of(known(1, "mug", (right_m, 0.0, 2.0 + ahead_m)), known(2, "box", (0.0, 0.2, 2.0)))
    got = ask(scene, Direction(target=MUG, origin=BOX, as_clock=True))
    assert (got.value_type, got.clock_hour, got.value_text) == (ValueType.DIRECTION, hour, f"{hour} o'clock")
    way = np.array([right_m, -0.2, ahead_m])
    assert got.value == pytest.approx(tuple(way / np.linalg.norm(way)))


def test_twelve_is_where_the_viewer_at_a_thing_faces() -> None:
    """At the box, facing the ball on its right as the camera sees it: what is farther away is then on the left."""
    scene = scene_of(known(1, "mug", (0, 0, 2.0)), known(2, "box", (0, 0, 1.0)), known(3, "ball", (1.0, 0.3, 1.0)))
    facing = Viewpoint(view=View.AT_THING, at=BOX, facing=the("ball"))
    asked = Direction(target=MUG, origin=BOX, as_clock=True)
    assert (ask(scene, asked, facing).clock_hour, ask(scene, asked).clock_hour) == (9, 12)
    assert ask(scene, Direction(target=MUG, as_clock=True), facing).clock_hour == 9
    left = IsPlaced(subject=MUG, options=(Relation.LEFT, Relation.RIGHT))
    assert ask(scene, left, facing).value == "left"


def test_from_the_viewer_the_clock_is_centred_on_it() -> None:
    scene = scene_of(known(1, "mug", (-1.0, 0.0, 1.0)))
    assert ask(scene, Direction(target=MUG)).clock_hour == 11
    pair = scene_of(known(1, "mug", (-1.0, 0.0, 1.0)), known(2, "box", (0.0, 0.0, 2.0)))
    asked = Direction(target=MUG, origin=BOX)
    assert (ask(pair, asked).clock_hour, ask(pair, asked, Viewpoint(view=View.OPPOSITE)).clock_hour) == (8, 2)


def test_a_camera_that_looks_down_tells_the_same_hour_as_a_level_one() -> None:
    pitched = RigidTransform(rotation=rotation_about_axis([1, 0, 0], 0.7), translation=np.zeros(3))
    scene = scene_of(known(1, "mug", (-1.0, 0.5, 1.1)), known(2, "box", (0.0, 0.1, 0.5)))
    seen = scene.transformed(scene.frame_id, pitched)
    up = pitched.rotate([0.0, -1.0, 0.0])
    for intent in (Direction(target=MUG), Direction(target=MUG, origin=BOX)):
        assert (ask(scene, intent).clock_hour, ask(seen, intent, up=up).clock_hour) == (11, 11)


def test_where_is_told_along_level_axes_and_the_value_stays_in_the_scenes_frame() -> None:
    viewer = RigidTransform(rotation=rotation_about_axis([0, 0, 1], math.pi / 2), translation=np.array([0, -1, 0.5]))
    scene = scene_of(known(1, "mug", (0.0, 0.2, 0.8)), frame_id="map")
    got = ask(scene, Where(thing=MUG), viewpoint=viewer, viewer_is_camera=False)
    assert "1.20 m ahead of the viewpoint, 0.30 m higher, at x 0.00, y 0.20, z 0.80 m in map" in got.text
    assert got.value == pytest.approx((0.0, 0.2, 0.8))


def test_where_relative_to_a_thing_is_told_from_there() -> None:
    scene = scene_of(known(1, "mug", (-0.3, 0.2, 1.4)), known(2, "box", (0.0, 0.0, 1.0)))
    got = ask(scene, Where(thing=MUG, relative_to=BOX), viewpoint=OPTICAL_T_VIEWER)
    assert got.text == "The mug 1 is 30 cm to the left, 40 cm behind and 20 cm lower than the box 2."
    assert got.value == pytest.approx((-0.3, 0.2, 1.4))


@pytest.mark.parametrize(("hour", "expected"), [(3, True), (2, False), (9, False)])
def test_is_it_at_three_oclock(hour: int, expected: bool) -> None:
    scene = scene_of(known(1, "mug", (1.0, 0.0, 2.1)), known(2, "box", (0.0, 0.0, 2.0)))
    got = ask(scene, Direction(target=MUG, origin=BOX, hour=hour))
    assert (got.value, got.value_type) == (expected, ValueType.BOOLEAN)
    assert got.text.endswith("the mug 1 is at 3 o'clock from the box 2.")
