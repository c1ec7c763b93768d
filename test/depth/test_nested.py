"""One scale for any-view depth out of metric depth: ours under wrong pixels, the released one by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from n3d_ros.depth.nested import ReferenceNested, reference_alignment, robust_scale
from n3d_ros.errors import GroundingError

HW = (20, 30)
NO_SKY = np.zeros((2, *HW), dtype=np.bool_)


def relative_depth(views: int = 2) -> NDArray[np.float32]:
    return np.random.default_rng(1).uniform(0.5, 3, (views, *HW)).astype(np.float32)


def even(views: int = 2) -> NDArray[np.float32]:
    return np.full((views, *HW), 2.0, dtype=np.float32)


def test_the_scale_is_the_ratio_of_metric_to_any_view_depth() -> None:
    relative = relative_depth()
    fit = robust_scale(relative, even(), relative * np.float32(2.5), NO_SKY)
    assert fit.scale == pytest.approx(2.5)
    assert fit.view_scales == pytest.approx([2.5, 2.5])
    assert fit.agreement.tolist() == [1, 1]
    assert fit.notes == ()


def test_the_scale_stands_while_fewer_than_half_of_the_pixels_are_wrong() -> None:
    relative = relative_depth()
    metres = relative * np.float32(2.5)
    metres[:, :, :13] *= 40  # 13 of 30 columns, such as a mirror
    assert robust_scale(relative, even(), metres, NO_SKY).scale == pytest.approx(2.5, rel=1e-5)


def test_pixels_of_little_confidence_are_left_out() -> None:
    relative = relative_depth()
    metres = relative * np.float32(2.5)
    confidence = even()
    metres[:, :12] *= 3  # more than half are wrong,
    confidence[:, :9] = 1.1  # and most of them know it
    assert robust_scale(relative, confidence, metres, NO_SKY).scale == pytest.approx(2.5, rel=1e-5)


def test_sky_does_not_take_part() -> None:
    relative = relative_depth()
    sky = NO_SKY.copy()
    sky[:, :15] = True
    metres = np.where(sky, 150, relative * 2.5).astype(np.float32)
    assert robust_scale(relative, even(), metres, sky).scale == pytest.approx(2.5, rel=1e-5)


@pytest.mark.parametrize(("value", "field"), [(np.nan, "metric"), (0.009, "metric"), (np.inf, "any"), (0.0009, "any")])
def test_pixels_without_a_usable_depth_do_not_take_part(value: float, field: str) -> None:
    relative = relative_depth()
    metres = relative * np.float32(2.5)
    (metres if field == "metric" else relative)[:, :18] = value
    assert robust_scale(relative, even(), metres, NO_SKY).scale == pytest.approx(2.5, rel=1e-5)


def test_a_view_that_disagrees_is_named_with_its_factor() -> None:
    relative = relative_depth(3)
    metres = relative * np.float32(2.5)
    metres[1] *= 2
    fit = robust_scale(relative, even(3), metres, np.zeros((3, *HW), dtype=np.bool_))
    assert fit.scale == pytest.approx(2.5)
    assert fit.agreement.tolist() == [1, 0, 1]
    assert len(fit.notes) == 1
    assert "View 1 disagrees" in fit.notes[0]
    assert "2.00 times" in fit.notes[0]


def test_a_view_on_which_the_networks_scatter_is_named() -> None:
    relative = relative_depth()
    metres = relative * np.float32(2.5)
    metres[0, ::3] *= 3
    metres[0, 1::3] /= 3
    fit = robust_scale(relative, even(), metres, NO_SKY)
    assert fit.agreement[0] == pytest.approx(0.3)
    assert "on 30% of its pixels only" in fit.notes[0]


def test_agreement_is_within_a_quarter_of_the_metric_depth() -> None:
    relative = np.ones((1, 1, 8), dtype=np.float32)
    ratios = np.array([1, 1, 1, 1, 1, 0.81, 0.79, 1.5], dtype=np.float32)  # 1/0.81 is 1.23, 1/0.79 is 1.27
    fit = robust_scale(relative, relative * 2, ratios.reshape(1, 1, 8), relative < 0)
    assert fit.agreement.tolist() == [6 / 8]


def test_a_view_of_sky_is_named_and_has_no_opinion() -> None:
    relative = relative_depth()
    sky = NO_SKY.copy()
    sky[1] = True
    fit = robust_scale(relative, even(), relative * np.float32(2), sky)
    assert fit.scale == pytest.approx(2)
    assert np.isnan(fit.view_scales[1])
    assert np.isnan(fit.agreement[1])
    assert fit.notes == ("View 1 shows nothing but sky.",)


def test_nothing_to_compare_is_no_scale_and_no_failure() -> None:
    relative = relative_depth()
    fit = robust_scale(relative, even(), np.full_like(relative, np.nan), NO_SKY)
    assert fit.scale is None
    assert np.isnan(fit.agreement).all()


def test_confidence_that_says_nothing_keeps_no_pixel_out() -> None:
    relative = relative_depth()
    fit = robust_scale(relative, np.full_like(relative, np.nan), relative * np.float32(2), NO_SKY)
    assert fit.scale == pytest.approx(2)


# ---- the released code's arithmetic


def reference(**changes: Any) -> ReferenceNested:
    relative = np.array([[[1, 2, 3, 4, 5, 6]] * 4], dtype=np.float32)
    inputs: dict[str, Any] = {
        "relative": relative,
        "confidence": np.full_like(relative, 2.0),
        "w2c": np.array([np.hstack([np.eye(3), [[1], [2], [3]]])]),
        "matrices": np.array([np.diag([500.0, 700.0, 1.0])]),  # mean focal length 600: twice the canonical one
        "metric_network": relative * np.float32(1.5),
        "sky_score": np.zeros_like(relative),
    }
    return reference_alignment(**(inputs | changes))


def test_depth_and_positions_are_scaled_by_least_squares() -> None:
    found = reference()
    assert found.scale == pytest.approx(3.0)  # 1.5 times 600 / 300
    assert found.depth[0, 0] == pytest.approx([3, 6, 9, 12, 15, 18])
    assert found.w2c[0, :, 3] == pytest.approx([3, 6, 9])
    assert np.array_equal(found.w2c[0, :, :3], np.eye(3))


def test_least_squares_weigh_far_pixels_by_their_square() -> None:
    metric = np.array([[[1, 2, 3, 4, 5, 12]] * 4], dtype=np.float32)
    # sum of products 1 + 4 + 9 + 16 + 25 + 72 over sum of squares 91, times two
    assert reference(metric_network=metric).scale == pytest.approx(2 * 127 / 91)


def test_the_unsure_half_is_left_out() -> None:
    metric = np.array([[[9, 9, 9, 4, 5, 6]] * 4], dtype=np.float32)
    confidence = np.array([[[1.1, 1.1, 1.1, 5, 5, 5]] * 4], dtype=np.float32)
    assert reference(metric_network=metric, confidence=confidence).scale == pytest.approx(2.0)


def test_sky_goes_to_the_far_end_with_confidence_one() -> None:
    sky = np.zeros((1, 4, 6), dtype=np.float32)
    sky[0, :, 5] = 0.4
    found = reference(sky_score=sky)
    assert found.depth[0, 0, 5] == pytest.approx(15.0)  # the 0.99 quantile of 3 to 15, of which a fifth are 15
    assert (found.confidence[0, :, 5] == 1).all()
    assert (found.confidence[0, :, :5] == 2).all()
    assert not found.sky.any()  # shown as sky from 0.5 only


def test_the_far_end_ends_at_200_metres() -> None:
    sky = np.zeros((1, 4, 6), dtype=np.float32)
    sky[0, :, 5] = 1.0
    found = reference(sky_score=sky, matrices=np.array([np.diag([60000.0, 60000.0, 1.0])]))
    assert found.depth[0, 0, 5] == 200
    assert found.sky[0, :, 5].all()


def test_all_sky_and_no_overlap_are_said() -> None:
    ones = np.ones((1, 4, 6), dtype=np.float32)
    with pytest.raises(GroundingError, match="nothing but sky"):
        reference(sky_score=ones)
    with pytest.raises(GroundingError, match="no pixel on which both"):
        reference(metric_network=ones * np.float32(1e-6))
