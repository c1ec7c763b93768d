"""Boxes told level with the ground, and changed by nothing but what a person changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_training.robots.level import BoxWords, LevelAxes, half_turn
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.transforms import matrix_to_quaternion, rotation_about_axis

UP_OF_A_CAMERA_30_DEG_DOWN = (0.0, -np.cos(np.pi / 6), -np.sin(np.pi / 6))
numbers = st.floats(-2.0, 2.0, allow_subnormal=False)
lengths = st.floats(0.01, 2.0)


def boxes() -> st.SearchStrategy[Box3D]:
    return st.builds(
        lambda center, size, axis, angle: Box3D(
            center=np.array(center),
            size=np.array(size),
            orientation_xyzw=matrix_to_quaternion(rotation_about_axis(axis, angle)),
        ),
        st.tuples(numbers, numbers, st.floats(0.2, 5.0)),
        st.tuples(lengths, lengths, lengths),
        st.sampled_from([(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.6, 0.0, 0.8)]),
        st.floats(-3.0, 3.0),
    )


def test_ahead_of_a_camera_that_looks_down_is_horizontal() -> None:
    axes = LevelAxes.of(UP_OF_A_CAMERA_30_DEG_DOWN)
    # 1 m along the optical axis: cos 30 ahead, sin 30 below the camera.
    box = Box3D.axis_aligned([0.0, 0.0, 1.0], [0.1, 0.1, 0.1])
    assert axes.told(box).place_cm == (0.0, 86.6, -50.0)


def test_right_is_right_in_the_picture() -> None:
    axes = LevelAxes.of(UP_OF_A_CAMERA_30_DEG_DOWN)
    assert axes.told(Box3D.axis_aligned([0.25, 0.0, 1.0], [0.1, 0.1, 0.1])).place_cm[0] == 25.0


def test_without_gravity_up_is_that_of_the_picture() -> None:
    assert LevelAxes.of(None).told(Box3D.axis_aligned([0.1, 0.2, 1.0], [0.1, 0.2, 0.3])) == BoxWords(
        place_cm=(10.0, 100.0, -20.0), size_cm=(10.0, 30.0, 20.0), turn_deg=0.0
    )


@pytest.mark.parametrize("up", [(0.0, 0.0, -1.0), (0.0, 0.0, 1.0)])
def test_a_camera_that_looks_straight_down_or_up_has_axes_too(up: tuple[float, float, float]) -> None:
    axes = LevelAxes.of(up).axes
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(axes) == pytest.approx(1.0)


def test_turn_counts_counter_clockwise_seen_from_above() -> None:
    axes = LevelAxes.of(None)  # seen from above, "ahead" lies counter-clockwise of "right"
    box = axes.new_box(BoxWords(place_cm=(0.0, 100.0, 0.0), size_cm=(20.0, 10.0, 5.0), turn_deg=30.0))
    width = axes.axes @ box.rotation[:, 0]
    np.testing.assert_allclose(width, [np.cos(np.pi / 6), np.sin(np.pi / 6), 0.0], atol=1e-12)


@given(boxes(), st.sampled_from([None, UP_OF_A_CAMERA_30_DEG_DOWN, (0.1, -0.7, 0.2)]))
def test_what_is_not_changed_stays_the_very_box(box: Box3D, up: tuple[float, float, float] | None) -> None:
    axes = LevelAxes.of(up)
    assert axes.edited(box, axes.told(box)) is box


@given(boxes(), st.integers(0, 2), st.floats(-150.0, 150.0))
def test_a_changed_place_changes_that_number_alone(box: Box3D, which: int, value: float) -> None:
    axes = LevelAxes.of(UP_OF_A_CAMERA_30_DEG_DOWN)
    told = axes.told(box)
    place = list(told.place_cm)
    place[which] = round(value, 1)
    changed = axes.edited(box, replace(told, place_cm=(place[0], place[1], place[2])))
    expected = axes.axes @ box.center
    if place[which] != told.place_cm[which]:
        expected[which] = place[which] / 100
    np.testing.assert_allclose(axes.axes @ changed.center, expected, atol=1e-12)
    assert (changed.size == box.size).all()
    np.testing.assert_allclose(changed.orientation_xyzw, box.orientation_xyzw, atol=1e-15)


@given(boxes(), st.integers(0, 2), st.floats(1.0, 300.0))
def test_a_changed_size_changes_that_length_alone(box: Box3D, which: int, value: float) -> None:
    axes = LevelAxes.of(UP_OF_A_CAMERA_30_DEG_DOWN)
    told = axes.told(box)
    size = list(told.size_cm)
    size[which] = round(value, 1)
    words = replace(told, size_cm=(size[0], size[1], size[2]))
    changed = axes.edited(box, words)
    assert axes.told(changed).size_cm[which] == size[which]
    assert np.count_nonzero(changed.size != box.size) <= 1
    assert (changed.center == box.center).all()


def test_a_turn_is_that_of_the_line_and_not_of_the_rounding() -> None:
    axes = LevelAxes.of(None)
    box = axes.new_box(BoxWords(place_cm=(0.0, 100.0, 0.0), size_cm=(20.0, 10.0, 5.0), turn_deg=10.4))
    changed = axes.edited(box, replace(axes.told(box), turn_deg=-45.0))
    np.testing.assert_allclose(axes.axes @ changed.rotation[:, 0], np.sqrt(0.5) * np.array([1, -1, 0]), atol=1e-12)


@given(boxes(), st.integers(-80, 80))
def test_a_changed_turn_turns_about_the_vertical_and_keeps_a_lean(box: Box3D, degrees: int) -> None:
    axes = LevelAxes.of(UP_OF_A_CAMERA_30_DEG_DOWN)
    told = axes.told(box)
    changed = axes.edited(box, replace(told, turn_deg=half_turn(told.turn_deg + degrees)))
    np.testing.assert_allclose(axes.up @ changed.rotation, axes.up @ box.rotation, atol=1e-9)
    expected = rotation_about_axis(axes.up, np.deg2rad(degrees)) @ box.rotation
    if degrees:  # the turn that is written holds exactly, so within the half degree by which the told one was rounded
        apart = matrix_to_quaternion(expected.T @ changed.rotation)
        assert 2 * np.degrees(np.arccos(min(1.0, abs(apart[3])))) <= 0.5 + 1e-6
    assert (changed.center == box.center).all() and (changed.size == box.size).all()


def test_a_box_behind_a_pixel_has_that_point_on_its_near_side() -> None:
    axes = LevelAxes.of(None)
    words = BoxWords(place_cm=(0.0, 0.0, 0.0), size_cm=(20.0, 10.0, 30.0), turn_deg=0.0)
    box = axes.behind(np.array([0.0, 0.0, 1.0]), words)
    np.testing.assert_allclose(box.center, [0.0, 0.0, 1.05])  # half of the depth behind the surface


@given(st.floats(-700.0, 700.0))
def test_half_turns_mean_the_same_line(degrees: float) -> None:
    turned = half_turn(degrees)
    assert -90.0 < turned <= 90.0
    assert np.cos(2 * np.deg2rad(turned)) == pytest.approx(np.cos(2 * np.deg2rad(degrees)), abs=1e-9)


def test_a_tilted_box_is_told_to_lean() -> None:
    axes = LevelAxes.of(None)
    lean = matrix_to_quaternion(rotation_about_axis((1.0, 0.0, 0.0), np.deg2rad(20.0)))
    box = Box3D(center=np.array([0.0, 0.0, 1.0]), size=np.array([0.1, 0.2, 0.3]), orientation_xyzw=lean)
    assert axes.lean_deg(box) == pytest.approx(20.0)
    assert axes.lean_deg(Box3D.axis_aligned([0.0, 0.0, 1.0], [0.1, 0.2, 0.3])) == 0.0
