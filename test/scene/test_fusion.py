"""Boxes settle, whatever their axes are called, and follow what really changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import make_box, make_detection
from n3d_ros.detection import BoxUncertainty
from n3d_ros.geometry import Box3D, iou_3d
from n3d_ros.geometry.transforms import matrix_to_quaternion, rotation_about_axis
from n3d_ros.scene.fusion import AXIS_RELABELINGS, BoxEstimate, described_like, estimate_of, fused

SIZE = (0.2, 0.12, 0.08)


def estimate(box: Box3D, *, stddev_m: float = 0.01, yaw_stddev_rad: float = 0.05) -> BoxEstimate:
    uncertainty = BoxUncertainty(
        center_covariance_m2=np.eye(3) * stddev_m**2,
        size_stddev_m=np.full(3, stddev_m),
        yaw_stddev_rad=yaw_stddev_rad,
    )
    return BoxEstimate(box=box, uncertainty=uncertainty)


def settle(known: BoxEstimate, look: BoxEstimate, *, smoothing: float = 0.9) -> BoxEstimate:
    return fused(known, look, drift_m=0.0, smoothing=smoothing)


def relabelled(box: Box3D, index: int) -> Box3D:
    """The same solid with its axes called otherwise."""
    matrix = AXIS_RELABELINGS[index]
    turned = make_box(box.center, np.abs(matrix).T @ box.size)
    return Box3D(center=turned.center, size=turned.size, orientation_xyzw=matrix_to_quaternion(box.rotation @ matrix))


def test_there_are_24_ways_to_name_the_axes_of_a_box() -> None:
    assert AXIS_RELABELINGS.shape == (24, 3, 3)
    assert len({tuple(m.ravel().tolist()) for m in AXIS_RELABELINGS}) == 24


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 23), st.floats(-3, 3))
def test_a_look_with_other_axes_gives_the_same_result(index: int, angle: float) -> None:
    known = estimate(make_box(size=SIZE, axis=(0, 0, 1), angle_rad=angle))
    box = make_box((0.005, -0.003, 1.002), (0.205, 0.118, 0.081), axis=(0, 0, 1), angle_rad=angle + 0.05)
    look, other = estimate(box), estimate(relabelled(box, index))
    assert iou_3d(look.box, other.box) == pytest.approx(1.0, abs=1e-9)
    expected, got = settle(known, look), settle(known, other)
    np.testing.assert_allclose(got.box.corners, expected.box.corners, atol=1e-9)


def test_a_quarter_turn_with_swapped_lengths_is_the_same_box_and_not_averaged_between() -> None:
    known = estimate(make_box(size=(0.2, 0.1, 0.05)))
    look = estimate(make_box(size=(0.1, 0.2, 0.05), axis=(0, 0, 1), angle_rad=np.pi / 2))
    result = settle(known, look)
    np.testing.assert_allclose(result.box.size, (0.2, 0.1, 0.05))
    assert iou_3d(result.box, known.box) == pytest.approx(1.0, abs=1e-9)


def test_yaws_on_both_sides_of_45_degrees_average_to_45_degrees() -> None:
    yaw = np.pi / 4
    known = estimate(make_box(size=(0.1, 0.1, 0.05), axis=(0, 0, 1), angle_rad=yaw - 0.02))
    look = estimate(make_box(size=(0.1, 0.1, 0.05), axis=(0, 0, 1), angle_rad=yaw + 0.02 - np.pi / 2))
    result = settle(known, look)
    x_axis = result.box.rotation[:, 0]
    assert np.arctan2(x_axis[1], x_axis[0]) == pytest.approx(yaw, abs=1e-3)


def test_describing_a_box_otherwise_does_not_change_the_solid() -> None:
    reference = make_box(size=SIZE, axis=(0, 0, 1), angle_rad=0.2)
    for index in range(24):
        other = relabelled(reference, index)
        rotation, order = described_like(other, reference)
        np.testing.assert_allclose(rotation, reference.rotation, atol=1e-9)
        np.testing.assert_allclose(other.size[order], reference.size, atol=1e-9)


def test_boxes_get_better_with_more_looks() -> None:
    rng = np.random.default_rng(0)
    truth = make_box(size=SIZE, axis=(0, 0, 1), angle_rad=0.3)
    single, settled = [], []
    for _ in range(20):
        known = None
        for _ in range(12):
            look = estimate(
                make_box(
                    truth.center + rng.normal(0, 0.01, 3),
                    truth.size + rng.normal(0, 0.005, 3),
                    axis=(0, 0, 1),
                    angle_rad=0.3 + rng.normal(0, 0.05),
                ),
            )
            known = look if known is None else settle(known, look)
            single.append(np.linalg.norm(look.box.center - truth.center))
        assert known is not None
        settled.append(np.linalg.norm(known.box.center - truth.center))
    assert np.mean(settled) < 0.45 * np.mean(single)
    assert np.sqrt(known.uncertainty.center_covariance_m2[0, 0]) < 0.005


def test_a_sure_look_counts_more_than_an_unsure_one() -> None:
    known = estimate(make_box((0, 0, 1.0)), stddev_m=0.01)
    sure = settle(known, estimate(make_box((0.01, 0, 1.0)), stddev_m=0.002))
    unsure = settle(known, estimate(make_box((0.01, 0, 1.0)), stddev_m=0.05))
    assert sure.box.center[0] > 0.009
    assert unsure.box.center[0] < 0.001


def test_a_look_that_is_unsure_along_its_ray_moves_the_box_across_only() -> None:
    known = estimate(make_box())
    look = estimate(make_box((0.01, 0.0, 1.01)))
    unsure = BoxUncertainty(
        center_covariance_m2=np.diag([1e-6, 1e-6, 1e-2]), size_stddev_m=np.full(3, 0.01), yaw_stddev_rad=0.05
    )
    result = settle(known, BoxEstimate(box=look.box, uncertainty=unsure))
    assert result.box.center[0] > 0.009
    assert result.box.center[2] - 1.0 < 0.001


def test_the_weight_of_one_more_look_ends_at_what_smoothing_says() -> None:
    known = estimate(make_box((0, 0, 1.0)))
    for _ in range(200):
        known = settle(known, estimate(make_box((0, 0, 1.0))), smoothing=0.9)
    shifted = settle(known, estimate(make_box((0.001, 0, 1.0))), smoothing=0.9)
    assert shifted.box.center[0] == pytest.approx(0.0001, rel=0.05)


def test_without_smoothing_the_newest_look_is_the_answer() -> None:
    look = make_box((0.02, 0.01, 1.0), (0.3, 0.2, 0.1), axis=(0, 0, 1), angle_rad=0.1)
    result = settle(estimate(make_box((0, 0, 1.0), (0.28, 0.22, 0.1))), estimate(look), smoothing=0.0)
    np.testing.assert_allclose(result.box.corners, look.corners, atol=1e-9)


def test_a_moved_box_is_followed_at_once_and_a_shrunken_one_slowly() -> None:
    known = estimate(make_box((0, 0, 1.0), SIZE), stddev_m=0.003)
    moved = settle(known, estimate(make_box((0.1, 0, 1.0), SIZE), stddev_m=0.003))
    assert moved.box.center[0] > 0.095
    half = settle(known, estimate(make_box((0.05, 0, 1.0), (0.1, 0.12, 0.08)), stddev_m=0.003))
    assert half.box.center[0] < 0.02
    assert half.box.size[0] > 0.16


def test_a_round_object_keeps_its_yaw_and_takes_the_tilt() -> None:
    no_yaw = float(np.pi / np.sqrt(3))
    known = estimate(make_box(size=(0.1, 0.1, 0.2)), yaw_stddev_rad=no_yaw)
    for yaw in (0.3, -0.7, 0.5):
        look = estimate(make_box(size=(0.1, 0.1, 0.2), axis=(0, 0, 1), angle_rad=yaw), yaw_stddev_rad=no_yaw)
        np.testing.assert_allclose(settle(known, look).box.rotation, np.eye(3), atol=1e-9)
    tilted = known
    for _ in range(12):
        look = estimate(make_box(size=(0.1, 0.1, 0.2), axis=(1, 0, 0), angle_rad=0.2), yaw_stddev_rad=no_yaw)
        tilted = settle(tilted, look)
    np.testing.assert_allclose(tilted.box.rotation, rotation_about_axis([1, 0, 0], 0.2), atol=1e-3)


def test_a_toppled_object_takes_the_look_as_it_is_and_nothing_between() -> None:
    upright, lying = make_box(size=(0.07, 0.07, 0.14)), make_box(size=(0.14, 0.07, 0.07))
    known = estimate(upright)
    for _ in range(20):
        known = settle(known, estimate(upright))
    np.testing.assert_array_equal(settle(known, estimate(lying)).box.corners, lying.corners)


@settings(max_examples=100, deadline=None)
@given(st.tuples(*[st.floats(0.02, 0.5)] * 6), st.floats(-3, 3), st.floats(-3, 3))
def test_two_upright_boxes_never_make_a_tilted_one(sizes: tuple[float, ...], yaw: float, other_yaw: float) -> None:
    known = estimate(make_box(size=sizes[:3], axis=(0, 0, 1), angle_rad=yaw))
    look = estimate(make_box(size=sizes[3:], axis=(0, 0, 1), angle_rad=other_yaw))
    vertical = np.abs(settle(known, look).box.rotation[2])
    np.testing.assert_allclose(np.sort(vertical), (0, 0, 1), atol=1e-6)


def test_a_look_without_uncertainty_gets_a_cautious_one() -> None:
    guess = estimate_of(make_detection(size=(0.1, 0.2, 0.3))).uncertainty
    assert np.sqrt(guess.center_covariance_m2[0, 0]) == pytest.approx(0.02)
    np.testing.assert_allclose(guess.size_stddev_m, (0.01, 0.02, 0.03))
