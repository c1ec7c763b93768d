"""Measures by hand: edges, distances, gaps, ages, and the words for them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from n3d_ros.errors import StatusCode
from n3d_ros.geometry import RigidTransform
from n3d_ros.geometry.transforms import rotation_about_axis
from n3d_ros.scene.questions.question import (
    Compare,
    Count,
    Difference,
    Extreme,
    Measure,
    Quantity,
    Sense,
    SizeBound,
    Which,
)
from n3d_ros.scene.spatial_answer import ValueType
from scene.answers.asking import SECOND, STAMP, ask, known, level_table, scene_of, the

Q = Quantity
MUG, BOX = the("mug"), the("box")
# 3-4-12-13: the mug is 0.3 m right, 0.4 m down and 1.2 m ahead; the box 0.3 m left, 0.4 m down, 0.4 m ahead
SCENE = scene_of(
    known(1, "mug", (0.3, 0.4, 1.2), (0.1, 0.2, 0.05), color="white", shape="cylinder"),
    known(2, "box", (-0.3, 0.4, 0.4), (0.4, 0.1, 0.2)),
)


@pytest.mark.parametrize(
    ("quantity", "value", "unit"),
    [
        (Q.WIDTH, 0.1, "m"),
        (Q.HEIGHT, 0.2, "m"),
        (Q.DEPTH, 0.05, "m"),
        (Q.LENGTH, 0.2, "m"),
        (Q.THICKNESS, 0.05, "m"),
        (Q.DIAMETER, 0.075, "m"),
        (Q.VOLUME, 0.001, "m^3"),
        (Q.FOOTPRINT, 0.005, "m^2"),
        (Q.DISTANCE, 1.2, "m"),  # along the view: z of the paper
        (Q.HORIZONTAL_DISTANCE, math.hypot(0.3, 1.2), "m"),
        (Q.VERTICAL_DISTANCE, 0.4, "m"),
        (Q.ELEVATION, -0.4, "m"),
        (Q.LATERAL, 0.3, "m"),
        (Q.AGE, 0.0, "s"),
    ],
)
def test_measures_of_a_box_along_the_camera_axes_are_those_of_the_paper(
    quantity: Quantity, value: float, unit: str
) -> None:
    got = ask(SCENE, Measure(quantity=quantity, thing=MUG))
    assert (got.status, got.value_type, got.unit) == (StatusCode.OK, ValueType.NUMBER, unit)
    assert got.value == pytest.approx(value)


@pytest.mark.parametrize(
    ("quantity", "value"),
    [
        (Q.DISTANCE, 1.0),  # 0.6 and 0.8
        (Q.HORIZONTAL_DISTANCE, 1.0),
        (Q.VERTICAL_DISTANCE, 0.0),
        (Q.GAP, math.hypot(0.35, 0.675)),  # 0.6 - 0.05 - 0.2 across, 0.8 - 0.025 - 0.1 along
        (Q.LATERAL, 0.6),
        (Q.ELEVATION, 0.0),
    ],
)
def test_measures_between_two_boxes(quantity: Quantity, value: float) -> None:
    assert ask(SCENE, Measure(quantity=quantity, thing=MUG, reference=BOX)).value == pytest.approx(value)


def test_a_viewer_other_than_the_camera_is_told_the_straight_distance() -> None:
    viewer = RigidTransform(rotation=np.eye(3), translation=np.zeros(3))
    scene = scene_of(known(1, "mug", (1.2, 0.3, 0.4)), frame_id="base_link")
    got = ask(scene, Measure(quantity=Q.DISTANCE, thing=MUG), viewpoint=viewer, viewer_is_camera=False)
    assert got.value == pytest.approx(1.3)


def test_a_camera_tells_both_the_depth_and_the_straight_line() -> None:
    text = ask(SCENE, Measure(quantity=Q.DISTANCE, thing=MUG)).text
    assert text == "The mug 1 is 1.20 m from the camera along the view, 1.30 m in a straight line."


def test_width_and_depth_of_a_turned_box_are_told_apart_by_the_view() -> None:
    """Turned by 70 degrees about the vertical, the long edge runs rather along the view."""
    for degrees, width in ((20, 0.4), (70, 0.1)):
        box = known(1, "box", (0, 0, 1), (0.4, 0.2, 0.1), axis=(0, 1, 0), angle_rad=math.radians(degrees))
        got = [ask(scene_of(box), Measure(quantity=q, thing=BOX)).value for q in (Q.WIDTH, Q.HEIGHT, Q.DEPTH)]
        assert got == pytest.approx([width, 0.2, 0.5 - width])


def test_the_height_of_a_lying_bottle_is_its_diameter() -> None:
    lying = known(1, "bottle", (0, 0, 1), (0.3, 0.08, 0.08), axis=(0, 1, 0), angle_rad=0.3)
    up = np.array([0.0, -1.0, 0.0])
    assert ask(scene_of(lying), Measure(quantity=Q.HEIGHT, thing=the("bottle")), up=up).value == pytest.approx(0.08)


def test_the_gap_of_turned_boxes_runs_between_edge_and_face() -> None:
    """A cube turned by 45 degrees reaches half its diagonal towards the other one."""
    turned = known(1, "mug", (0, 0, 1), (0.2, 0.2, 0.2), axis=(0, 1, 0), angle_rad=math.pi / 4)
    other = known(2, "box", (0.5, 0, 1), (0.2, 0.2, 0.2))
    got = ask(scene_of(turned, other), Measure(quantity=Q.GAP, thing=MUG, reference=BOX))
    assert got.value == pytest.approx(0.5 - 0.1 - 0.1 * math.sqrt(2))
    overlapping = scene_of(known(1, "mug", (0, 0, 1)), known(2, "box", (0.05, 0, 1)))
    assert ask(overlapping, Measure(quantity=Q.GAP, thing=MUG, reference=BOX)).value == 0.0


def test_the_distance_to_a_surface_is_the_shortest_way() -> None:
    """Over the table the height above it; beside it 30 cm to its edge and 40 cm up, half a metre."""
    table = (level_table(),)
    for center, distance in (((0, 0.1, 1), 0.2), ((1.3, -0.1, 1), 0.5)):
        asked = Measure(quantity=Q.DISTANCE, thing=MUG, reference=the("table"))
        got = ask(scene_of(known(1, "mug", center)), asked, surfaces=table)
        assert got.value == pytest.approx(distance, abs=1e-3)


def test_heights_over_a_surface_count_from_the_surface() -> None:
    scene = scene_of(known(1, "mug", (0, 0.25, 1)))
    over = Measure(quantity=Q.ELEVATION, thing=MUG, reference=the("table"))
    assert ask(scene, over, surfaces=(level_table(),)).value == pytest.approx(0.05)
    over_floor = ask(scene, Measure(quantity=Q.ELEVATION, thing=MUG), surfaces=(level_table(1.0, "floor"),))
    assert over_floor.value == pytest.approx(0.75)
    assert "above the floor" in over_floor.text


@pytest.mark.parametrize(
    ("unit", "words"),
    [(None, "20 cm"), ("m", "0.20 m"), ("cm", "20 cm"), ("mm", "200 mm"), ("in", "7.9 inches"), ("ft", "0.66 feet")],
)
def test_words_use_the_unit_asked_for_and_the_value_stays_in_metres(unit: str | None, words: str) -> None:
    got = ask(SCENE, Measure(quantity=Q.HEIGHT, thing=MUG, unit=unit))
    assert (got.text, got.value_text) == (f"The mug 1 is {words} tall.", words)
    assert (got.value, got.unit) == (pytest.approx(0.2), "m")


def test_size_has_the_edges_along_the_boxes_own_axes_and_says_which_is_which() -> None:
    got = ask(SCENE, Measure(quantity=Q.SIZE, thing=MUG))
    assert (got.value_type, got.value) == (ValueType.SIZE, pytest.approx((0.1, 0.2, 0.05)))
    assert got.text == "The mug 1 is 10 cm wide, 20 cm tall and 5.0 cm deep."


def test_colour_shape_and_name_are_words() -> None:
    words = [ask(SCENE, Measure(quantity=q, thing=MUG)).value for q in (Q.COLOR, Q.SHAPE, Q.NAME)]
    assert words == ["white", "cylinder", "mug"]
    assert ask(SCENE, Measure(quantity=Q.COLOR, thing=BOX)).value == "unknown"


def test_the_distance_of_the_two_boxes_is_between_them() -> None:
    scene = scene_of(known(1, "box", (-0.3, 0, 1)), known(2, "box", (0.3, 0, 1)))
    boxes = the("boxes", count=2)
    assert ask(scene, Measure(quantity=Q.DISTANCE, thing=boxes, reference=boxes)).value == pytest.approx(0.6)


def test_several_things_measured_have_no_single_value() -> None:
    scene = scene_of(known(1, "box", (-0.3, 0, 1)), known(2, "box", (0.3, 0, 1), (0.1, 0.2, 0.1)))
    got = ask(scene, Measure(quantity=Q.HEIGHT, thing=the("boxes")))
    assert (got.status, got.value, got.object_ids) == (StatusCode.OK, None, (1, 2))
    assert "box 1 is 10 cm tall" in got.text
    assert "box 2 is 20 cm tall" in got.text


def test_when_it_was_last_seen_counts_from_the_present_and_knows_what_left() -> None:
    scene = scene_of(known(1, "mug", (0, 0, 1), stamp_ns=STAMP - 3 * SECOND))
    age = Measure(quantity=Q.AGE, thing=MUG)
    assert ask(scene, age).value == pytest.approx(3.0)
    assert ask(scene, age, now_ns=STAMP + 2 * SECOND).value == pytest.approx(5.0)
    gone = known(9, "cup", (0.2, 0, 1), stamp_ns=STAMP - 30 * SECOND)
    got = ask(scene, Measure(quantity=Q.AGE, thing=the("cup")), departed=(gone,))
    assert (got.status, got.value, got.object_ids) == (StatusCode.OK, pytest.approx(30.0), (9,))
    assert "0.20 m to the right" in got.text


def test_errors_add_up_and_are_told_in_the_steps() -> None:
    """Two centres off by 3 mm and 3 mm: the distance by 3 mm times the root of two."""
    scene = scene_of(known(1, "mug", (0, 0, 1), stddev_m=0.003), known(2, "box", (0.6, 0, 1), stddev_m=0.003))
    got = ask(scene, Measure(quantity=Q.DISTANCE, thing=MUG, reference=BOX))
    assert any("0.600 m +- 0.004 m" in step for step in got.steps)
    volume = ask(scene, Measure(quantity=Q.VOLUME, thing=MUG))  # 3 % of each edge: 5.2 % of the volume
    assert any("0.001000 m^3 +- 0.000052 m^3" in step for step in volume.steps)


@pytest.mark.parametrize(
    ("quantity", "value", "as_ratio", "words"),
    [
        (Q.HEIGHT, 0.1, False, "The mug 1 is 10 cm taller than the box 2: 20 cm against 10 cm."),
        (Q.WIDTH, 0.3, False, "The mug 1 is 30 cm narrower than the box 2: 10 cm against 40 cm."),
        (Q.HEIGHT, 2.0, True, "The mug 1 is 2.00 times as tall as the box 2: 20 cm against 10 cm."),
        (Q.DISTANCE, 0.8, False, "The mug 1 is 80 cm farther away than the box 2: 1.20 m against 40 cm."),
    ],
)
def test_how_much_more_is_a_number_above_zero_and_the_words_say_which_way(
    quantity: Quantity, value: float, as_ratio: bool, words: str
) -> None:
    got = ask(SCENE, Difference(quantity=quantity, subject=MUG, other=BOX, as_ratio=as_ratio))
    assert (got.value, got.text) == (pytest.approx(value), words)
    assert got.unit == ("1" if as_ratio else "m")


def test_measures_do_not_depend_on_the_frame() -> None:
    turn = RigidTransform(rotation=rotation_about_axis([1, 2, 3], 1.1), translation=np.array([4.0, -2.0, 1.0]))
    moved = SCENE.transformed("map", turn)
    viewer = turn @ RigidTransform(
        rotation=np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]]), translation=np.zeros(3)
    )
    for quantity in (Q.WIDTH, Q.HEIGHT, Q.DEPTH, Q.DISTANCE, Q.LATERAL, Q.GAP, Q.VERTICAL_DISTANCE):
        here = ask(SCENE, Measure(quantity=quantity, thing=MUG)).value
        there = ask(moved, Measure(quantity=quantity, thing=MUG), viewpoint=viewer).value
        assert there == pytest.approx(here)


# --- what the camera does not look at


AROUND = scene_of(
    known(1, "mug", (0.0, 0.0, 1.0)), known(2, "ball", (0.0, 0.0, -3.0)), known(3, "bowl", (4.0, 0.0, 0.1))
)


def test_what_lies_behind_the_camera_is_not_the_nearest() -> None:
    nearest = Extreme(quantity=Quantity.DISTANCE, most=False)
    assert ask(AROUND, Which(thing=the("object", extreme=nearest), is_single=True)).value == "mug 1"
    for words, metres in (("mug", 1.0), ("ball", 3.0), ("bowl", math.hypot(4.0, 0.1))):
        got = ask(AROUND, Measure(quantity=Quantity.DISTANCE, thing=the(words)))
        assert got.value == pytest.approx(metres)
        assert got.text.endswith("m from the camera in a straight line.")
    near = SizeBound(quantity=Quantity.DISTANCE, more=False, bound=2.0)
    assert ask(AROUND, Count(thing=the("objects", bounds=(near,)))).value == 1


@pytest.mark.parametrize("seed", range(5))
def test_no_distance_is_below_zero(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scene = scene_of(*(known(k, "box", rng.uniform(-3, 3, 3)) for k in range(1, 9)))
    for quantity in (Quantity.DISTANCE, Quantity.HORIZONTAL_DISTANCE, Quantity.VERTICAL_DISTANCE, Quantity.GAP):
        values = [ask(scene, Measure(quantity=quantity, thing=the("box", number=k))).value for k in range(1, 9)]
        assert all(isinstance(value, float) and value >= 0 for value in values)


# --- surfaces are seen from one side


def test_of_a_table_what_is_seen_is_told_and_no_height_without_a_floor() -> None:
    table, floor = level_table(0.3), level_table(1.0, "floor")
    size = ask(SCENE, Measure(quantity=Q.SIZE, thing=the("table")), surfaces=(table,))
    assert size.text == "What I see of the table is 2.00 m by 1.50 m."
    assert isinstance(size.value, tuple)
    assert sorted(size.value) == pytest.approx([0.0, 1.5, 2.0])
    height = Measure(quantity=Q.HEIGHT, thing=the("table"))
    unknown = ask(SCENE, height, surfaces=(table,))
    assert (unknown.status, unknown.text) == (
        StatusCode.NOT_FOUND, "I cannot tell the height of the table: I see only its top.",
    )  # fmt: skip
    over = ask(SCENE, height, surfaces=(table, floor))
    assert over.value == pytest.approx(0.7)
    assert over.text == "The table top is 70 cm above the floor."


def test_a_surface_is_not_compared_by_a_volume_that_nobody_knows() -> None:
    bigger = Compare(subject=the("table"), quantity=Q.VOLUME, sense=Sense.MORE, other=MUG)
    assert ask(SCENE, bigger, surfaces=(level_table(),)).status is StatusCode.NOT_FOUND
    largest = Extreme(quantity=Q.VOLUME, most=True)
    wide = level_table(1.0, "floor")
    wide = replace(wide, outline=2 * wide.outline)
    assert ask(SCENE, Which(thing=the("surface", extreme=largest)), surfaces=(level_table(), wide)).value == "floor"
