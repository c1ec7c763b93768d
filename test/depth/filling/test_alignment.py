"""Scale and shift from a model's depth to measured depth."""

from __future__ import annotations

import numpy as np
import pytest

from depth.filling.scenes_for_filling import true_depth
from n3d_ros.depth.filling import Alignment, align

EVERYWHERE = np.ones(true_depth().shape, np.bool_)


def _model(scale: float, shift: float, *, inverse: bool = False) -> np.ndarray:
    """Depth that ``scale`` and ``shift`` bring back to the truth."""
    true = true_depth()
    return (1 / ((1 / true - shift) / scale) if inverse else (true - shift) / scale).astype(np.float32)


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (2.5, 0.3), (0.4, -0.2)])
def test_an_exact_scale_and_shift_of_depth_is_found(scale: float, shift: float) -> None:
    found = align(true_depth(), _model(scale, shift), EVERYWHERE)
    assert found is not None and found.domain == "depth"
    assert (found.scale, found.shift) == pytest.approx((scale, shift), abs=2e-4)


def test_an_exact_scale_and_shift_of_inverse_depth_is_found() -> None:
    model = _model(1.7, 0.1, inverse=True)
    found = align(true_depth(), model, EVERYWHERE)
    assert found is not None and found.domain == "inverse"
    np.testing.assert_allclose(found.apply(model), true_depth(), rtol=1e-3)


@pytest.mark.parametrize("inverse", [False, True])
def test_the_ratio_is_that_of_depth_whatever_the_domain(inverse: bool) -> None:
    found = align(true_depth(), _model(2.0, 0.0, inverse=inverse), EVERYWHERE, domain="inverse" if inverse else "depth")
    assert found is not None
    assert found.ratio == pytest.approx(0.5 if inverse else 2.0, rel=1e-3)


def test_a_third_of_wrong_pixels_changes_nothing() -> None:
    sensor = true_depth()
    rng = np.random.default_rng(0)
    wrong = rng.random(sensor.shape) < 0.33
    sensor[wrong] = rng.uniform(0.3, 6.0, int(wrong.sum())).astype(np.float32)
    found = align(sensor, _model(2.5, 0.3), EVERYWHERE)
    assert found is not None
    assert (found.scale, found.shift) == pytest.approx((2.5, 0.3), rel=0.02)
    assert found.inlier_share < 0.75


def test_a_large_wrong_object_does_not_pull_the_fit() -> None:
    """What a plain least squares gets wrong: a pane of glass through which the sensor sees the wall."""
    sensor = true_depth()
    sensor[40:100, 30:130] = 3.0
    model = _model(2.0, 0.2)
    found = align(sensor, model, EVERYWHERE)
    assert found is not None
    unharmed = np.s_[100:, :]
    np.testing.assert_allclose(found.apply(model)[unharmed], true_depth()[unharmed], rtol=0.02)


def test_on_a_flat_wall_no_shift_is_made_up() -> None:
    wall = np.full((60, 80), 2.0, np.float32)
    rng = np.random.default_rng(1)
    sensor = (wall + rng.normal(0, 0.01, wall.shape)).astype(np.float32)
    model = (wall / 2 + rng.normal(0, 0.005, wall.shape)).astype(np.float32)
    found = align(sensor, model, np.ones(wall.shape, np.bool_))
    assert found is not None and not found.shift_known
    assert found.shift == 0 and found.scale == pytest.approx(2.0, rel=0.01)


def test_depth_that_runs_the_wrong_way_has_no_alignment_that_fits() -> None:
    model = (4 - true_depth()).astype(np.float32)
    found = align(true_depth(), model, EVERYWHERE, domain="depth")
    assert found is None or (found.scale > 0 and found.error > 0.1)


def test_the_same_images_give_the_same_alignment() -> None:
    rng = np.random.default_rng(2)
    sensor = (true_depth() * (1 + rng.normal(0, 0.02, EVERYWHERE.shape))).astype(np.float32)
    first, second = (align(sensor, _model(1.3, 0.1), EVERYWHERE) for _ in range(2))
    assert first == second


def test_depth_outside_the_line_is_none() -> None:
    figures = {"error": 0.0, "mean_error": 0.0, "inlier_share": 1.0, "ratio": 1.0}
    line = Alignment(domain="depth", scale=1.0, shift=-0.5, shift_known=True, **figures)
    assert np.isnan(line.apply(np.array([0.4], np.float32))).all()
    pole = Alignment(domain="inverse", scale=1.0, shift=-0.5, shift_known=True, **figures)
    assert np.isnan(pole.apply(np.array([2.5], np.float32))).all()


def test_two_pixels_are_needed() -> None:
    one = np.zeros(EVERYWHERE.shape, np.bool_)
    one[5, 5] = True
    assert align(true_depth(), true_depth(), one) is None


def test_a_model_of_another_scene_is_not_squeezed_to_one_depth() -> None:
    """A scale near 0 and a shift to the middle of the scene would bring anything near it."""
    noise = np.random.default_rng(3).uniform(0.5, 5.0, EVERYWHERE.shape).astype(np.float32)
    found = align(true_depth(), noise, EVERYWHERE)
    assert found is None or (not found.shift_known and found.error > 0.2)
