"""Depth errors on numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from n3d_ros.depth.evaluation.depth_error import (
    DepthAlignment,
    DepthError,
    aligned_depth,
    depth_error,
    mean_error,
)
from n3d_ros.errors import InputError

TRUE = np.random.default_rng(3).uniform(0.5, 8, (30, 40))


@pytest.mark.parametrize("alignment", list(DepthAlignment))
def test_the_truth_has_no_error(alignment: DepthAlignment) -> None:
    error = depth_error(TRUE, TRUE, alignment=alignment)
    assert error.delta1 == 1 and error.coverage == 1 and error.pixels == TRUE.size
    assert error.abs_rel == pytest.approx(0, abs=1e-12) and error.rmse_m == pytest.approx(0, abs=1e-12)


def test_depth_a_tenth_too_large_has_an_abs_rel_of_a_tenth() -> None:
    error = depth_error(1.1 * TRUE, TRUE)
    assert error.abs_rel == pytest.approx(0.1) and error.delta1 == 1
    assert error.rmse_m == pytest.approx(0.1 * np.sqrt((TRUE**2).mean()))


def test_numbers_worked_out_by_hand() -> None:
    # Ratios 1, 1.25 (not below 1.25), 2, 1.2; relative errors 0, 0.25, 0.5, 0.2; differences 0, 1, 1, 0.2.
    error = depth_error([[1.0, 5.0, 1.0, 1.2]], [[1.0, 4.0, 2.0, 1.0]])
    assert error.delta1 == 0.5
    assert error.abs_rel == pytest.approx((0.25 + 0.5 + 0.2) / 4)
    assert error.rmse_m == pytest.approx(np.sqrt((1 + 1 + 0.04) / 4))


def test_the_median_alignment_takes_one_factor_out() -> None:
    error = depth_error(0.3 * TRUE, TRUE, alignment=DepthAlignment.MEDIAN)
    assert error.scale == pytest.approx(1 / 0.3) and error.abs_rel == pytest.approx(0, abs=1e-12)
    assert depth_error(0.3 * TRUE, TRUE).delta1 == 0


def test_the_affine_alignment_takes_factor_and_offset_out_and_the_median_does_not() -> None:
    predicted = (TRUE - 0.4) / 2.5
    error = depth_error(predicted, TRUE, alignment=DepthAlignment.AFFINE)
    assert (error.scale, error.shift_m) == pytest.approx((2.5, 0.4))
    assert error.abs_rel == pytest.approx(0, abs=1e-9)
    assert depth_error(predicted, TRUE, alignment=DepthAlignment.MEDIAN).abs_rel > 0.01


def test_depth_of_one_value_is_aligned_by_a_factor_alone() -> None:
    error = depth_error(np.full(TRUE.shape, 2.0), TRUE, alignment=DepthAlignment.AFFINE)
    assert error.scale == pytest.approx(np.median(TRUE) / 2) and error.shift_m == 0


def test_an_affine_fit_leaves_no_depth_below_zero() -> None:
    aligned, _, _ = aligned_depth([[1.0, 2, 3, 0.01, np.nan]], [[0.5, 4, 9, np.nan, 3]], DepthAlignment.AFFINE)
    assert np.nanmin(aligned) > 0 and np.isnan(aligned[0, 4])


def test_only_pixels_with_both_depths_count_and_the_share_is_told() -> None:
    true, predicted = TRUE.copy(), TRUE.copy()
    true[0] = np.nan
    true[1] = 0
    predicted[2] = np.nan
    predicted[3] = 55
    true[3] = 9.5
    error = depth_error(predicted, true, max_depth_m=9.0)
    assert error.abs_rel == 0 and error.pixels == 26 * 40
    assert error.coverage == pytest.approx(26 / 27)


def test_images_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(InputError, match="one size"):
        depth_error(TRUE[:10], TRUE)
    with pytest.raises(InputError, match="at least one pixel"):
        depth_error(np.full_like(TRUE, np.nan), TRUE)


def test_every_image_counts_alike_in_the_mean() -> None:
    many = DepthError(delta1=1.0, abs_rel=0.1, rmse_m=0.2, pixels=1000, coverage=1.0, scale=1.0)
    few = DepthError(delta1=0.0, abs_rel=0.3, rmse_m=0.4, pixels=10, coverage=0.5, scale=3.0)
    mean = mean_error([many, few])
    assert (mean.delta1, mean.abs_rel, mean.rmse_m, mean.pixels) == pytest.approx((0.5, 0.2, 0.3, 1010))
    with pytest.raises(InputError, match="one image or more"):
        mean_error([])
