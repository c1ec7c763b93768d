"""Depth images and archives: what a count means, and what does not fit."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from n3d_ros.depth.files.arrays import depth_image, npz_bytes, png_bytes, relative_unit
from n3d_ros.depth.views import ScaleSource, View
from n3d_ros.errors import InputError
from ramp_model import RampModel, ramp


def test_depth_is_rounded_to_millimetres_and_none_is_zero() -> None:
    depth = np.array([[1.0004, 1.0006, np.nan, 65.535]], dtype=np.float32)
    image = depth_image(depth, 0.001)
    assert image.counts.tolist() == [[1000, 1001, 0, 65535]] and (image.too_far, image.too_near) == (0, 0)


def test_what_does_not_fit_is_none_and_counted_never_clipped() -> None:
    image = depth_image(np.array([[65.6, 1000.0, 0.0004, 2.0]], dtype=np.float32), 0.001)
    assert image.counts.tolist() == [[0, 0, 0, 2000]] and (image.too_far, image.too_near) == (2, 1)


@given(st.floats(0.01, 5000.0), st.sampled_from([0.001, 0.00025, 0.01, 0.1]))
def test_a_count_is_never_further_from_the_depth_than_half_a_unit(depth: float, unit: float) -> None:
    image = depth_image(np.array([[depth]], dtype=np.float32), unit)
    count = int(image.counts[0, 0])
    assert (count == 0 and image.too_far + image.too_near == 1) or abs(count * unit - depth) <= unit * 0.5001 + 1e-3


@pytest.mark.parametrize("unit", [0.0, -1.0, float("nan")])
def test_a_unit_is_above_zero(unit: float) -> None:
    with pytest.raises(InputError, match="above 0"):
        depth_image(ramp(16, 16), unit)


def test_the_png_holds_sixteen_bits_and_says_its_unit() -> None:
    image = depth_image(ramp(32, 16), 0.001)
    content = png_bytes(image, is_metric=True)
    decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert decoded.dtype == np.uint16 and (decoded == image.counts).all()
    assert Image.open(io.BytesIO(content)).text["Unit"] == "0.001 m"
    assert "not metres" in Image.open(io.BytesIO(png_bytes(image, is_metric=False))).text["Unit"]


@given(st.floats(1e-4, 1e4))
def test_relative_depth_has_a_round_unit_with_room_for_later_frames(far: float) -> None:
    unit = relative_unit(far)
    assert 4 * far <= unit * 65535 * 1.0001 and unit * 65535 <= 4 * far * 2.01
    assert f"{unit:.0e}" == f"{unit:.6g}" or len(f"{unit:.6g}".replace(".", "").strip("0")) == 1 or "e" in f"{unit:.6g}"


def test_an_archive_names_metres_only_where_there_are_some() -> None:
    estimate = RampModel().estimate([View(rgb=np.zeros((24, 32, 3), np.uint8))])
    relative = np.load(io.BytesIO(npz_bytes(estimate.views[0], ScaleSource.RELATIVE)), allow_pickle=False)
    metric = np.load(io.BytesIO(npz_bytes(estimate.views[0], ScaleSource.POSES)), allow_pickle=False)
    assert "depth_m" not in relative.files and (relative["depth_relative"][3:] == ramp(24, 32)[3:]).all()
    assert "depth_relative" not in metric.files and str(metric["scale_source"]) == "poses"
    assert metric["K"].shape == (3, 3) and metric["world_T_camera"].shape == (4, 4)
    assert metric["confidence"].dtype == np.float32 and metric["sky"].dtype == np.bool_
