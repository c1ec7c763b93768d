"""Previews: one scale of colours for an input, and a legend that tells it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from n3d_ros.depth.files.preview import NONE_RGB, SKY_RGB, ColorRange, colored, contact_sheet, preview
from n3d_ros.depth.views import ViewDepth
from n3d_ros.errors import InputError

METRIC = ColorRange(near=1.0, far=4.0, is_metric=True)


def test_the_same_depth_has_the_same_colour_in_every_frame() -> None:
    near = colored(np.array([[1.5, 2.0]], np.float32), None, METRIC)
    far = colored(np.array([[2.0, 3.9]], np.float32), None, METRIC)
    assert (near[0, 1] == far[0, 0]).all()


def test_near_is_bright_and_far_is_dark() -> None:
    luminance = colored(np.linspace(1, 4, 50, dtype=np.float32)[None], None, METRIC).astype(float) @ [
        0.299,
        0.587,
        0.114,
    ]
    assert (np.diff(luminance[0]) < 0).all()


def test_sky_is_grey_and_no_depth_nearly_black() -> None:
    depth = np.array([[np.nan, np.nan, 2.0]], np.float32)
    rgb = colored(depth, np.array([[True, False, False]]), METRIC)
    assert tuple(rgb[0, 0]) == SKY_RGB and tuple(rgb[0, 1]) == NONE_RGB


def test_the_range_leaves_odd_pixels_out() -> None:
    depth = np.random.default_rng(0).uniform(1, 3, (100, 100)).astype(np.float32)
    depth[0, :5], depth[1, :5], depth[2] = 900.0, 0.001, np.nan
    scale = ColorRange.of([depth], is_metric=True)
    assert 0.8 < scale.near < 1.1 and 2.8 < scale.far < 3.3


def test_an_input_without_depth_still_has_a_range() -> None:
    assert ColorRange.of([np.full((4, 4), np.nan, np.float32)], is_metric=False).near > 0


def test_flat_depth_still_has_a_range() -> None:
    scale = ColorRange.of([np.full((4, 4), 2.0, np.float32)], is_metric=True)
    assert scale.near < 2.0 < scale.far


@pytest.mark.parametrize(("near", "far"), [(0.0, 1.0), (2.0, 1.0), (1.0, float("inf")), (float("nan"), 2.0)])
def test_a_range_goes_from_near_to_far(near: float, far: float) -> None:
    with pytest.raises(InputError, match="near < far"):
        ColorRange(near=near, far=far, is_metric=True)


@given(st.floats(0.01, 100), st.floats(1.01, 1000))
def test_ticks_are_few_increasing_and_within_the_range(near: float, ratio: float) -> None:
    scale = ColorRange(near=near, far=near * ratio, is_metric=True)
    ticks = scale.ticks()
    assert 1 <= len(ticks) <= 14 and all(near <= tick <= near * ratio for tick in ticks)
    assert ticks == sorted(ticks)


def test_a_preview_holds_photo_depth_and_legend_side_by_side() -> None:
    rgb = np.full((120, 160, 3), (200, 100, 50), np.uint8)
    view = ViewDepth(depth_m=np.full((120, 160), 1.0, np.float32))
    picture = preview(view, rgb, METRIC, title="frame")
    assert picture.shape[0] >= 120 and picture.shape[1] >= 320 + 60
    assert tuple(picture[100, 60]) == (200, 100, 50)
    assert tuple(picture[100, 300]) == tuple(colored(np.array([[1.0]], np.float32), None, METRIC)[0, 0])


def test_the_legend_says_whether_numbers_are_metres() -> None:
    view = ViewDepth(depth_m=np.full((60, 80), 1.0, np.float32))
    rgb = np.zeros((60, 80, 3), np.uint8)
    metric = preview(view, rgb, METRIC, title="x")
    relative = preview(view, rgb, ColorRange(near=1.0, far=4.0, is_metric=False), title="x")
    assert metric.shape == relative.shape and (metric != relative).any()


def test_a_large_photo_becomes_a_small_preview() -> None:
    view = ViewDepth(depth_m=np.full((1200, 3000), 1.0, np.float32))
    assert preview(view, np.zeros((1200, 3000, 3), np.uint8), METRIC, title="wide").shape[1] < 2200


@pytest.mark.parametrize("size", [(900, 16), (14, 14), (20, 800)])
def test_odd_images_become_pictures_with_room_for_their_title(size: tuple[int, int]) -> None:
    view = ViewDepth(depth_m=np.full(size, 1.0, np.float32))
    picture = preview(view, np.zeros((*size, 3), np.uint8), METRIC, title="a title that is not short, with its unit")
    assert picture.shape[1] >= 480 and max(picture.shape) < 2200


@pytest.mark.parametrize("count", [1, 2, 5, 24])
def test_a_contact_sheet_shows_every_picture(count: int) -> None:
    pictures = [np.full((50, 200, 3), 10 * i, np.uint8) for i in range(count)]
    sheet = contact_sheet(pictures, [str(i) for i in range(count)])
    for i in range(count):
        assert (sheet == 10 * i).all(axis=2).sum() >= 50 * 200 * 0.9


def test_a_contact_sheet_of_nothing_is_refused() -> None:
    with pytest.raises(InputError):
        contact_sheet([], [])
