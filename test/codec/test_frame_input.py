"""Frames as the model takes them: golden tensors, holes, odd sizes, and wrong points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders import make_frame, make_intrinsics
from n3d_ros.codec.frame_input import (
    MIN_VALID_PIXELS,
    encode_frame,
    frame_extents,
    measure_scene,
    model_point_map,
    normalized_points,
    sampled_depth,
)
from n3d_ros.codec.input_options import InputOptions
from n3d_ros.errors import GroundingError, InputError, StatusCode
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry import CameraIntrinsics, PointNormalization
from n3d_ros.geometry.transforms import optical_to_model


def slope(width: int, height: int, *, near_m: float = 1.0, far_m: float = 3.0) -> np.ndarray:
    """Depth that grows from left to right."""
    return np.broadcast_to(np.linspace(near_m, far_m, width, dtype=np.float32), (height, width)).copy()


def frame_of(depth: np.ndarray, focal_px: float = 500.0, **changes: Any) -> RgbdFrame:
    height, width = depth.shape
    return make_frame(depth_m=depth, intrinsics=make_intrinsics(width, height, focal_px), **changes)


@pytest.mark.parametrize("name", ["landscape", "portrait"])
def test_golden_points_are_normalised_as_by_the_reference(shared_data: Path, name: str) -> None:
    safetensors = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")
    golden = safetensors.load_file(shared_data / "golden/n3d/case_a" / f"{name}.safetensors")
    raw = golden["pcd_f16"].astype(np.float32)
    xyz, valid = raw[..., :3], raw[..., 3] > 0
    scene = measure_scene(xyz, valid)
    np.testing.assert_array_equal(scene.normalization.offset_m.astype(np.float32), golden["norm_shift0"])
    assert scene.normalization.scale_per_m == pytest.approx(float(golden["norm_scale"][0]), rel=2e-7)
    points = normalized_points(xyz, valid, scene.normalization)
    expected = golden["point_clouds"].reshape(points.shape)
    np.testing.assert_allclose(points[valid], expected[valid], atol=3e-7)
    assert np.isnan(points[~valid, :3]).all() and not points[~valid, 3].any()


def test_the_normalisation_is_that_of_geometry() -> None:
    xyz = np.random.default_rng(0).normal(size=(20, 30, 3)).astype(np.float32)
    scene = measure_scene(xyz, np.ones((20, 30), dtype=bool))
    exact = PointNormalization.corner_and_mean_distance(xyz.reshape(-1, 3))
    np.testing.assert_array_equal(scene.normalization.offset_m, exact.offset_m)
    assert scene.normalization.scale_per_m == pytest.approx(exact.scale_per_m, rel=1e-6)
    assert (scene.method, scene.depth_percentiles_m, scene.excluded_share) == ("mean", None, 0.0)


def test_a_camera_of_the_models_size_is_not_resampled() -> None:
    frame = frame_of(slope(640, 480))
    xyz, valid = model_point_map(frame)
    assert valid.all()
    np.testing.assert_allclose(xyz, optical_to_model(frame.point_map().xyz), atol=1e-6)


def test_x_points_left_and_y_up() -> None:
    xyz, _ = model_point_map(frame_of(slope(640, 480)))
    assert xyz[0, 0, 0] > 0 > xyz[0, -1, 0]
    assert xyz[0, 0, 1] > 0 > xyz[-1, 0, 1]
    assert (xyz[..., 2] > 0).all()


def test_what_goes_in_and_comes_out_fits_together() -> None:
    frame = frame_of(slope(640, 480))
    image, context = encode_frame(frame)
    assert (image.grid, image.token_count, image.points.shape) == ((34, 46), 391, (480, 640, 4))
    assert context.intrinsics is frame.intrinsics
    valid = image.points[..., 3] > 0
    metres = context.normalization.denormalize(image.points[valid][:, :3])
    np.testing.assert_allclose(metres, optical_to_model(frame.point_map().xyz)[valid], atol=1e-5)
    assert image.points[..., :3].min() == 0
    assert np.linalg.norm(image.points[valid][:, :3], axis=1).mean() == pytest.approx(1, abs=1e-5)


def test_holes_stay_holes() -> None:
    depth = slope(640, 480)
    depth[100:200, 50:90] = np.nan
    image, _ = encode_frame(frame_of(depth))
    holes = np.isnan(depth)
    np.testing.assert_array_equal(image.points[..., 3], np.where(holes, 0, 1))
    assert np.isnan(image.points[holes, :3]).all() and np.isfinite(image.points[~holes]).all()


@pytest.mark.parametrize(
    ("size", "points", "grid"),
    [
        ((1280, 720), (360, 640), (26, 46)),
        ((320, 240), (480, 640), (34, 46)),
        ((480, 640), (640, 480), (46, 34)),
        ((500, 500), (640, 640), (46, 46)),
        ((1024, 683), (427, 640), (30, 46)),  # the map's short side is rounded, the picture's cut off
        ((640, 1), (1, 640), (2, 102)),
        ((1, 640), (640, 1), (102, 2)),
        ((7, 5), (457, 640), (32, 46)),
    ],
)
def test_sizes_of_all_shapes_are_taken(size: tuple[int, int], points: tuple[int, int], grid: tuple[int, int]) -> None:
    image, context = encode_frame(frame_of(slope(*size)))
    assert (image.points.shape[:2], image.grid) == (points, grid)
    assert np.isfinite(image.points).all()
    assert (context.intrinsics.width, context.intrinsics.height) == size


@pytest.mark.parametrize("shape", [(240, 320), (960, 1280), (720, 1280), (333, 777)])
def test_sampling_averages_over_no_edge(shape: tuple[int, int]) -> None:
    depth = np.full(shape, 1.0, dtype=np.float32)
    depth[:, shape[1] // 2 + 1 :] = 4.0
    depth[::7, ::3] = np.nan
    sampled = sampled_depth(depth, 640, 480)
    assert set(np.unique(sampled[np.isfinite(sampled)])) == {1.0, 4.0}


def test_a_hole_smaller_than_a_map_pixel_is_filled_from_within_it() -> None:
    depth = slope(1280, 960)
    depth[1::2, 1::2] = np.nan  # of each four source pixels the one under the new centre
    assert np.isfinite(sampled_depth(depth, 640, 480)).all()
    depth[:, 600:640] = np.nan
    assert np.isnan(sampled_depth(depth, 640, 480)[:, 300:320]).all()


def test_every_point_lies_on_its_pixels_ray() -> None:
    frame = frame_of(slope(1280, 720), focal_px=900.0)
    xyz, _ = model_point_map(frame)
    camera = frame.intrinsics.resized(640, 360)
    u = -xyz[..., 0] / xyz[..., 2] * camera.fx + camera.cx
    v = -xyz[..., 1] / xyz[..., 2] * camera.fy + camera.cy
    np.testing.assert_allclose(u, np.broadcast_to(np.arange(640), u.shape), atol=1e-3)
    np.testing.assert_allclose(v, np.broadcast_to(np.arange(360)[:, None], v.shape), atol=1e-3)


def test_an_off_centre_camera_keeps_its_principal_point() -> None:
    camera = CameraIntrinsics(fx=400, fy=410, cx=500.0, cy=100.0, width=640, height=480)
    xyz, _ = model_point_map(make_frame(depth_m=2.0, intrinsics=camera))
    assert xyz[100, 500, :2].tolist() == [0, 0]


@pytest.mark.parametrize("count", [0, 1, MIN_VALID_PIXELS - 1])
def test_too_little_depth_is_an_error_that_helps(count: int) -> None:
    depth = np.full((480, 640), np.nan, dtype=np.float32)
    depth.flat[:count] = 1.0
    with pytest.raises(
        GroundingError, match=f"at least {MIN_VALID_PIXELS} pixels with depth, got {count} of"
    ) as caught:
        encode_frame(frame_of(depth))
    assert caught.value.code is StatusCode.NO_DEPTH


def test_just_enough_depth_is_taken() -> None:
    depth = np.full((480, 640), np.nan, dtype=np.float32)
    depth.flat[:MIN_VALID_PIXELS] = 1.0
    image, _ = encode_frame(frame_of(depth))
    assert image.points[..., 3].sum() == MIN_VALID_PIXELS


def test_a_single_pixel_is_too_little() -> None:
    with pytest.raises(GroundingError, match="got 1 of 1"):
        encode_frame(frame_of(np.ones((1, 1), dtype=np.float32)))


def test_points_in_one_place_give_no_scale() -> None:
    with pytest.raises(GroundingError, match="in more than one place") as caught:
        measure_scene(np.ones((3, 4, 3), dtype=np.float32), np.ones((3, 4), dtype=bool))
    assert caught.value.code is StatusCode.NO_DEPTH
    with pytest.raises(GroundingError, match="got 0 that give no scale"):
        measure_scene(np.ones((3, 4, 3), dtype=np.float32), np.zeros((3, 4), dtype=bool), method="robust")


def with_specks(depth: np.ndarray, share: float, near_m: float, far_m: float, seed: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    places = rng.choice(depth.size, int(share * depth.size), replace=False)
    noisy = depth.copy()
    noisy.flat[places] = np.where(rng.random(len(places)) < 0.5, near_m, far_m)
    return noisy


def test_a_clean_scene_is_normalised_alike_by_both_methods() -> None:
    xyz, valid = model_point_map(frame_of(slope(640, 480)))
    mean, robust = measure_scene(xyz, valid), measure_scene(xyz, valid, method="robust")
    np.testing.assert_array_equal(robust.normalization.offset_m, mean.normalization.offset_m)
    assert robust.normalization.scale_per_m == mean.normalization.scale_per_m
    assert robust.excluded_share == 0
    assert robust.depth_percentiles_m == pytest.approx((1.04, 2.96), abs=0.01)


@pytest.mark.parametrize("share", [0.001, 0.01])
def test_specks_move_the_mean_normalisation_and_not_the_robust_one(share: float) -> None:
    clean = measure_scene(*model_point_map(frame_of(slope(640, 480)))).normalization
    frame = frame_of(with_specks(slope(640, 480), share, 0.2, 30.0))
    mean = encode_frame(frame)[1].normalization
    robust = encode_frame(frame, InputOptions(normalization="robust"))[1].normalization
    assert clean.scale_per_m / mean.scale_per_m > 3
    assert robust.scale_per_m == pytest.approx(clean.scale_per_m, rel=1e-3)
    np.testing.assert_allclose(robust.offset_m, clean.offset_m, atol=0.01)
    scene = measure_scene(*model_point_map(frame), method="robust")
    assert scene.excluded_share == pytest.approx(share, rel=0.1)


def test_a_small_near_object_is_no_speck() -> None:
    depth = np.full((480, 640), 2.0, dtype=np.float32)
    depth[300:340, 200:230] = 0.6
    xyz, valid = model_point_map(frame_of(depth))
    robust = measure_scene(xyz, valid, method="robust")
    assert robust.excluded_share == 0
    assert robust.normalization.offset_m[2] == pytest.approx(0.6)


def test_the_model_is_shown_specks_as_holes_and_all_else_as_without_them() -> None:
    depth = slope(640, 480)
    depth[100, 100], depth[300, 333] = np.nan, np.nan
    clean, _ = encode_frame(frame_of(depth))
    depth[100, 100], depth[300, 333] = 60.0, 0.05
    image, context = encode_frame(frame_of(depth), InputOptions(normalization="robust"))
    np.testing.assert_array_equal(image.points, clean.points)
    assert np.count_nonzero(image.points[..., 3] == 0) == 2 and np.isnan(image.points[100, 100, :3]).all()
    assert frame_extents(image, context).share_beyond_depth == frame_extents(clean, context).share_beyond_depth


def test_the_reference_normalisation_shows_every_valid_point() -> None:
    image, _ = encode_frame(frame_of(with_specks(slope(640, 480), 0.005, 0.2, 30.0)))
    assert image.points[..., 3].all()


def test_extents_say_how_much_of_a_frame_is_beyond_what_can_be_said() -> None:
    # A wall at 1 m, and through a hole in its middle, 60 x 80 px, something at 30 m.
    depth = np.full((480, 640), 1.0, dtype=np.float32)
    depth[200:280, 290:350] = 30.0
    image, context = encode_frame(frame_of(depth))
    extents = frame_extents(image, context)
    mean_distance = 1 / context.normalization.scale_per_m
    assert extents.max_depth_m == pytest.approx(1 + 1.998 * mean_distance) and extents.max_depth_m < 10
    assert extents.max_size_m == pytest.approx(0.624375 * mean_distance)
    assert extents.share_beyond_depth == pytest.approx(60 * 80 / (640 * 480))
    near, near_context = encode_frame(frame_of(slope(640, 480)))
    assert frame_extents(near, near_context).share_beyond_depth == 0


def test_the_demo_scene_with_a_far_background_is_beyond_by_the_published_share(shared_data: Path) -> None:
    with np.load(shared_data / "realdata/n3d_demo/demo1.npz", allow_pickle=False) as data:
        raw = data["pcd"].astype(np.float32)
    xyz, valid = raw[..., :3], raw[..., 3] > 0
    scene = measure_scene(xyz, valid)
    points = normalized_points(xyz, valid, scene.normalization)
    assert 1 / scene.normalization.scale_per_m == pytest.approx(41.709, abs=1e-3)
    assert (points[valid][:, 2] > 2).mean() == pytest.approx(0.014, abs=0.001)


def test_real_frames_have_no_specks_to_leave_out(shared_data: Path) -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    camera = CameraIntrinsics(fx=525.0, fy=525.0, cx=319.5, cy=239.5, width=640, height=480)
    for file in sorted((shared_data / "realdata/osd").glob("*_depth.png"))[::9]:
        raw = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        depth = np.where(raw > 0, raw / 1000, np.nan)
        xyz, valid = model_point_map(make_frame(depth_m=depth, intrinsics=camera))
        assert measure_scene(xyz, valid, method="robust").excluded_share == 0


@pytest.mark.parametrize(
    "changes",
    [{"long_side": 1}, {"long_side": 5000}, {"normalization": "median"}, {"min_pixels": 1}, {"max_pixels": 100}],
)
def test_options_outside_their_range_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="InputOptions"):
        InputOptions(**changes)


def test_another_long_side_is_taken() -> None:
    image, _ = encode_frame(frame_of(slope(640, 480)), InputOptions(long_side=320))
    assert (image.points.shape[:2], image.grid) == ((240, 320), (18, 22))


def test_a_frame_is_encoded_alike_every_time() -> None:
    frame = frame_of(slope(848, 480))
    first, second = encode_frame(frame)[0], encode_frame(frame)[0]
    np.testing.assert_array_equal(first.points, second.points)
    np.testing.assert_array_equal(first.pixel_values, second.pixel_values)
    assert not first.points.flags.writeable
