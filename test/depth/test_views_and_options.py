"""What can be asked, and what is refused before any network runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from n3d_ros.depth.options import DepthOptions
from n3d_ros.depth.views import DepthEstimate, ScaleSource, View, ViewDepth
from n3d_ros.errors import CalibrationError, ConfigurationError, InputError
from n3d_ros.geometry.camera import CameraIntrinsics

BLACK = np.zeros((8, 9, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("rgb", "sentence"),
    [
        (np.zeros((8, 9), np.uint8), "grey image; repeat its channel"),
        (np.zeros((8, 9, 1), np.uint8), "grey image; repeat its channel"),
        (np.zeros((8, 9, 4), np.uint8), "four channels; drop the last"),
        (np.zeros((8, 9, 2), np.uint8), "one rectified colour image"),
        (np.zeros((2, 8, 9, 3), np.uint8), "one rectified colour image"),
        (np.zeros((8, 9, 3), np.float32), "scale it to 0..255"),
        (np.zeros((8, 9, 3), np.uint16), "scale it to 0..255"),
        (np.zeros((0, 9, 3), np.uint8), "1 to 16384 px a side"),
        (np.zeros((1, 16385, 3), np.uint8), "1 to 16384 px a side"),
    ],
)
def test_what_is_no_colour_image_is_refused_with_the_way_to_one(rgb: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        View(rgb=rgb)


def test_a_view_keeps_its_image_whatever_becomes_of_the_callers() -> None:
    mine = BLACK.copy()
    view = View(rgb=mine)
    mine[:] = 9
    assert not view.rgb.any()
    assert not view.rgb.flags.writeable


def test_a_calibration_of_another_size_is_refused() -> None:
    camera = CameraIntrinsics(fx=9, fy=9, cx=4, cy=4, width=8, height=9)
    with pytest.raises(InputError, match="9x8 px and its calibration of 8x9"):
        View(rgb=BLACK, intrinsics=camera)


@pytest.mark.parametrize("focal", [np.nan, 0.0, -1.0, np.inf])
def test_a_calibration_that_no_camera_has_cannot_be_made(focal: float) -> None:
    with pytest.raises(CalibrationError):
        CameraIntrinsics(fx=focal, fy=9, cx=4, cy=4, width=9, height=8)


@pytest.mark.parametrize("wrong", [0.0, -1.0, np.inf])
def test_depth_is_above_zero_or_none(wrong: float) -> None:
    with pytest.raises(InputError, match="above 0 or NaN"):
        ViewDepth(depth_m=np.array([[1.0, wrong]], dtype=np.float32))


def test_depth_may_be_none_everywhere() -> None:
    assert np.isnan(ViewDepth(depth_m=np.full((2, 3), np.nan, np.float32)).depth_m).all()


def test_masks_of_another_size_are_refused() -> None:
    with pytest.raises(InputError, match=r"ViewDepth\.sky"):
        ViewDepth(depth_m=np.ones((2, 3), np.float32), sky=np.zeros((3, 2), np.bool_))


@pytest.mark.parametrize(
    ("source", "metric"),
    [(ScaleSource.POSES, True), (ScaleSource.METRIC_MODEL, True), (ScaleSource.RELATIVE, False)],
)
def test_depth_is_metric_unless_it_is_relative(source: ScaleSource, metric: bool) -> None:
    assert DepthEstimate(views=(), scale_source=source).is_metric is metric


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"process_res": 500}, "multiple of 14 px, got 500; 504 is next"),
        ({"process_res": 0}, "process_res: expected 14 to 2016"),
        ({"method": "letterbox"}, "method: expected one of upper_bound_resize"),
        ({"reference_view": "last"}, "reference_view: expected one of"),
        ({"pose_method": "ql"}, "pose_method: expected one of"),
        ({"sky_fill": "far away"}, "sky_fill: expected one of none, far"),
        ({"alignment": "least squares"}, "alignment: expected one of"),
        ({"sky_threshold": float("nan")}, "sky_threshold: expected"),
        ({"max_views": 0}, "max_views: expected 1"),
        ({"batch_views": 0}, "batch_views: expected 1"),
    ],
)
def test_options_out_of_range_are_refused_by_name(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        DepthOptions(**wrong)


def test_the_defaults_are_those_of_the_released_code_where_those_are_sound() -> None:
    options = DepthOptions()
    assert (options.process_res, options.method, options.reference_view) == (
        504,
        "upper_bound_resize",
        "saddle_balanced",
    )
    assert (options.sky_fill, options.alignment) == ("none", "robust")
