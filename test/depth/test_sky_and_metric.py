"""Sky and metres: against the released code's results, and by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from n3d_ros.depth.metric import focal_px, metric_depth
from n3d_ros.depth.sky import far_depth, filled_with_far, sky_mask
from n3d_ros.errors import CalibrationError

TOLERANCE = 2e-5  # of the golden tensors' README, relative to the largest value


@pytest.mark.parametrize("run", ["run_v1", "run_v3"])
def test_sky_is_filled_as_the_released_code_does(shared_data: Path, run: str) -> None:
    safetensors = pytest.importorskip("safetensors.numpy", reason="the extra [model] is not installed")
    golden = safetensors.load_file(shared_data / f"golden/da3/case_mono_sky/{run}.safetensors")
    sky = sky_mask(golden["out.head_sky"][0])
    filled = filled_with_far(golden["out.head_depth"][0], sky)
    expected = golden["out.depth"][0]
    assert sky.any()
    assert not sky.all()
    assert np.abs(filled - expected).max() <= TOLERANCE * expected.max()


def test_sky_begins_at_three_tenths_and_where_nothing_is_known() -> None:
    score = np.array([0.0, 0.29, 0.3, 1.0, np.nan], dtype=np.float32)
    assert sky_mask(score).tolist() == [False, False, True, True, True]
    assert sky_mask(score, threshold=0.5).tolist() == [False, False, False, True, True]


def test_the_far_end_is_that_of_all_views_and_of_every_pixel() -> None:
    depth = np.arange(1, 202, dtype=np.float32).reshape(3, 67, 1)  # 1 to 201 m
    sky = depth > 101
    assert far_depth(depth, sky) == pytest.approx(100.0)  # 0.99 of the way from 1 to 101


def test_the_far_end_of_many_pixels_is_the_same_every_time() -> None:
    depth = np.random.default_rng(0).uniform(1, 9, (2, 400, 400)).astype(np.float32)  # more than the released 100 000
    sky = np.zeros(depth.shape, dtype=np.bool_)
    assert far_depth(depth, sky) == far_depth(depth, sky) == np.quantile(depth, 0.99)


def test_nothing_but_sky_has_no_far_end_and_is_left_alone() -> None:
    depth = np.ones((1, 5, 5), dtype=np.float32)
    sky = np.ones(depth.shape, dtype=np.bool_)
    assert far_depth(depth, sky) is None
    assert np.array_equal(filled_with_far(depth, sky), depth)


@pytest.mark.parametrize(("sky_pixels", "filled"), [(10, False), (11, True)])
def test_ten_pixels_of_sky_are_left_as_they_are(sky_pixels: int, filled: bool) -> None:
    depth = np.full((1, 10, 10), 2.0, dtype=np.float32)
    depth.flat[:sky_pixels] = 50
    sky = depth == 50
    assert bool(filled_with_far(depth, sky).max() == 2) is filled


def test_metres_are_the_networks_number_times_focal_length_over_300() -> None:
    depth = np.full((2, 3, 4), 2.0, dtype=np.float32)
    metres = metric_depth(depth, [450.0, 150.0])
    assert metres.dtype == np.float32
    assert np.unique(metres[0]).tolist() == [3.0]
    assert np.unique(metres[1]).tolist() == [1.0]


def test_the_focal_length_is_the_mean_of_both_axes() -> None:
    assert focal_px(np.array([np.diag([400.0, 500.0, 1.0])])).tolist() == [450.0]


@pytest.mark.parametrize("wrong", [0.0, -3.0, np.nan, np.inf])
def test_a_focal_length_that_no_camera_has_is_refused(wrong: float) -> None:
    with pytest.raises(CalibrationError, match="Focal lengths"):
        focal_px(np.array([np.diag([wrong, wrong, 1.0])]))
