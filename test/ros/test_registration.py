"""Straightening lenses and moving depth into the colour camera: against hand-made and brute-force geometry."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from builders import make_intrinsics
from n3d_ros.errors import CalibrationError
from n3d_ros.geometry import CameraIntrinsics, CameraModel, Distortion, RigidTransform
from n3d_ros.geometry.transforms import rotation_about_axis
from n3d_ros.ros.registration import rectify_depth, rectify_rgb, register_depth

NAN = np.nan
PLUMB = Distortion(model="plumb_bob", coefficients=(-0.25, 0.08, 0.001, -0.002, 0.0))


def camera(width: int = 64, height: int = 48, focal: float = 60.0) -> CameraIntrinsics:
    return make_intrinsics(width=width, height=height, focal_px=focal)


def shift(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> RigidTransform:
    return RigidTransform(rotation=np.eye(3), translation=np.array([x, y, z]))


def brute_force(
    depth: np.ndarray, source: CameraIntrinsics, target: CameraIntrinsics, target_T_source: RigidTransform
) -> np.ndarray:
    """One pixel at a time in float64, no splatting: the nearest measurement of every target pixel."""
    result = np.full((target.height, target.width), np.inf)
    for v in range(source.height):
        for u in range(source.width):
            z = float(depth[v, u])
            if not np.isfinite(z):
                continue
            point = np.array([(u - source.cx) / source.fx * z, (v - source.cy) / source.fy * z, z])
            x, y, z = target_T_source.apply(point)
            if z <= 0:
                continue
            column, row = np.floor(target.fx * x / z + target.cx + 0.5), np.floor(target.fy * y / z + target.cy + 0.5)
            if 0 <= column < target.width and 0 <= row < target.height:
                result[int(row), int(column)] = min(result[int(row), int(column)], z)
    return np.where(np.isinf(result), np.nan, result)


# ------------------------------------------------------------------------------------------------------- registration


def test_the_identity_changes_nothing() -> None:
    depth = np.random.default_rng(0).uniform(0.5, 3, (48, 64)).astype(np.float32)
    depth[10:20, 10:20] = np.nan
    registered = register_depth(depth, camera(), camera(), RigidTransform.identity())
    assert registered.dtype == np.float32
    assert np.allclose(registered, depth, rtol=1e-6, equal_nan=True)


def test_a_wall_moves_by_focal_length_times_baseline_over_depth() -> None:
    depth = np.full((48, 64), 2.0, np.float32)
    depth[20, 30] = 1.0
    # 0.1 m to the right at f = 60 px: 3 px at 2 m, 6 px at 1 m.
    registered = register_depth(depth, camera(), camera(), shift(x=0.1))
    assert registered[20, 36] == 1.0
    assert np.isnan(registered[:, :3]).all()
    assert np.isclose(np.delete(registered[:, 3:], 33, axis=1), 2.0).all()


def test_moving_forward_shortens_depth() -> None:
    registered = register_depth(np.full((48, 64), 2.0, np.float32), camera(), camera(), shift(z=-0.5))
    assert np.nanmin(registered) == np.nanmax(registered) == 1.5


def test_the_nearest_surface_wins() -> None:
    # A post at 1 m before a wall at 3 m; seen from the side both fall on the same pixels.
    depth = np.full((48, 64), 3.0, np.float32)
    depth[:, 30:34] = 1.0
    registered = register_depth(depth, camera(), camera(), shift(x=0.1))  # post by 6 px, wall by 2 px
    assert (registered[:, 36:40] == 1.0).all()
    assert (registered[:, 40:60] == 3.0).all()
    assert np.isnan(registered[:, 33:35]).all()  # what the post hid from the depth camera


@pytest.mark.parametrize("seed", range(4))
def test_without_splats_every_pixel_agrees_with_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    depth = rng.uniform(0.4, 4, (48, 64)).astype(np.float32)
    depth[rng.random(depth.shape) < 0.2] = np.nan
    transform = RigidTransform(
        rotation=rotation_about_axis(rng.normal(size=3), 0.15), translation=rng.uniform(-0.1, 0.1, 3)
    )
    target = camera(80, 60, 55.0)
    expected = brute_force(depth, camera(), target, transform)
    registered = register_depth(depth, camera(), target, transform)
    known = np.isfinite(expected)
    # Single rounding decisions may differ between float32 and float64; cracks are closed only where nothing was.
    different = ~np.isclose(registered[known], expected[known], rtol=1e-4)
    assert different.mean() < 0.002


@pytest.mark.parametrize("factor", [1.5, 2.0, 3.0, 3.7])
def test_a_denser_colour_camera_gets_no_cracks(factor: float) -> None:
    source = camera()
    target = source.resized(round(64 * factor), round(48 * factor))
    rows, columns = np.mgrid[0:48, 0:64]
    depth = (1.0 + 0.005 * columns + 0.003 * rows).astype(np.float32)
    registered = register_depth(depth, source, target, shift(x=0.01))
    inner = registered[4:-8, 8:-8]
    assert np.isfinite(inner).all()
    assert np.abs(np.diff(inner, axis=1)).max() < 0.03


def test_splats_stay_centred_on_their_pixel() -> None:
    source = camera(9, 9, 20.0)
    depth = np.full((9, 9), np.nan, np.float32)
    depth[4, 4] = 1.0
    for factor in (2, 3):
        target = source.resized(9 * factor, 9 * factor)
        rows, columns = np.nonzero(np.isfinite(register_depth(depth, source, target, RigidTransform.identity())))
        assert len(rows) == factor**2
        assert rows.mean() == columns.mean() == pytest.approx((4 + 0.5) * factor - 0.5)


def test_splats_at_the_left_and_upper_edge_are_not_lost() -> None:
    depth = np.full((48, 64), 1.0, np.float32)
    registered = register_depth(depth, camera(), camera().resized(128, 96), RigidTransform.identity())
    assert np.isfinite(registered).all()


def test_cracks_in_one_surface_are_closed_but_gaps_between_two_are_not() -> None:
    depth = np.full((48, 64), 2.0, np.float32)
    depth[:, 32:] = 1.0
    depth[:, 10] = np.nan
    depth[:, 31] = np.nan
    registered = register_depth(depth, camera(), camera(), RigidTransform.identity())
    assert (registered[:, 10] == 2.0).all()
    assert np.isnan(registered[:, 31]).all()


def test_what_lies_behind_the_colour_camera_or_is_missing_stays_out() -> None:
    depth = np.full((48, 64), 1.0, np.float32)
    assert np.isnan(register_depth(depth, camera(), camera(), shift(z=-2.0))).all()
    assert np.isnan(register_depth(np.full((48, 64), np.nan, np.float32), camera(), camera(), shift())).all()


def test_depth_of_another_size_than_its_camera_is_refused() -> None:
    with pytest.raises(CalibrationError, match="10x10.*64x48"):
        register_depth(np.ones((10, 10), np.float32), camera(), camera(), shift())


# ------------------------------------------------------------------------------------------------------ rectification


def test_a_camera_without_distortion_hands_back_the_same_image() -> None:
    model = CameraModel(intrinsics=camera())
    rgb, depth = np.zeros((48, 64, 3), np.uint8), np.ones((48, 64), np.float32)
    assert rectify_rgb(rgb, model) is rgb
    assert rectify_depth(depth, model) is depth


def test_rectified_colour_agrees_with_opencv() -> None:
    k = camera(160, 120, 140.0)
    new = CameraIntrinsics(fx=120, fy=121, cx=80, cy=61, width=160, height=120)
    rows, columns = np.mgrid[0:120, 0:160]
    rgb = np.stack([columns, rows * 2, (columns + rows) // 2], axis=-1).astype(np.uint8)
    ours = rectify_rgb(rgb, CameraModel(intrinsics=k, distortion=PLUMB, rectified=new))
    theirs = cv2.undistort(rgb, k.matrix, np.array(PLUMB.coefficients), None, new.matrix)
    assert np.abs(ours.astype(int) - theirs)[5:-5, 5:-5].max() <= 1


def test_rectified_depth_holds_only_values_that_were_measured() -> None:
    rng = np.random.default_rng(1)
    depth = rng.choice(np.array([0.5, 1.0, 4.0, NAN], np.float32), (48, 64))
    rectified = rectify_depth(depth, CameraModel(intrinsics=camera(), distortion=PLUMB))
    assert set(np.unique(rectified[np.isfinite(rectified)]).tolist()) == {0.5, 1.0, 4.0}
    assert depth.flags.writeable and np.isfinite(depth).any()


def test_rectified_depth_comes_from_where_the_lens_imaged_it() -> None:
    model = CameraModel(intrinsics=camera(), distortion=PLUMB)
    rows, columns = np.mgrid[0:48, 0:64]
    raw_index = (rows * 64 + columns + 1).astype(np.float32)
    rectified = rectify_depth(raw_index, model)
    for v, u in ((5, 5), (24, 32), (40, 60)):
        x, y = (u - 31.5) / 60, (v - 23.5) / 60
        seen = PLUMB.distort(np.array([x, y])) * 60 + [31.5, 23.5]
        column, row = np.floor(seen + 0.5).astype(int)
        assert rectified[v, u] == row * 64 + column + 1


def test_pixels_the_lens_never_saw_have_no_depth_and_are_black() -> None:
    pincushion = Distortion(model="plumb_bob", coefficients=(0.5, 0, 0, 0, 0))
    model = CameraModel(intrinsics=camera(), distortion=pincushion)
    assert np.isnan(rectify_depth(np.ones((48, 64), np.float32), model)[0, 0])
    assert (rectify_rgb(np.full((48, 64, 3), 200, np.uint8), model)[0, 0] == 0).all()
    assert rectify_depth(np.ones((48, 64), np.float32), model)[24, 32] == 1


def test_a_turned_view_measures_depth_along_its_own_axis() -> None:
    angle = 0.1
    model = CameraModel(intrinsics=camera(), rectification=rotation_about_axis([0, 1, 0], angle))
    rectified = rectify_depth(np.full((48, 64), 2.0, np.float32), model)
    # The wall z = 2 m in the camera: along a turned ray (x, y, 1) its depth is 2 / (R^T ray)_z.
    for v, u in ((24, 32), (10, 50), (40, 20)):
        ray = model.rectification.T @ [(u - 31.5) / 60, (v - 23.5) / 60, 1.0]
        assert rectified[v, u] == pytest.approx(2.0 / ray[2], rel=1e-5)


def test_a_calibration_of_another_size_is_refused() -> None:
    model = CameraModel(intrinsics=camera(), distortion=PLUMB)
    for call in (
        lambda: rectify_rgb(np.zeros((10, 10, 3), np.uint8), model),
        lambda: rectify_depth(np.ones((9, 9), np.float32), model),
    ):
        with pytest.raises(CalibrationError, match="64x48") as raised:
            call()
        assert raised.value.reason == "calibration_size_mismatch"
