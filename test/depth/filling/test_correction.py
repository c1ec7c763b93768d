"""The smooth field that follows what scale and shift leave over."""

from __future__ import annotations

import numpy as np

from depth.filling.scenes_for_filling import BOX, HEIGHT, WIDTH, bias, true_depth
from n3d_ros.depth.filling.correction import correction_field

EVERYWHERE = np.ones((HEIGHT, WIDTH), np.bool_)


def test_a_constant_ratio_is_found_at_every_pixel() -> None:
    sensor = (1.1 * true_depth()).astype(np.float32)
    ratio, spread, disagreeing = correction_field(sensor, true_depth(), EVERYWHERE, largest=0.25).at(
        true_depth(), EVERYWHERE
    )
    np.testing.assert_allclose(ratio, np.log(1.1), atol=1e-3)
    assert spread.max() < 1e-2 and disagreeing.max() == 0


def test_a_slow_bias_is_followed_across_a_hole() -> None:
    aligned = (true_depth() / bias(0.06)).astype(np.float32)
    hole = np.zeros_like(EVERYWHERE)
    hole[85:105, 115:140] = True
    ratio, _, _ = correction_field(true_depth(), aligned, ~hole, largest=0.25).at(aligned, hole)
    np.testing.assert_allclose(np.exp(ratio), bias(0.06)[hole], rtol=0.015)


def test_what_is_seen_on_a_wall_does_not_bend_the_box_before_it() -> None:
    """The wall is 10 % off, the box is not: at the box's own depth the field says so right up to its edge."""
    aligned = true_depth()
    sensor = aligned.copy()
    sensor[aligned == 3.0] *= 1.1
    box = np.zeros_like(EVERYWHERE)
    box[BOX] = True
    ratio, _, _ = correction_field(sensor, aligned, EVERYWHERE, largest=0.25).at(aligned, box)
    assert np.abs(ratio).max() < 0.01


def test_far_from_any_evidence_there_is_no_correction() -> None:
    sensor = (1.1 * true_depth()).astype(np.float32)
    left, right = np.zeros_like(EVERYWHERE), np.zeros_like(EVERYWHERE)
    left[:, :10], right[:, 130:] = True, True
    field = correction_field(sensor, true_depth(), left, largest=0.25)
    np.testing.assert_allclose(field.at(true_depth(), left)[0], np.log(1.1), atol=1e-3)
    assert np.abs(field.at(true_depth(), right)[0]).max() < 1e-3


def test_differences_too_large_for_a_bias_count_as_other_surfaces() -> None:
    sensor = true_depth()
    sensor[BOX] = 3.0  # a pane of glass: the wall behind it is measured
    box = np.zeros_like(EVERYWHERE)
    box[55:85, 65:95] = True
    _, _, disagreeing = correction_field(sensor, true_depth(), EVERYWHERE, largest=0.25).at(true_depth(), box)
    assert np.median(disagreeing) > 0.5


def test_readings_that_contradict_each_other_are_spread() -> None:
    rng = np.random.default_rng(0)
    sensor = (true_depth() * np.exp(rng.normal(0, 0.08, EVERYWHERE.shape))).astype(np.float32)
    _, spread, _ = correction_field(sensor, true_depth(), EVERYWHERE, largest=0.5).at(true_depth(), EVERYWHERE)
    np.testing.assert_allclose(np.median(spread), 0.08, rtol=0.1)
