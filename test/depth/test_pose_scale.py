"""Scale from poses on generated trajectories, with the error that each kind of motion and noise leaves.

Predicted positions are given ones turned, shifted, scaled by ``TRUE`` network units per metre, and made worse. Bounds
are over fifty draws of the noise; what was measured stands beside them.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from n3d_ros.depth.pose_scale import (
    MAX_DISAGREEMENT,
    PoseScale,
    ScaleMethod,
    pose_scale,
    reference_similarity,
    scale_between,
)
from n3d_ros.errors import InputError
from n3d_ros.geometry.transforms import rotation_about_axis

Points = NDArray[np.float64]
TRUE = 0.37
DRAWS = 50


def circle(count: int = 12, radius_m: float = 1.0) -> Points:
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return radius_m * np.stack([np.cos(angle), 0 * angle, np.sin(angle)], axis=1)


def line(count: int = 12, length_m: float = 3.0) -> Points:
    return np.outer(np.linspace(0, length_m, count), [0.0, 0.6, 0.8])


def predicted(given: Points, *, noise_m: float = 0.0, wrong: float = 0.0, seed: int = 0) -> Points:
    """What a network would say; ``wrong`` is the share of views put up to 2 m away along each axis."""
    generator = np.random.default_rng(seed)
    centers = TRUE * (given @ rotation_about_axis([1, 2, 3], 1.0).T) + np.array([1, 2, 3])
    centers += TRUE * noise_m * generator.normal(size=given.shape)
    outliers = generator.choice(len(given), round(wrong * len(given)), replace=False)
    centers[outliers] += TRUE * generator.uniform(-2, 2, (len(outliers), 3))
    return centers


def draws(given: Points, *, noise_m: float, wrong: float = 0.0) -> list[PoseScale]:
    return [pose_scale(predicted(given, noise_m=noise_m, wrong=wrong, seed=s), given) for s in range(DRAWS)]


def largest_error(results: list[PoseScale]) -> float:
    return max(abs(r.scale / TRUE - 1) if r.scale is not None else np.inf for r in results)


@pytest.mark.parametrize(
    "given",
    [circle(), circle(50), line(), line(2, 0.5), line(3, 0.06), circle() + 1e4],
    ids=["circle", "fifty views", "straight line", "two views", "six centimetres", "far from the origin"],
)
def test_exact_poses_give_the_exact_scale(given: Points) -> None:
    assert scale_between(predicted(given), given) == pytest.approx(TRUE, rel=1e-9)


@pytest.mark.parametrize(
    ("given", "noise_m", "wrong", "bound"),
    [
        (circle(), 0.01, 0.0, 0.01),  # measured 0.006
        (circle(), 0.01, 0.2, 0.01),  # 0.007
        (circle(), 0.03, 0.2, 0.03),  # 0.022
        (circle(50), 0.03, 0.2, 0.02),  # 0.012
        (line(), 0.01, 0.0, 0.01),  # 0.009
        (line(), 0.01, 0.2, 0.01),  # 0.009
        (line(), 0.03, 0.2, 0.03),  # 0.026
        (line(2, 0.5), 0.01, 0.0, 0.07),  # 0.066: nothing to average over
        (line(8, 0.2), 0.005, 0.0, 0.09),  # 0.082
    ],
)
def test_noisy_and_wrong_poses_leave_a_bounded_error(given: Points, noise_m: float, wrong: float, bound: float) -> None:
    assert largest_error(draws(given, noise_m=noise_m, wrong=wrong)) < bound


def test_a_fifth_of_wrong_poses_alone_leaves_none() -> None:
    assert largest_error(draws(circle(), noise_m=0, wrong=0.2)) < 1e-12
    assert largest_error(draws(line(), noise_m=0, wrong=0.2)) < 1e-12


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_views_tell_no_scale(count: int) -> None:
    result = pose_scale(np.zeros((count, 3)), np.zeros((count, 3)))
    assert result.scale is None and "view" in result.reason


@pytest.mark.parametrize("noise_m", [0.0, 0.01, 0.1])
def test_a_standing_rig_tells_no_scale_however_the_network_shakes(noise_m: float) -> None:
    given = np.zeros((6, 3)) + 5
    results = draws(given, noise_m=noise_m)
    assert all(r.scale is None and "less than 0.05 m" in r.reason for r in results)


def test_a_rig_that_shakes_by_less_than_the_threshold_stands() -> None:
    given = np.random.default_rng(0).normal(size=(10, 3)) * 0.005
    assert pose_scale(predicted(given), given).scale is None
    assert pose_scale(predicted(given), given, min_baseline_m=0.001).scale == pytest.approx(TRUE)


@pytest.mark.parametrize(("length_m", "noise_m"), [(0.06, 0.01), (0.1, 0.02), (0.2, 0.05)])
def test_movement_within_the_noise_tells_no_scale_and_says_by_how_much(length_m: float, noise_m: float) -> None:
    results = draws(line(8, length_m), noise_m=noise_m)
    assert all(r.scale is None and "disagree" in r.reason and r.disagreement > MAX_DISAGREEMENT for r in results)


def test_a_network_that_sees_no_movement_tells_no_scale() -> None:
    result = pose_scale(np.zeros((4, 3)), line(4))
    assert result.scale is None and "hardly any movement" in result.reason


def test_cameras_close_together_for_what_they_see_tell_no_scale() -> None:
    given = line(2, 0.5)
    assert pose_scale(predicted(given), given, predicted_depth=1.0).scale == pytest.approx(TRUE)
    far = pose_scale(predicted(given), given, predicted_depth=100.0)
    assert far.scale is None and "hardly any movement" in far.reason


@pytest.mark.parametrize(
    ("parallax", "bound"), [(0.01, 0.01), (0.015, 0.03), (0.02, 0.1), (0.025, 0.3), (0.04, 1.0)]
)  # measured 0.002, 0.012, 0.054, 0.246, 0.962
def test_closer_cameras_than_the_bound_hardly_pass_by_chance_and_errors_are_as_promised(
    parallax: float, bound: float
) -> None:
    """Errors lengthen a distance, so what passes by chance would come out too near."""
    generator = np.random.default_rng(0)
    given, depth_m = line(2, 0.2), 0.2 / parallax
    passed = wrong = 0
    for _ in range(500):
        error = generator.normal(size=(2, 3)) * 0.01 * depth_m / np.sqrt(6)  # between the two a hundredth of the depth
        found = pose_scale(TRUE * (given + error), given, predicted_depth=TRUE * depth_m)
        passed += found.scale is not None
        wrong += found.scale is not None and abs(TRUE / found.scale - 1) > found.expected_error
    assert passed <= bound * 500
    assert wrong < 0.08 * 500  # measured at most 0.054


def test_poses_that_contradict_each_other_tell_no_scale() -> None:
    generator = np.random.default_rng(0)
    results = [pose_scale(generator.normal(size=(8, 3)), generator.normal(size=(8, 3))) for _ in range(DRAWS)]
    assert all(r.scale is None for r in results)


def test_the_references_similarity_agrees_where_it_exists_and_is_none_where_the_reference_raises() -> None:
    for count in (5, 12, 50):
        given = circle(count)
        assert scale_between(predicted(given), given, method=ScaleMethod.SIM3) == pytest.approx(TRUE, rel=1e-12)
    for given in (line(), line(2, 0.5), line(30)):
        result = pose_scale(predicted(given), given, method=ScaleMethod.SIM3)
        assert result.scale is None and "line" in result.reason


def test_from_ten_views_the_reference_leaves_wrong_poses_out() -> None:
    nine, ten = circle(9), circle(10)
    few = reference_similarity(predicted(nine, wrong=0.2, seed=3), nine)
    many = reference_similarity(predicted(ten, wrong=0.2, seed=3), ten)
    assert few is not None and abs(few.scale / TRUE - 1) > 0.01
    assert many is not None and many.scale == pytest.approx(TRUE, rel=1e-9)


def test_the_same_poses_give_the_same_scale() -> None:
    given = circle(20)
    centers = predicted(given, noise_m=0.03, wrong=0.2)
    for method in ScaleMethod:
        assert scale_between(centers, given, method=method) == scale_between(centers, given, method=method)


def test_what_is_no_list_of_positions_is_refused() -> None:
    with pytest.raises(InputError, match="of one length"):
        pose_scale(circle(4), circle(5))
    with pytest.raises(InputError, match="finite"):
        pose_scale(circle(4) * np.nan, circle(4))
