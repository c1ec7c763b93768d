"""Points of surfaces, down-sampling and the distances between two sets, on shapes with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from n3d_ros.depth.evaluation.surfaces import (
    Surface,
    compare_points,
    inside_box_of,
    sample_points,
    voxel_downsample,
)
from n3d_ros.errors import InputError


def square(side: float, z: float = 0.0) -> Surface:
    """A square in two triangles."""
    corners = np.array([[0, 0, z], [side, 0, z], [side, side, z], [0, side, z]], dtype=np.float64)
    return Surface(vertices=corners, triangles=np.array([[0, 1, 2], [0, 2, 3]]))


def test_points_lie_on_the_triangles_and_spread_evenly() -> None:
    points = sample_points(square(2.0, z=0.7), 40_000, seed=1)
    np.testing.assert_allclose(points[:, 2], 0.7)
    assert points.min() >= 0 and points.max() <= 2
    counts, _, _ = np.histogram2d(points[:, 0], points[:, 1], bins=4)
    np.testing.assert_allclose(counts, 2500, atol=5 * 50)  # five standard deviations


def test_a_large_triangle_gets_its_share_and_one_without_area_none() -> None:
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 5], [3, 0, 5], [0, 3, 5], [0, 0, 9]], dtype=np.float64)
    surface = Surface(vertices=vertices, triangles=np.array([[6, 6, 6], [0, 1, 2], [3, 4, 5]]))
    heights = sample_points(surface, 10_000, seed=2)[:, 2].round(9)
    assert set(np.unique(heights)) == {0.0, 5.0}
    assert (heights == 5).mean() == pytest.approx(0.9, abs=0.02)  # areas 1 : 9


def test_the_same_seed_gives_the_same_points() -> None:
    first, again, other = (sample_points(square(1.0), 50, seed=seed) for seed in (4, 4, 5))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_nothing_is_sampled_from_nothing() -> None:
    empty = Surface(vertices=np.empty((0, 3)), triangles=np.empty((0, 3), dtype=np.int64))
    assert empty.is_empty and sample_points(empty, 10, seed=0).shape == (0, 3)


def test_points_in_one_cube_become_their_mean() -> None:
    points = [[0, 0, 0], [0.04, 0, 0], [1, 1, 1], [1.02, 1.02, 1.02], [5, 5, 5]]
    got = voxel_downsample(points, 0.1)
    np.testing.assert_allclose(got, [[0.02, 0, 0], [1.01, 1.01, 1.01], [5, 5, 5]])


def test_an_extent_that_cannot_be_divided_is_refused() -> None:
    with pytest.raises(InputError, match="cannot be divided"):
        voxel_downsample([[0, 0, 0], [1e9, 1e9, 1e9]], 0.001)


def test_equal_surfaces_have_f1_one_and_no_distance() -> None:
    points = sample_points(square(1.0), 2000, seed=0)
    score = compare_points(points, points, threshold_m=0.01)
    assert (score.f1, score.precision, score.recall, score.overall_m) == (1, 1, 1, 0)


def test_a_surface_that_is_shifted_is_off_by_that_distance() -> None:
    points = sample_points(square(1.0), 2000, seed=0)
    shifted = points + np.array([0, 0, 0.03])
    score = compare_points(shifted, points, threshold_m=0.05)
    assert score.f1 == 1 and score.accuracy_m == pytest.approx(0.03, abs=1e-3)
    assert compare_points(shifted, points, threshold_m=0.02).f1 == 0


def test_numbers_worked_out_by_hand() -> None:
    # Predicted at 0 and 1, true at 0, 3 and 5. Distances to true: 0, 1; to predicted: 0, 2, 4.
    score = compare_points([[0, 0, 0], [1, 0, 0]], [[0, 0, 0], [3, 0, 0], [5, 0, 0]], threshold_m=0.5)
    assert (score.accuracy_m, score.completeness_m, score.overall_m) == pytest.approx((0.5, 2, 1.25))
    assert (score.precision, score.recall) == pytest.approx((1 / 2, 1 / 3))
    assert score.f1 == pytest.approx(0.4)


def test_no_predicted_surface_scores_nothing_and_no_true_one_is_refused() -> None:
    score = compare_points(np.empty((0, 3)), [[0, 0, 0]], threshold_m=0.05)
    assert score.f1 == 0 and np.isnan(score.overall_m)
    with pytest.raises(InputError, match="true points"):
        compare_points([[0, 0, 0]], np.empty((0, 3)), threshold_m=0.05)


def test_points_outside_the_box_of_the_truth_are_left_out() -> None:
    kept = inside_box_of(np.array([[0.5, 0.5, 0], [1.09, 0, 0], [1.11, 0, 0]]), square(1.0).vertices, 0.1)
    np.testing.assert_allclose(kept, [[0.5, 0.5, 0], [1.09, 0, 0]])
