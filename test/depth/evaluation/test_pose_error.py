"""Pose errors of all pairs and their AUC, on cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from n3d_ros.depth.evaluation.pose_error import auc, pair_errors
from n3d_ros.depth.similarity import Similarity
from n3d_ros.errors import InputError
from n3d_ros.geometry.transforms import RigidTransform, rotation_about_axis


def pose(x: float, y: float, z: float = 0.0, *, turn_deg: float = 0.0, axis: tuple[float, float, float] = (0, 0, 1)):
    """A camera at a place, turned about an axis."""
    return RigidTransform(rotation=rotation_about_axis(axis, np.radians(turn_deg)), translation=np.array([x, y, z]))


def wandering_poses(count: int, seed: int = 0) -> list[RigidTransform]:
    rng = np.random.default_rng(seed)
    return [
        RigidTransform(
            rotation=rotation_about_axis(rng.normal(size=3), rng.uniform(0, 3)), translation=rng.normal(size=3)
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize("released", [False, True])
def test_the_true_poses_have_no_error_and_an_auc_of_one(released: bool) -> None:
    poses = wandering_poses(7)
    errors = pair_errors(poses, poses, released_formula=released)
    assert len(errors.worst_deg) == 7 * 6 / 2
    assert errors.worst_deg.max() < 1e-6
    assert auc(errors.worst_deg, 3) == auc(errors.worst_deg, 30) == 1.0


@given(st.integers(0, 10_000), st.floats(0.01, 100))
def test_frame_and_scale_of_the_prediction_do_not_matter(seed: int, scale: float) -> None:
    true = wandering_poses(5, seed)
    elsewhere = Similarity(scale=scale, rotation=true[0].rotation, translation=np.array([4.0, -2.0, 9.0]))
    errors = pair_errors([elsewhere.apply_to_pose(p) for p in true], true)
    assert errors.worst_deg.max() < 1e-5


def test_a_camera_turned_about_its_axis_is_off_by_that_angle_in_its_pairs() -> None:
    # Four cameras in a row across their view: turning one about its axis turns what it sees of the others as much.
    true = [pose(x, 0) for x in range(4)]
    predicted = [*true[:1], pose(1, 0, turn_deg=2.5), *true[2:]]
    errors = pair_errors(predicted, true)
    in_pair = np.array([1, 0, 0, 1, 1, 0], dtype=bool)  # (0,1) (0,2) (0,3) (1,2) (1,3) (2,3)
    np.testing.assert_allclose(errors.rotation_deg, np.where(in_pair, 2.5, 0), atol=1e-9)
    # As the second of a pair it is where it should be; as the first it sees the others in a turned direction.
    np.testing.assert_allclose(errors.translation_deg, [0, 0, 0, 2.5, 2.5, 0], atol=1e-9)
    # Half of the pairs below 1 and 2 degrees, all below 3.
    assert auc(errors.worst_deg, 3) == pytest.approx((0.5 + 0.5 + 1) / 3)
    assert auc(errors.worst_deg, 30) == pytest.approx((0.5 + 0.5 + 28) / 30)


def test_a_camera_in_the_wrong_place_is_off_by_the_direction() -> None:
    true = [pose(0, 0), pose(1, 0), pose(0, 1)]
    predicted = [true[0], pose(np.cos(np.radians(10)), np.sin(np.radians(10))), true[2]]
    errors = pair_errors(predicted, true)
    np.testing.assert_allclose(errors.rotation_deg, 0, atol=1e-9)
    # From the moved camera, at 10 degrees on the unit circle, to the one at 90: the chord stands at 140 instead of 135.
    np.testing.assert_allclose(errors.translation_deg, [10, 0, 5], atol=1e-9)
    # Bins of one degree up to 30: a third below 1 to 5, two thirds below 6 to 10, all from 11 on.
    assert auc(errors.worst_deg + 1e-9, 30) == pytest.approx((5 * 1 / 3 + 5 * 2 / 3 + 20) / 30)
    assert auc(errors.worst_deg, 3) == pytest.approx(1 / 3)


def test_the_sign_of_a_direction_does_not_count() -> None:
    errors = pair_errors([pose(0, 0), pose(-3, 0)], [pose(0, 0), pose(1, 0)])
    assert errors.translation_deg == pytest.approx([0])


def test_cameras_in_one_place_are_judged_by_their_rotation() -> None:
    true = [pose(0, 0), pose(0, 0, turn_deg=20)]
    errors = pair_errors([pose(0, 0), pose(0.5, 0, turn_deg=24)], true)
    assert np.isnan(errors.translation_deg).all() and errors.without_direction == 1
    assert errors.worst_deg == pytest.approx([4])


def test_a_prediction_that_does_not_move_has_no_direction_and_is_wrong() -> None:
    assert pair_errors([pose(0, 0)] * 2, [pose(0, 0), pose(1, 0)]).translation_deg == pytest.approx([90])


def test_a_view_without_pose_is_wrong_in_all_its_pairs() -> None:
    true = wandering_poses(4)
    errors = pair_errors([*true[:3], None], true)
    assert sorted(np.round(errors.worst_deg)) == [0, 0, 0, 180, 180, 180]
    assert auc(errors.worst_deg, 30) == 0.5


def test_the_released_formula_is_another_measure_of_the_same_fault() -> None:
    """inv(E_i) E_j of world-to-camera matrices, worked out for a camera turned by 2.5 degrees about its axis.

    With all true rotations one, E_k = [1 | -c_k]; the turned camera 1 has E_1 = [R' | -R' c_1]. For the pair (0, 1)
    the translation is -R' c_1 instead of -c_1: the direction is off by the turn, where the pose of camera 1 in
    camera 0 has its right place.
    """
    true = [pose(0, 0), pose(1, 0), pose(2, 0)]
    predicted = [true[0], pose(1, 0, turn_deg=2.5), true[2]]
    released = pair_errors(predicted, true, released_formula=True)
    np.testing.assert_allclose(released.rotation_deg, [2.5, 0, 2.5], atol=1e-9)
    assert released.translation_deg[0] == pytest.approx(2.5)
    assert pair_errors(predicted, true).translation_deg[0] == pytest.approx(0, abs=1e-9)


def test_an_error_at_the_threshold_still_counts() -> None:
    # numpy's last bin holds its right edge, as in the released program.
    assert auc([3.0], 3) == pytest.approx(1 / 3)
    assert auc([3.0001], 3) == 0
    assert auc([np.nan, 0.0], 3) == 0.5


def test_too_few_views_and_lists_of_different_length_are_refused() -> None:
    with pytest.raises(InputError, match="two views or more"):
        pair_errors([pose(0, 0)], [pose(0, 0)])
    with pytest.raises(InputError, match="got 1 for 2"):
        pair_errors([pose(0, 0)], [pose(0, 0), pose(1, 0)])
    with pytest.raises(InputError, match="AUC"):
        auc([], 3)
