"""Overlaps computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from builders import make_box
from model_training.evaluation.overlap import (
    aligned_iou,
    hull,
    oriented_iou,
    points_iou,
    projected_rectangle,
    rectangle_iou,
    rectangle_offset,
    share_inside,
)
from n3d_ros.geometry.boxes import Box3D
from training.evaluation.frames_for_evaluation import CAMERA, cube, turned


def test_two_unit_cubes_half_a_side_apart_share_a_third() -> None:
    overlap = aligned_iou([cube(0, 0, 0, 1)], [cube(0.5, 0, 0, 1), cube(0, 0, 0, 1), cube(1.0, 0, 0, 1)])
    assert overlap == pytest.approx(np.array([[1 / 3, 1.0, 0.0]]))  # 0.5 / (1 + 1 - 0.5)


def test_no_boxes_give_an_empty_overlap_of_the_right_shape() -> None:
    assert aligned_iou([], [cube(0, 0, 0)]).shape == (0, 1)
    assert aligned_iou([cube(0, 0, 0)], []).shape == (1, 0)


def test_the_hull_of_a_cube_turned_by_an_eighth_is_wider_by_the_root_of_two() -> None:
    wide = hull(turned(cube(1, 2, 3, 1.0), math.pi / 4))
    assert wide.size == pytest.approx([math.sqrt(2), math.sqrt(2), 1.0])
    assert wide.center == pytest.approx([1, 2, 3])


def test_a_cube_turned_by_an_eighth_shares_an_octagon_with_itself() -> None:
    shared = 2 * (math.sqrt(2) - 1)  # area of the regular octagon of width 1
    assert oriented_iou(turned(cube(0, 0, 2, 1.0), math.pi / 4), cube(0, 0, 2, 1.0)) == pytest.approx(
        shared / (2 - shared)
    )


def test_a_round_thing_has_no_turn_about_its_axis() -> None:
    can, found = cube(0, 0, 2, 1.0), turned(cube(0, 0, 2, 1.0), math.pi / 4)
    assert oriented_iou(found, can, symmetry="round") == pytest.approx(1.0)


def test_a_round_thing_lying_down_is_not_excused() -> None:
    can = Box3D.axis_aligned((0, 0, 2), (0.1, 0.1, 0.4))
    lying = make_box((0, 0, 2), (0.1, 0.1, 0.4), axis=(1.0, 0.0, 0.0), angle_rad=math.pi / 2)
    assert oriented_iou(lying, can, symmetry="round") == pytest.approx(0.1 / 0.7)  # 0.001 / (0.004 + 0.004 - 0.001)


def test_a_round_thing_described_with_its_axis_as_x_is_the_same() -> None:
    can = Box3D.axis_aligned((0, 0, 2), (0.1, 0.1, 0.4))
    same = make_box((0, 0, 2), (0.4, 0.1, 0.1), axis=(0.0, 1.0, 0.0), angle_rad=math.pi / 2)
    assert oriented_iou(same, can, symmetry="round") == pytest.approx(1.0)


def test_a_quarter_turn_is_the_same_for_things_that_repeat_by_quarters() -> None:
    table = Box3D.axis_aligned((0, 0, 2), (1.0, 0.8, 0.5))
    other = Box3D.axis_aligned((0, 0, 2), (0.8, 1.0, 0.5))
    assert oriented_iou(other, table, symmetry="quarter_turn") == pytest.approx(1.0)
    assert oriented_iou(other, table) == pytest.approx(0.64 / (0.8 + 0.8 - 0.64))


def test_a_ball_has_no_turn_at_all() -> None:
    ball = cube(0, 0, 2, 1.0)
    found = make_box((0, 0, 2), (1.0, 1.0, 1.0), axis=(1.0, 2.0, 3.0), angle_rad=0.9)
    assert oriented_iou(found, ball, symmetry="round", shape="ball") == pytest.approx(1.0)


def test_a_pear_lies_one_way_though_it_is_called_a_ball() -> None:
    pear = Box3D.axis_aligned((0, 0, 2), (0.1, 0.07, 0.07))
    upright = Box3D.axis_aligned((0, 0, 2), (0.07, 0.1, 0.07))
    told_otherwise = make_box((0, 0, 2), (0.07, 0.1, 0.07), axis=(0.0, 0.0, 1.0), angle_rad=math.pi / 2)
    assert oriented_iou(upright, pear, shape="ball") == pytest.approx(0.7 / (1 + 1 - 0.7))
    assert oriented_iou(told_otherwise, pear, shape="ball") == pytest.approx(1.0)


def test_points_on_the_table_count_against_a_box_that_swallows_it() -> None:
    points = np.array([[x, 0.0, 1.0] for x in range(10)], dtype=np.float64)
    mask = np.arange(10) < 4
    tight, wide = Box3D.axis_aligned((1.5, 0, 1), (3.2, 0.1, 0.1)), Box3D.axis_aligned((4.5, 0, 1), (9.2, 0.1, 0.1))
    assert points_iou([tight, wide], [mask], points) == pytest.approx(np.array([[1.0], [0.4]]))


def test_points_iou_without_points_is_none_of_them() -> None:
    assert points_iou([cube(0, 0, 5)], [np.zeros(3, bool)], np.zeros((3, 3))) == pytest.approx(0.0)


def test_a_quarter_of_a_box_lies_in_another() -> None:
    assert share_inside(cube(0, 0, 2, 1.0), cube(0.75, 0, 2, 1.0)) == pytest.approx(0.25)


def test_a_square_plate_a_metre_ahead_covers_its_focal_length_in_pixels() -> None:
    plate = Box3D.axis_aligned((0.1, 0.0, 1.0005), (0.2, 0.1, 0.001))  # its face is 1 m away
    assert projected_rectangle(plate, CAMERA) == pytest.approx((50.0, 35.0, 70.0, 45.0))


def test_the_extent_in_the_image_is_that_of_the_nearer_face() -> None:
    assert projected_rectangle(Box3D.axis_aligned((0, 0, 2), (0.4, 0.2, 2.0)), CAMERA) == pytest.approx(
        (30.0, 30.0, 70.0, 50.0)
    )


def test_a_box_around_the_camera_fills_the_image() -> None:
    assert projected_rectangle(cube(0, 0, 0, 4.0), CAMERA) == pytest.approx((0.0, 0.0, 100.0, 80.0))


@pytest.mark.parametrize("place", [(0, 0, -2), (30, 0, 2)])
def test_a_box_out_of_the_image_has_no_rectangle(place: tuple[float, float, float]) -> None:
    assert projected_rectangle(cube(*place), CAMERA) is None


def test_rectangles_overlap_by_their_areas() -> None:
    assert rectangle_iou((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(50 / 150)
    assert rectangle_iou((0, 0, 1, 1), (1, 1, 2, 2)) == 0
    assert rectangle_iou(None, (0, 0, 1, 1)) == 0


def test_an_offset_is_counted_in_images() -> None:
    assert rectangle_offset((0, 0, 10, 10), (30, 40, 40, 50), CAMERA) == pytest.approx(math.hypot(0.3, 0.5))
