"""Oriented boxes and their exact overlap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import make_box
from n3d_ros.errors import InputError
from n3d_ros.geometry import BOX_EDGES, Box3D, RigidTransform, intersection_volume, iou_3d
from n3d_ros.geometry.transforms import rotation_about_axis

lengths = st.floats(0.05, 2.0)
shifts = st.floats(-0.8, 0.8)
angles = st.floats(-np.pi, np.pi)


@st.composite
def boxes(draw: st.DrawFn) -> Box3D:
    axis = [draw(st.floats(-1, 1)), draw(st.floats(-1, 1)), draw(st.floats(0.1, 1))]
    return make_box(
        [draw(shifts) for _ in range(3)], [draw(lengths) for _ in range(3)], axis=axis, angle_rad=draw(angles)
    )


@st.composite
def motions(draw: st.DrawFn) -> RigidTransform:
    axis = [draw(st.floats(-1, 1)), draw(st.floats(-1, 1)), draw(st.floats(0.1, 1))]
    return RigidTransform(
        rotation=rotation_about_axis(axis, draw(angles)), translation=np.array([draw(shifts) * 10 for _ in range(3)])
    )


def test_corners_come_in_the_documented_order() -> None:
    corners = Box3D.axis_aligned([1, 2, 3], [2, 4, 6]).corners
    assert corners[0].tolist() == [0, 0, 0] and corners[7].tolist() == [2, 4, 6]
    assert corners[4].tolist() == [2, 0, 0] and corners[2].tolist() == [0, 4, 0] and corners[1].tolist() == [0, 0, 6]


def test_every_edge_runs_along_one_axis() -> None:
    corners = Box3D.axis_aligned([0, 0, 0], [1, 2, 3]).corners
    spans = np.array([corners[j] - corners[i] for i, j in BOX_EDGES])
    assert len(BOX_EDGES) == 12 and len(set(BOX_EDGES)) == 12
    assert ((spans != 0).sum(axis=1) == 1).all()


def test_a_turned_box_contains_what_the_upright_one_does_not() -> None:
    turned = make_box((0, 0, 0), (2, 0.2, 0.2), angle_rad=np.pi / 4)
    assert turned.contains([[0.6, 0.6, 0.0], [0.9, 0.0, 0.0]]).tolist() == [True, False]


def test_a_margin_widens_every_side_and_missing_points_are_outside() -> None:
    box = Box3D.axis_aligned([0, 0, 0], [1, 1, 1])
    assert not box.contains([0.55, 0, 0]) and box.contains([0.55, 0, 0], margin_m=0.06)
    assert not box.contains([np.nan, 0, 0])


def test_yaw_is_measured_from_forward_about_up() -> None:
    box = make_box(angle_rad=0.3)
    assert box.yaw_about([0, 0, 1], [1, 0, 0]) == pytest.approx(0.3)
    assert box.yaw_about([0, 0, -1], [1, 0, 0]) == pytest.approx(-0.3)


@pytest.mark.parametrize("size", [(0, 1, 1), (-1, 1, 1), (np.nan, 1, 1), (1, 1)])
def test_boxes_without_extent_are_refused(size: tuple[float, ...]) -> None:
    with pytest.raises(InputError):
        Box3D.axis_aligned([0, 0, 0], size)


def test_two_cubes_shifted_by_half_share_a_third() -> None:
    a, b = Box3D.axis_aligned([0, 0, 0], [1, 1, 1]), Box3D.axis_aligned([0.5, 0, 0], [1, 1, 1])
    assert intersection_volume(a, b) == pytest.approx(0.5, abs=1e-12)
    assert iou_3d(a, b) == pytest.approx(1 / 3, abs=1e-12)


def test_a_cube_turned_by_45_degrees_shares_an_octagonal_prism() -> None:
    # A regular octagon cut from the unit square has area 2 (sqrt 2 - 1).
    a, b = Box3D.axis_aligned([0, 0, 0], [1, 1, 1]), make_box((0, 0, 0), (1, 1, 1), angle_rad=np.pi / 4)
    assert intersection_volume(a, b) == pytest.approx(2 * (np.sqrt(2) - 1), abs=1e-12)


def test_a_cube_standing_on_its_corner_shares_what_monte_carlo_says() -> None:
    a = Box3D.axis_aligned([0, 0, 0], [1, 1, 1])
    b = make_box((0.1, -0.2, 0.05), (1.2, 0.7, 0.9), axis=(1, 1, 0.3), angle_rad=0.9)
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (400_000, 3))
    assert intersection_volume(a, b) == pytest.approx(b.contains(points).mean(), abs=4e-3)


def test_faces_that_coincide_are_counted_once() -> None:
    big, small = Box3D.axis_aligned([0, 0, 0], [1, 1, 1]), Box3D.axis_aligned([0, 0, -0.25], [1, 1, 0.5])
    assert intersection_volume(big, small) == pytest.approx(0.5, abs=1e-12)


def test_boxes_that_only_touch_share_nothing() -> None:
    a, b = Box3D.axis_aligned([0, 0, 0], [1, 1, 1]), Box3D.axis_aligned([1, 0, 0], [1, 1, 1])
    assert intersection_volume(a, b) == pytest.approx(0, abs=1e-12)


@given(boxes())
def test_a_box_overlaps_itself_fully(box: Box3D) -> None:
    assert iou_3d(box, box) == pytest.approx(1, abs=1e-9)


@given(boxes(), boxes())
def test_iou_is_symmetric_and_between_zero_and_one(a: Box3D, b: Box3D) -> None:
    assert 0 <= iou_3d(a, b) <= 1
    assert iou_3d(a, b) == pytest.approx(iou_3d(b, a), abs=1e-9)


@given(boxes(), boxes(), motions())
def test_iou_does_not_depend_on_the_frame(a: Box3D, b: Box3D, motion: RigidTransform) -> None:
    assert iou_3d(a.transformed(motion), b.transformed(motion)) == pytest.approx(iou_3d(a, b), abs=1e-7)


@settings(max_examples=30)
@given(boxes(), boxes())
def test_the_shared_volume_is_what_sampling_says(a: Box3D, b: Box3D) -> None:
    samples = np.random.default_rng(1).uniform(-0.5, 0.5, (20_000, 3)) * a.size
    inside = b.contains(a.pose.apply(samples)).mean()
    error = 5 * np.sqrt(max(inside * (1 - inside), 1e-4) / 20_000)
    assert intersection_volume(a, b) / a.volume == pytest.approx(inside, abs=error)


@given(boxes(), motions())
def test_moving_a_box_moves_its_corners(box: Box3D, motion: RigidTransform) -> None:
    np.testing.assert_allclose(box.transformed(motion).corners, motion.apply(box.corners), atol=1e-9)
