"""For which sizes an engine is built: every call that the runtime makes fits a profile, every profile is a real one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from n3d_ros.codec.image_patches import PATCH_PX, long_side_size, patch_size
from n3d_ros.codec.input_options import InputOptions
from n3d_ros.inference.graphs import LanguageModelGraphs
from n3d_ros.inference.tensorrt.job import BuildJob
from n3d_ros.inference.tensorrt.profiles import (
    LONGEST_PREFILL,
    Profile,
    buckets,
    decode_profile,
    decoder_profiles,
    extend_profile,
    vision_profiles,
)
from n3d_ros.model.tables import VisionGeometry, vision_tables

NEEDED = (
    "vision.onnx", "vision.data", "decoder.onnx", "decoder.data", "embedding.safetensors", "config.json",
)  # fmt: skip
GRAPHS = LanguageModelGraphs(
    name="n3d-nano", source="n3d-nano", made_with={"torch": "2.13.0"}, dtype="float32", licence="Apache-2.0",
    attention="fused",
    position_code="aligned", image_token=3303, vocab_size=3328, layers=4, cache_width=320, head_dim=32,
    rope_theta=10000.0, rope_sections=(4, 6, 6), vision_width=128, vision_head_dim=32, vision_window=4, vision_merge=2,
    vision_theta=10000.0, point_channels=True, grid=None, files=dict.fromkeys(NEEDED, "00"),
)  # fmt: skip
CAPACITIES = (512, 1024, 1500, 2048, 5000)
LONG_SIDES = (224, 320, 448, 640, 1024)
SQUARE = (1, 1)
ASPECTS = (SQUARE, (4, 3), (3, 4), (16, 9), (9, 16), (2, 1), (1, 2), (64, 27), (8, 1), (1, 8))


def sizes_of(grid: tuple[int, int], window: int = GRAPHS.vision_window) -> dict[str, int]:
    """What the graph's dimensions are for an image, by the tables that the runtime binds."""
    geometry = VisionGeometry(window=window, merge=GRAPHS.vision_merge, head_dim=GRAPHS.vision_head_dim)
    tables = vision_tables(grid, geometry)
    windows, places = tables.gather.shape
    return {
        "patches": len(tables.scatter), "merged": len(tables.reverse_index), "padded": tables.gather.size,
        "windows": windows, "places": places,
    }  # fmt: skip


def grid_of(width: int, height: int, long_side: int) -> tuple[int, int]:
    """Patches of a camera's image."""
    columns, rows = (pixels // PATCH_PX for pixels in patch_size(*long_side_size(width, height, long_side)))
    return rows, columns


def images_profile(long_side: int, graphs: LanguageModelGraphs = GRAPHS) -> Profile:
    (profile,) = vision_profiles(graphs, InputOptions(long_side=long_side))
    return profile


def fits(sizes: Mapping[str, int], profile: Profile) -> bool:
    assert sizes.keys() == profile.dimensions.keys()
    return all(profile.dimensions[name][0] <= size <= profile.dimensions[name][2] for name, size in sizes.items())


@pytest.mark.parametrize(
    ("capacity", "expected"),
    [
        (512, (512,)),
        (1024, (1024,)),
        (1025, (1024, 1025)),
        (1500, (1024, 1500)),
        (2048, (1024, 2048)),
        (2049, (1024, 2048, 2049)),
        (5000, (1024, 2048, 4096, 5000)),
        (32_768, (1024, 2048, 4096, 8192, 16_384, 32_768)),
    ],
)
def test_buckets_double_until_they_hold_the_capacity(capacity: int, expected: tuple[int, ...]) -> None:
    assert buckets(capacity) == expected


@given(capacity=st.integers(1, 40_000))
def test_every_number_of_rows_is_read_in_a_bucket_less_than_twice_as_large(capacity: int) -> None:
    found = buckets(capacity)
    assert list(found) == sorted(set(found)) and found[-1] == capacity
    assert all(larger <= 2 * smaller for smaller, larger in pairwise(found))


@pytest.mark.parametrize("capacity", CAPACITIES)
def test_a_decoder_has_a_profile_for_each_way_of_calling_it(capacity: int) -> None:
    profiles = decoder_profiles(capacity)
    names = [name for rows in buckets(capacity) for name in (extend_profile(rows), decode_profile(rows))]
    assert [profile.name for profile in profiles] == ["prefill", *names]
    assert len({profile.name for profile in profiles}) == len(profiles)
    by_name = {profile.name: dict(profile.dimensions) for profile in profiles}
    longest = min(capacity, LONGEST_PREFILL)
    assert by_name["prefill"] == {"tokens": (1, 512, longest), "past": (1, 1, 1), "wanted": (1, 1, 64)}
    for rows in buckets(capacity):
        past = (rows, rows, rows)
        assert by_name[f"extend {rows}"] == {"tokens": (1, 16, 64), "past": past, "wanted": (1, 16, 64)}
        assert by_name[f"decode {rows}"] == {"tokens": (1, 1, 1), "past": past, "wanted": (1, 1, 1)}


@given(capacity=st.integers(1, 40_000))
def test_a_decoder_of_any_capacity_has_ranges_in_order_that_stay_within_it(capacity: int) -> None:
    for profile in decoder_profiles(capacity):
        assert profile.dimensions.keys() == {"tokens", "past", "wanted"}
        for least, usual, most in profile.dimensions.values():
            assert 1 <= least <= usual <= most <= capacity


def test_a_vga_image_and_a_square_one_give_these_numbers() -> None:
    # 640x480 is 46x34 patches, 23x17 merged tokens, 6x5 windows of 4x4 tokens of 4 patches; the square has 46x46.
    assert images_profile(640).dimensions == {
        "patches": (4, 1564, 2116), "merged": (1, 391, 529), "padded": (4, 1920, 2304), "windows": (1, 30, 36),
        "places": (4, 64, 64),
    }  # fmt: skip


@pytest.mark.parametrize("long_side", LONG_SIDES)
def test_every_end_of_a_vision_profile_is_an_image(long_side: int) -> None:
    dimensions = images_profile(long_side).dimensions
    largest = grid_of(*SQUARE, long_side)[0]
    even = range(2, largest + 1, 2)
    images = [sizes_of((rows, columns)) for rows in even for columns in even if rows <= columns]
    for end in range(3):
        assert {name: sizes[end] for name, sizes in dimensions.items()} in images


@pytest.mark.parametrize("aspect", ASPECTS, ids=str)
@pytest.mark.parametrize("long_side", LONG_SIDES)
def test_images_of_every_camera_fit_the_vision_profile(long_side: int, aspect: tuple[int, int]) -> None:
    width, height = aspect[0] * 240, aspect[1] * 240
    assert fits(sizes_of(grid_of(width, height, long_side)), images_profile(long_side))


@settings(max_examples=60)
@given(
    long=st.integers(200, 4000),
    share=st.floats(0.125, 1.0),
    is_upright=st.booleans(),
    long_side=st.sampled_from(LONG_SIDES),
    window=st.sampled_from((1, 3, 4, 8)),
)
def test_whatever_an_image_measures_its_tables_fit(
    long: int, share: float, is_upright: bool, long_side: int, window: int
) -> None:
    size = (long, max(1, round(share * long)))
    grid = grid_of(*(size[::-1] if is_upright else size), long_side)
    assert fits(sizes_of(grid, window), images_profile(long_side, replace(GRAPHS, vision_window=window)))


@pytest.mark.parametrize(
    "options",
    [
        InputOptions(long_side=1280, max_pixels=1_003_520),
        InputOptions(max_pixels=300_000),
        InputOptions(max_pixels=200_000),
        InputOptions(long_side=224, min_pixels=200_000),
        InputOptions(long_side=28),
        InputOptions(long_side=56),
        InputOptions(long_side=112),
    ],
)
def test_where_an_area_bounds_images_every_one_of_them_fits_too(options: InputOptions) -> None:
    (profile,) = vision_profiles(GRAPHS, options)
    for width, height in (*ASPECTS, (3, 2), (5, 4), (3, 1), (16, 1), (1, 16)):
        shown = long_side_size(100 * width, 100 * height, options.long_side)
        pixels = patch_size(*shown, min_pixels=options.min_pixels, max_pixels=options.max_pixels)
        columns, rows = (side // PATCH_PX for side in pixels)
        assert fits(sizes_of((rows, columns)), profile), (width, height)


def test_an_image_of_a_longer_side_does_not_fit() -> None:
    assert not fits(sizes_of(grid_of(640, 480, 640)), images_profile(448))


def test_graphs_of_one_size_need_no_profile() -> None:
    assert vision_profiles(replace(GRAPHS, grid=(18, 22)), InputOptions()) == ()


@pytest.mark.parametrize("sizes", [(0, 1, 1), (2, 1, 3), (1, 4, 3), (3, 2, 1), (-1, 1, 1)])
def test_a_range_that_is_none_is_refused_by_name(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match=r"Profile images: windows: expected 1 <= least <= usual <= most"):
        Profile(name="images", dimensions={"patches": (1, 2, 3), "windows": sizes})


def test_a_child_process_is_told_the_same_profiles() -> None:
    profiles = tuple(profile.dimensions for profile in (*decoder_profiles(1500), images_profile(640)))
    job = BuildJob(graph="/graphs/a b.onnx", plan="a.plan", profiles=profiles, workspace_bytes=1 << 33, level=5)
    text = job.to_json()
    assert "\n" not in text
    assert BuildJob.from_json(text) == job
    assert BuildJob.from_json(BuildJob(graph="a", plan="b").to_json()) == BuildJob(graph="a", plan="b")
