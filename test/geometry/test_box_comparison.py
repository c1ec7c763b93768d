"""Boxes compared whichever of their equal descriptions they come in."""

from __future__ import annotations

import numpy as np
import pytest

from n3d_ros.geometry.box_comparison import QUARTER_TURNS, as_described, box_difference
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.transforms import RigidTransform, rotation_about_axis

CENTER = np.array([0.3, -0.2, 1.1])
SIZE = np.array([0.3, 0.2, 0.1])
TILTED = rotation_about_axis([0.3, 1.0, -0.4], 0.7)


def placed(rotation: np.ndarray, size: np.ndarray = SIZE, center: np.ndarray = CENTER) -> Box3D:
    pose = RigidTransform(rotation=rotation, translation=center)
    return Box3D(center=center, size=size, orientation_xyzw=pose.orientation_xyzw)


@pytest.mark.parametrize("index", range(24))
def test_a_box_described_by_other_axes_is_the_same_box(index: int) -> None:
    turn = QUARTER_TURNS[index]
    other = placed(TILTED @ turn, np.abs(turn.T) @ SIZE)
    difference = box_difference(placed(TILTED), other)
    assert difference.center_m == pytest.approx(0, abs=1e-12) and difference.size_m == pytest.approx(0, abs=1e-12)
    assert difference.turn_rad == pytest.approx(0, abs=1e-7) and difference.iou == pytest.approx(1)


def test_the_quarter_turns_are_the_rotations_of_a_cube() -> None:
    assert len({tuple(turn.ravel()) for turn in QUARTER_TURNS}) == 24
    assert all(np.linalg.det(turn) == pytest.approx(1) for turn in QUARTER_TURNS)


@pytest.mark.parametrize("degrees", [0.0, 3.0, 30.0, 44.0])
def test_a_turn_is_told_in_full_for_a_box_with_three_different_lengths(degrees: float) -> None:
    turned = placed(rotation_about_axis([0, 0, 1], np.radians(degrees)) @ TILTED)
    difference = box_difference(placed(TILTED), turned)
    assert np.degrees(difference.turn_rad) == pytest.approx(degrees, abs=1e-6)
    assert difference.size_m == pytest.approx(0, abs=1e-9)


def test_an_upright_box_turned_by_half_a_turn_is_the_same_and_by_a_quarter_is_not() -> None:
    upright = placed(np.eye(3))
    half = placed(rotation_about_axis([0, 0, 1], np.pi))
    quarter = placed(rotation_about_axis([0, 0, 1], np.pi / 2))
    assert box_difference(upright, half).turn_rad == pytest.approx(0, abs=1e-7)
    # told as swapped sides, which are 0.1 m off: that moves the corners less than a quarter turn would
    difference = box_difference(upright, quarter)
    assert difference.size_m == pytest.approx(0.1) and difference.turn_rad == pytest.approx(0, abs=1e-7)


def test_a_square_box_looks_the_same_after_a_quarter_turn() -> None:
    square = np.array([0.2, 0.2, 0.1])
    turned = placed(rotation_about_axis([0, 0, 1], np.radians(93)), square)
    assert np.degrees(box_difference(placed(np.eye(3), square), turned).turn_rad) == pytest.approx(3)


def test_lengths_and_centres_differ_by_metres() -> None:
    difference = box_difference(
        placed(TILTED), placed(TILTED, SIZE + np.array([0.0, 0.03, -0.01]), CENTER + np.array([0.0, 0.0, 0.05]))
    )
    assert difference.center_m == pytest.approx(0.05) and difference.size_m == pytest.approx(0.03)
    assert 0 < difference.iou < 1


def test_a_round_thing_may_be_turned_about_its_axis_but_not_tilted() -> None:
    can = np.array([0.1, 0.1, 0.2])
    turned = placed(rotation_about_axis([0, 0, 1], np.radians(40)), can)
    assert box_difference(placed(np.eye(3), can), turned).iou < 0.95
    alike = box_difference(placed(np.eye(3), can), turned, any_yaw=True)
    assert alike.turn_rad == pytest.approx(0, abs=1e-7) and alike.iou == pytest.approx(1)
    tilted = placed(rotation_about_axis([1, 0, 0], np.radians(20)) @ rotation_about_axis([0, 0, 1], 0.5), can)
    difference = box_difference(placed(np.eye(3), can), tilted, any_yaw=True)
    assert np.degrees(difference.turn_rad) == pytest.approx(20, abs=0.5)


def test_a_round_thing_that_lies_down_differs_from_one_that_stands() -> None:
    can = np.array([0.1, 0.1, 0.3])
    lying = placed(rotation_about_axis([0, 1, 0], np.pi / 2), can)
    assert as_described(placed(np.eye(3), can), lying).size == pytest.approx([0.3, 0.1, 0.1])
    assert box_difference(placed(np.eye(3), can), lying, any_yaw=True).iou < 0.5
