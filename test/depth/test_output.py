"""From the network's pixels to the camera's: planes stay planes, edges stay edges, nothing is made up."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from n3d_ros.depth.output import confidence_at_camera, depth_at_camera, mask_at_camera
from n3d_ros.depth.preprocess import ImageMap, network_matrix, prepare
from n3d_ros.geometry.camera import CameraIntrinsics, unproject

CASES = [
    ((120, 160), 224, "upper_bound_resize"),  # larger
    ((270, 480), 112, "upper_bound_resize"),  # smaller, unevenly
    ((94, 310), 126, "upper_bound_resize"),
    ((94, 310), 126, "upper_bound_crop"),
    ((160, 90), 98, "lower_bound_crop"),
]


def map_of(hw: tuple[int, int], process_res: int = 112, method: str = "upper_bound_resize") -> ImageMap:
    return prepare([np.zeros((*hw, 3), np.uint8)], process_res=process_res, method=method).maps[0]


def plane_seen_by_the_network(
    normal: NDArray[np.float64], camera: CameraIntrinsics, image_map: ImageMap
) -> NDArray[np.float32]:
    """z-depth of the plane normal . X = 3 at the network's pixel centres."""
    matrix = network_matrix(camera, image_map)
    u, v = np.meshgrid(np.arange(image_map.network_hw[1]) + 0.5, np.arange(image_map.network_hw[0]) + 0.5)
    rays = np.stack([(u - matrix[0, 2]) / matrix[0, 0], (v - matrix[1, 2]) / matrix[1, 1], np.ones_like(u)], axis=-1)
    depth: NDArray[np.float32] = (3 / (rays @ normal)).astype(np.float32)
    return depth


@pytest.mark.parametrize(("hw", "process_res", "method"), CASES)
@pytest.mark.parametrize("normal", [(0, 0, 1), (0.1, -0.5, 0.9), (0.6, 0.3, 0.9)])
def test_points_at_camera_resolution_lie_on_the_plane(
    hw: tuple[int, int], process_res: int, method: str, normal: tuple[float, float, float]
) -> None:
    camera = CameraIntrinsics(
        fx=1.1 * max(hw), fy=1.15 * max(hw), cx=0.48 * hw[1], cy=0.53 * hw[0], width=hw[1], height=hw[0]
    )
    image_map = map_of(hw, process_res, method)
    depth = depth_at_camera(plane_seen_by_the_network(np.array(normal), camera, image_map), image_map)
    seen = np.isfinite(depth)
    distance = np.abs(unproject(depth, camera)[seen] @ np.array(normal) - 3)
    assert distance.max() < 2e-5  # metres, of points 3 to 40 m away: rounding of float32
    assert seen.mean() == 1.0 if method.endswith("resize") else seen.mean() < 1


def test_nothing_lies_between_a_near_and_a_far_wall() -> None:
    image_map = map_of((270, 480))
    depth = np.full(image_map.network_hw, 8.0, dtype=np.float32)
    depth[20:50, 30:71] = 1.5
    assert set(np.unique(depth_at_camera(depth, image_map))) == {np.float32(1.5), np.float32(8)}


def test_a_slanted_thing_before_a_slanted_wall_keeps_its_edge() -> None:
    image_map = map_of((270, 480))
    rows, columns = np.mgrid[: image_map.network_hw[0], : image_map.network_hw[1]]
    wall, thing = 1 / (0.12 + 0.0002 * columns), 1 / (0.5 + 0.001 * rows)
    inside = (abs(rows - 30) < 12) & (abs(columns - 50) < 20)
    depth = depth_at_camera(np.where(inside, thing, wall).astype(np.float32), image_map)
    thing_range, wall_range = (thing[inside].min(), thing[inside].max()), (wall.min(), wall.max())
    slack = 0.01  # a line is continued half a pixel over the border
    assert (
        ((depth > thing_range[0] - slack) & (depth < thing_range[1] + slack))
        | ((depth > wall_range[0] * (1 - slack)) & (depth < wall_range[1] * (1 + slack)))
    ).all()


@pytest.mark.parametrize("scene", ["learn0", "learn10"])
def test_points_of_real_rooms_do_not_float_between_things(shared_data: Path, scene: str) -> None:
    millimetres = cv2.imread(str(shared_data / f"realdata/osd/{scene}_depth.png"), cv2.IMREAD_UNCHANGED)
    true = np.asarray(millimetres, dtype=np.float32) / 1000
    true[true == 0] = np.nan
    image_map = map_of((480, 640), 504)
    rows, columns = (
        ((np.arange(seen) + 0.5) * camera / seen).astype(int)
        for seen, camera in zip(image_map.network_hw, image_map.camera_hw, strict=True)
    )
    small = true[rows][:, columns]
    far = np.nan_to_num(true, nan=0)
    edges = cv2.dilate(far, np.ones((5, 5))) > 1.1 * cv2.erode(np.nan_to_num(true, nan=99), np.ones((5, 5)))

    def floating(depth: NDArray[np.float32]) -> float:
        """Share of pixels at edges that are more than 3 % off every true depth within two pixels."""
        nearest = np.full(true.shape, np.inf)
        for shift in np.ndindex(5, 5):
            there = np.roll(true, (shift[0] - 2, shift[1] - 2), axis=(0, 1))
            nearest = np.fmin(nearest, np.abs(depth - there) / there)
        return float((nearest[edges & np.isfinite(true) & np.isfinite(depth)] > 0.03).mean())

    assert floating(depth_at_camera(small, image_map)) < 0.002
    assert floating(cv2.resize(small, (640, 480), interpolation=cv2.INTER_LINEAR)) > 0.05  # what it is good for


def test_no_depth_spreads_from_sky_and_no_sky_from_depth() -> None:
    image_map = map_of((271, 483))
    depth = np.full(image_map.network_hw, 5.0, dtype=np.float32)
    sky = np.zeros(image_map.network_hw, dtype=np.bool_)
    sky[:20, 10:90] = True
    depth[sky] = np.nan
    result = depth_at_camera(depth, image_map)
    assert np.array_equal(np.isnan(result), mask_at_camera(sky, image_map))
    assert np.isnan(result).mean() == pytest.approx(sky.mean(), abs=0.01)
    assert (result[np.isfinite(result)] == 5).all()


def test_depth_that_is_none_everywhere_stays_none() -> None:
    image_map = map_of((100, 150))
    assert np.isnan(depth_at_camera(np.full(image_map.network_hw, np.nan, np.float32), image_map)).all()


def test_depth_stays_above_zero_where_lines_are_continued_over_the_border() -> None:
    image_map = map_of((1000, 1500), 56)
    inverse = np.full(image_map.network_hw, 1.0)
    inverse[:, 0] = 0.3  # continued half a pixel to the left it would be below zero
    depth = depth_at_camera((1 / inverse).astype(np.float32), image_map)
    assert np.isfinite(depth).all()
    assert (depth > 0).all()
    assert depth.max() <= 4 / 0.3 + 1e-3


def test_what_the_network_did_not_see_has_no_depth_the_least_confidence_and_is_no_sky() -> None:
    image_map = map_of((376, 1241), 504, "upper_bound_crop")
    ones = np.ones(image_map.network_hw, dtype=np.float32)
    depth, confidence = depth_at_camera(ones, image_map), confidence_at_camera(5 * ones, image_map)
    sky = mask_at_camera(ones > 0, image_map)
    seen = np.isfinite(depth)
    # 140 of 153 rows are kept, 6 cut off above: rows (6 * 376 / 153) to (146 * 376 / 153) of the camera.
    assert np.flatnonzero(seen.any(axis=1))[[0, -1]].tolist() == [15, 358]
    assert seen.any(axis=0).all()
    assert np.array_equal(confidence == 1, ~seen)
    assert np.array_equal(sky, seen)


def test_confidence_is_interpolated_and_never_below_one() -> None:
    image_map = map_of((300, 400), 56)
    confidence = np.linspace(1, 9, image_map.network_hw[1], dtype=np.float32)[None].repeat(image_map.network_hw[0], 0)
    confidence[0, 0], confidence[5, 5] = np.nan, np.inf
    result = confidence_at_camera(confidence, image_map)
    assert np.isfinite(result).all()
    assert result.min() == 1
    assert (np.diff(result[150]) >= 0).all()


def test_an_image_of_the_networks_own_size_comes_back_as_it_is() -> None:
    image_map = map_of((84, 112))
    depth = np.random.default_rng(3).uniform(1, 1.02, image_map.network_hw).astype(np.float32)
    assert np.allclose(depth_at_camera(depth, image_map), depth, rtol=1e-6)
