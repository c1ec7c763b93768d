"""The drawn scene: the same everywhere, and one that a camera could see, with depth that fits its picture."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from n3d_ros.frame import RgbdFrame
from n3d_ros.inference.golden_scene import golden_frame

SIZES = ((640, 480), (480, 640), (512, 512), (641, 479), (321, 111), (99, 400), (322, 238))
PITCH_RAD, HEIGHT_M = 0.6, 0.45  # of the camera: down, and above the table
TABLE = (150, 120, 90)
BLOCKS = {  # colour: centre on the table (right, forward) and size (right, forward, up) in metres
    (200, 40, 40): ((-0.16, 0.58), (0.10, 0.08, 0.12)),
    (40, 90, 200): ((0.05, 0.70), (0.06, 0.06, 0.18)),
    (230, 200, 60): ((0.18, 0.52), (0.12, 0.09, 0.05)),
}
COLORS = (TABLE, *BLOCKS)


def things(frame: RgbdFrame) -> NDArray[np.int64]:
    """(H, W) which of the colours each pixel has; light and checks change their brightness alone."""
    shares = frame.rgb / frame.rgb.sum(axis=-1, keepdims=True)
    wanted = np.array(COLORS) / np.sum(COLORS, axis=1, keepdims=True)
    distance = np.abs(shares[..., None, :] - wanted).max(axis=-1)
    assert distance.min(axis=-1).max() < 0.02  # of rounding; the nearest two colours are 0.11 apart
    found: NDArray[np.int64] = distance.argmin(axis=-1)
    return found


def fitted_plane(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Unit normal towards the camera and distance of the camera from the plane."""
    middle = points.mean(axis=0)
    normal = np.linalg.svd(points - middle, full_matrices=False)[2][-1]
    normal = normal if normal @ middle < 0 else -normal
    return normal, float(-normal @ middle)


def on_table(frame: RgbdFrame) -> NDArray[np.float64]:
    """(H, W, 3) points in the camera's place over the table: right, forward, up."""
    x, y, z = np.moveaxis(frame.point_map().xyz.astype(np.float64), -1, 0)
    sine, cosine = math.sin(PITCH_RAD), math.cos(PITCH_RAD)
    return np.stack([x, z * cosine - y * sine, HEIGHT_M - z * sine - y * cosine], axis=-1)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_scene_is_drawn_to_the_same_bits_again(size: tuple[int, int]) -> None:
    one, other = golden_frame(*size), golden_frame(*size)
    assert one.rgb.tobytes() == other.rgb.tobytes() and one.depth_m.tobytes() == other.depth_m.tobytes()
    assert (one.intrinsics, one.stamp_ns, one.frame_id) == (other.intrinsics, other.stamp_ns, other.frame_id)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_frame_has_the_size_that_was_asked_for_and_depth_everywhere(size: tuple[int, int]) -> None:
    frame = golden_frame(*size)
    assert frame.rgb.shape == (size[1], size[0], 3) and frame.depth_m.shape == size[::-1]
    assert (frame.intrinsics.width, frame.intrinsics.height) == size
    assert (frame.intrinsics.cx, frame.intrinsics.cy) == ((size[0] - 1) / 2, (size[1] - 1) / 2)
    assert frame.intrinsics.fx == frame.intrinsics.fy == 0.9 * max(size)
    assert np.isfinite(frame.depth_m).all()  # the horizon is above every image: 34 degrees up, half the view is 29
    assert frame.depth_m.min() > 0.3 and frame.depth_m.max() < 5.0


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_pixels_of_the_tables_colour_lie_in_one_plane_below_the_camera(size: tuple[int, int]) -> None:
    frame = golden_frame(*size)
    points = frame.point_map().xyz[things(frame) == 0].astype(np.float64)
    assert len(points) > 0.5 * size[0] * size[1]
    normal, height = fitted_plane(points)
    assert np.abs(points @ normal + height).max() < 1e-5
    assert normal == pytest.approx([0.0, -math.cos(PITCH_RAD), -math.sin(PITCH_RAD)], abs=1e-5)
    assert height == pytest.approx(HEIGHT_M, abs=1e-5)


@pytest.mark.parametrize("size", [size for size in SIZES if min(size) > 200], ids=str)
def test_blocks_stand_on_the_table_where_they_should(size: tuple[int, int]) -> None:
    frame = golden_frame(*size)
    points, thing = on_table(frame), things(frame)
    pixel = 1.5 / frame.intrinsics.fx  # metres on the table, about; a block's edge lies between two pixels
    for number, (center, extent) in enumerate(BLOCKS.values(), start=1):
        found = points[thing == number]
        assert len(found) > 100
        half = np.array(extent) / 2
        low, high = np.array([*center, half[2]]) - half, np.array([*center, half[2]]) + half
        assert (found > low - 1e-5).all() and (found < high + 1e-5).all()  # nothing of it is outside
        np.testing.assert_allclose(found.max(axis=0), high, atol=2 * pixel)  # its top and its back edge are seen
        np.testing.assert_allclose(found.min(axis=0), low, atol=2 * pixel)  # it stands on the table
        on_a_face = np.minimum(np.abs(found - low), np.abs(found - high)).min(axis=-1)
        assert on_a_face.max() < 1e-5


def test_the_pixel_in_the_middle_is_where_the_axis_meets_the_table() -> None:
    frame = golden_frame(641, 481)
    assert frame.depth_m[240, 320] == pytest.approx(HEIGHT_M / math.sin(PITCH_RAD), abs=1e-6)
    # Light of which 0.89 falls on a face that looks up; a light field of the checks: 320 // 8 + 240 // 8 is even.
    light = 0.45 + 0.55 * 0.89
    assert frame.rgb[240, 320].tolist() == [round(value * light) for value in TABLE]


def test_nearer_things_hide_those_behind_them() -> None:
    frame = golden_frame(640, 480)
    v = (np.arange(480) - frame.intrinsics.cy) / frame.intrinsics.fy
    table = np.tile((HEIGHT_M / (math.sin(PITCH_RAD) + v * math.cos(PITCH_RAD)))[:, None], 640)
    is_block = things(frame) > 0
    assert is_block.any()
    assert (frame.depth_m[is_block] < table[is_block]).all()
    np.testing.assert_allclose(frame.depth_m[~is_block], table[~is_block], rtol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 2), (7, 3), (1000, 2), (2, 1000)], ids=str)
def test_the_smallest_images_and_strips_are_drawn_too(size: tuple[int, int]) -> None:
    frame = golden_frame(*size)
    assert frame.rgb.shape == (size[1], size[0], 3)
    assert np.isfinite(frame.depth_m).all()


def test_no_patch_of_the_picture_is_of_one_colour() -> None:
    rgb = golden_frame(644, 476).rgb
    patches = rgb.reshape(476 // 14, 14, 644 // 14, 14, 3)
    assert (np.ptp(patches.astype(int), axis=(1, 3)).max(axis=-1) >= 5).all()
