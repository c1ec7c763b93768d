"""Predicted trajectories laid onto true ones."""

from __future__ import annotations

import numpy as np
import pytest

from n3d_ros.depth.evaluation.trajectory import align_trajectory
from n3d_ros.depth.similarity import Similarity
from n3d_ros.errors import InputError
from n3d_ros.geometry.transforms import RigidTransform, rotation_about_axis
from room_sequences import room_poses

PREDICTED_S_TRUE = Similarity(
    scale=0.4, rotation=rotation_about_axis([1.0, 2.0, -0.5], 0.8), translation=np.array([3.0, -1.0, 2.0])
)


def moved(poses: list[RigidTransform]) -> list[RigidTransform]:
    """The same trajectory in another frame and unit."""
    return [PREDICTED_S_TRUE.apply_to_pose(pose) for pose in poses]


def largest_error(poses: list[RigidTransform], similarity: Similarity, true: list[RigidTransform]) -> float:
    """Largest entry by which aligned poses differ from the true ones."""
    pairs = zip(poses, true, strict=True)
    return max(float(np.abs(similarity.apply_to_pose(p).matrix - t.matrix).max()) for p, t in pairs)


@pytest.mark.parametrize("count", [3, 9, 20])
def test_another_frame_and_unit_are_undone(count: int) -> None:
    true = room_poses(count)
    got = align_trajectory(moved(true), true)
    assert got.method == "positions" and got.true_S_predicted.scale == pytest.approx(1 / 0.4)
    assert largest_error(moved(true), got.true_S_predicted, true) < 1e-9 and got.ate_m < 1e-9


def test_a_few_lost_cameras_do_not_bend_the_alignment() -> None:
    true = room_poses(20)
    predicted = moved(true)
    for k in (2, 11, 17):
        lost = predicted[k].translation + np.array([2.0, -1.0, 1.5])
        predicted[k] = RigidTransform(rotation=predicted[k].rotation, translation=lost)
    got = align_trajectory(predicted, true)
    kept = [k for k in range(20) if k not in (2, 11, 17)]
    assert largest_error([predicted[k] for k in kept], got.true_S_predicted, [true[k] for k in kept]) < 1e-9
    assert got.inliers == 17
    # Their own error stays in the trajectory error: three of twenty are off by |(2, -1, 1.5)| / 0.4.
    assert got.ate_m == pytest.approx(np.sqrt(3 / 20 * 7.25 / 0.4**2))


@pytest.mark.parametrize("count", [2, 6])
def test_straight_lines_and_two_views_are_aligned_by_their_orientations(count: int) -> None:
    true = [
        RigidTransform(rotation=rotation_about_axis([0, 1, 0], 0.1 * k), translation=np.array([0.2 * k, 0, 0.1 * k]))
        for k in range(count)
    ]
    got = align_trajectory(moved(true), true)
    assert got.method == "orientations" and got.has_scale
    assert largest_error(moved(true), got.true_S_predicted, true) < 1e-6


def test_a_nearly_straight_trajectory_is_not_rolled_about_itself_by_noise() -> None:
    true = [
        RigidTransform(
            rotation=rotation_about_axis([0, 1, 0], 0.03 * k), translation=np.array([0.1 * k, 0, 0.001 * k**2])
        )
        for k in range(12)
    ]
    noise = np.random.default_rng(4).normal(scale=0.02, size=(12, 3))
    predicted = moved(
        [RigidTransform(rotation=p.rotation, translation=p.translation + n) for p, n in zip(true, noise, strict=True)]
    )
    got = align_trajectory(predicted, true)
    assert got.method == "orientations"
    for pose, wanted in zip(predicted, true, strict=True):
        assert got.true_S_predicted.apply_to_pose(pose).is_close(wanted, translation_m=0.1, rotation_rad=1e-6)


def test_cameras_that_stand_still_tell_no_scale() -> None:
    true = [RigidTransform(rotation=rotation_about_axis([0, 1, 0], 0.2 * k), translation=np.ones(3)) for k in range(4)]
    got = align_trajectory(moved(true), true)
    assert not got.has_scale and got.true_S_predicted.scale == 1
    assert largest_error(moved(true), got.true_S_predicted, true) < 1e-9


def test_the_alignment_is_the_same_every_time() -> None:
    true = room_poses(15)
    noise = np.random.default_rng(0).normal(scale=0.05, size=(15, 3))
    noisy = [
        RigidTransform(rotation=p.rotation, translation=p.translation + n) for p, n in zip(true, noise, strict=True)
    ]
    first, again = (align_trajectory(noisy, true) for _ in range(2))
    assert np.array_equal(first.true_S_predicted.matrix, again.true_S_predicted.matrix)
    assert 0.01 < first.ate_m < 0.15


def test_lists_of_different_length_are_refused() -> None:
    with pytest.raises(InputError, match="as many predicted"):
        align_trajectory(room_poses(3), room_poses(4))
