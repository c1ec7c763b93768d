"""Pictures as the vision tower takes them, against tensors made with the public reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from n3d_ros.codec.image_patches import (
    CLIP_MEAN,
    CLIP_STD,
    MAX_FRAME_PIXELS,
    MAX_PIXELS,
    MIN_PIXELS,
    image_patches,
    long_side_size,
    patch_size,
    resize_long_side,
)
from n3d_ros.errors import InputError


@pytest.fixture(params=["landscape", "portrait"])
def golden(request: pytest.FixtureRequest, shared_data: Path) -> dict[str, Any]:
    safetensors = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")
    tensors: dict[str, Any] = safetensors.load_file(shared_data / "golden/n3d/case_a" / f"{request.param}.safetensors")
    return tensors


def noise(width: int, height: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_the_long_side_is_resized_exactly_as_the_reference_does(golden: dict[str, Any]) -> None:
    raw = golden.get("image_raw_u8", golden["image_resized_u8"])
    np.testing.assert_array_equal(resize_long_side(raw), golden["image_resized_u8"])


def test_patches_are_those_of_the_reference(golden: dict[str, Any]) -> None:
    patches, grid = image_patches(golden["image_resized_u8"])
    assert [1, *grid] == golden["image_grid_thw"][0].tolist()
    np.testing.assert_allclose(patches, golden["pixel_values"].astype(np.float32), atol=1e-3)


def transformers_patches(image: np.ndarray) -> tuple[np.ndarray, list[int]]:
    module = pytest.importorskip(
        "transformers.models.qwen2_vl.image_processing_pil_qwen2_vl", reason="transformers' own processor is not here"
    )
    from PIL import Image

    processed = module.Qwen2VLImageProcessorPil()(images=[Image.fromarray(image)], return_tensors="np")
    return np.asarray(processed["pixel_values"]), np.asarray(processed["image_grid_thw"])[0].tolist()


@pytest.mark.parametrize(("width", "height"), [(480, 640), (33, 640), (300, 300), (640, 360)])
def test_patches_are_those_of_transformers_processor(width: int, height: int) -> None:
    image = noise(width, height)
    theirs, grid = transformers_patches(image)
    patches, ours = image_patches(image)
    assert [1, *ours] == grid
    np.testing.assert_allclose(patches, theirs, atol=1e-5)


def test_where_pillows_versions_differ_a_smooth_picture_hardly_does() -> None:
    # 640x480 becomes 644x476: Pillow 13 takes the columns first, Pillow 12 the rows.
    rows, columns = np.mgrid[:480, :640]
    phases = np.array([0.0, 1.0, 2.0])
    image = 128 + 100 * np.sin(rows[..., None] / 17 + phases) * np.cos(columns[..., None] / 23 + phases)
    theirs, _ = transformers_patches(image.astype(np.uint8))
    patches, _ = image_patches(image.astype(np.uint8))
    assert np.abs(patches - theirs).max() < 2.01 / 255 / min(CLIP_STD)


@pytest.mark.parametrize(
    ("size", "expected", "grid"),
    [
        ((640, 426), (644, 420), (30, 46)),
        ((640, 480), (644, 476), (34, 46)),
        ((480, 640), (476, 644), (46, 34)),
        ((640, 362), (644, 364), (26, 46)),
        ((640, 640), (644, 644), (46, 46)),
        ((640, 70), (644, 56), (4, 46)),  # 70 / 28 = 2.5 goes to the even 2
        ((640, 98), (644, 112), (8, 46)),  # 98 / 28 = 3.5 goes to the even 4
    ],
)
def test_sides_become_multiples_of_28(size: tuple[int, int], expected: tuple[int, int], grid: tuple[int, int]) -> None:
    assert patch_size(*size) == expected
    assert image_patches(noise(*size))[1] == grid


@pytest.mark.parametrize(
    ("size", "resized"),
    [
        ((1024, 683), (640, 426)),  # 426.9 is cut off
        ((767, 1023), (479, 640)),
        ((1280, 720), (640, 360)),
        ((320, 240), (640, 480)),
        ((500, 500), (640, 640)),
        ((5000, 1), (640, 1)),
        ((1, 5000), (1, 640)),
        ((1, 1), (640, 640)),
    ],
)
def test_the_short_side_is_cut_off_not_rounded(size: tuple[int, int], resized: tuple[int, int]) -> None:
    assert long_side_size(*size) == resized
    assert resize_long_side(noise(*size)).shape == (resized[1], resized[0], 3)


def test_a_picture_of_the_right_size_is_not_touched() -> None:
    image = noise(640, 480)
    assert resize_long_side(image) is image


@given(width=st.integers(1, 3000), height=st.integers(1, 3000))
def test_patch_sizes_stay_within_bounds(width: int, height: int) -> None:
    new_width, new_height = patch_size(width, height)
    assert new_width % 28 == 0 and new_height % 28 == 0 and min(new_width, new_height) >= 28
    strip = max(width, height) / min(width, height) > 100
    assert new_width * new_height <= MAX_PIXELS or strip
    assert new_width * new_height >= MIN_PIXELS


def test_a_smaller_bound_makes_fewer_patches() -> None:
    patches, grid = image_patches(noise(640, 480), max_pixels=320 * 240)
    assert len(patches) == grid[0] * grid[1] <= 320 * 240 / 14**2


def test_patches_lie_in_blocks_of_two_by_two_and_show_the_frame_twice() -> None:
    # Each 14x14 patch of a 56x56 picture has its own grey level; 16 patches, levels 0 to 15 in reading order.
    levels = np.arange(16, dtype=np.uint8).reshape(4, 4).repeat(14, axis=0).repeat(14, axis=1)
    patches, grid = image_patches(np.repeat(levels[..., None], 3, axis=2))
    assert grid == (4, 4)
    found = np.rint((patches.reshape(16, 3, 2, 14, 14)[:, 0, :, 0, 0] * CLIP_STD[0] + CLIP_MEAN[0]) * 255)
    assert found[:, 0].tolist() == [0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15]
    np.testing.assert_array_equal(found[:, 0], found[:, 1])


def test_rows_columns_and_colours_keep_their_places_within_a_patch() -> None:
    image = np.zeros((56, 56, 3), dtype=np.uint8)
    image[3, 5] = (10, 20, 30)
    patches, _ = image_patches(image)
    first = patches[0].reshape(3, 2, 14, 14)
    for color, level in enumerate((10, 20, 30)):
        expected = (level / 255 - CLIP_MEAN[color]) / CLIP_STD[color]
        assert first[color, :, 3, 5] == pytest.approx(expected, abs=1e-6)
        assert first[color, 0, 5, 3] == pytest.approx(-CLIP_MEAN[color] / CLIP_STD[color], abs=1e-6)


def test_patches_are_read_only_float32() -> None:
    patches, _ = image_patches(noise(56, 56))
    assert patches.dtype == np.float32 and not patches.flags.writeable and patches.shape[1] == 1176


def test_the_order_of_passes_does_not_depend_on_the_installed_pillow() -> None:
    from PIL import Image

    # 11:1 portrait, as in the golden case: columns first. 4:3: rows first.
    for (width, height), columns_first in (((70, 800), True), ((800, 600), False)):
        image = Image.fromarray(noise(width, height))
        new_width, new_height = long_side_size(width, height)
        between = (width, new_height) if columns_first else (new_width, height)
        expected = image.resize(between, Image.Resampling.LANCZOS).resize(
            (new_width, new_height), Image.Resampling.LANCZOS
        )
        np.testing.assert_array_equal(resize_long_side(np.asarray(image)), np.asarray(expected))


def test_pictures_no_camera_makes_are_refused() -> None:
    huge = np.broadcast_to(np.zeros((1, 1, 3), dtype=np.uint8), (8200, 8200, 3))
    with pytest.raises(InputError, match=f"at most {MAX_FRAME_PIXELS} pixels, got 8200x8200"):
        resize_long_side(huge)
