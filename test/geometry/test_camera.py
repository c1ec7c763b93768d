"""Cameras: the pixel convention, lens models, resizing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from n3d_ros.errors import CalibrationError
from n3d_ros.geometry import CameraIntrinsics, CameraModel, Distortion, project, unproject
from n3d_ros.geometry.camera import pixel_rays

KINECT = CameraIntrinsics(fx=525.0, fy=525.0, cx=319.5, cy=239.5, width=640, height=480)
MILD = Distortion(model="plumb_bob", coefficients=(0.09, -0.18, 0.001, -0.002, 0.05))
RATIONAL = Distortion(model="rational_polynomial", coefficients=(0.4, -2.5, 5e-4, -1e-4, 1.4, 0.3, -2.3, 1.3))
FISHEYE = Distortion(model="equidistant", coefficients=(0.01, -0.003, 0.001, -0.0002))


def test_the_centre_of_the_first_pixel_is_zero() -> None:
    camera = CameraIntrinsics(fx=100, fy=200, cx=0, cy=0, width=4, height=3)
    assert unproject(np.full((3, 4), 2.0), camera)[0, 0].tolist() == [0.0, 0.0, 2.0]


def test_a_point_is_projected_as_computed_by_hand() -> None:
    # x = 0.2 m right, 0.1 m down, 2 m ahead: u = 525 * 0.1 + 319.5, v = 525 * 0.05 + 239.5
    np.testing.assert_allclose(project([0.2, 0.1, 2.0], KINECT), [372.0, 265.75])


def test_points_at_or_behind_the_camera_have_no_pixel() -> None:
    assert np.isnan(project([[0, 0, 0], [0, 0, -1]], KINECT)).all()


def test_unproject_keeps_missing_depth_missing() -> None:
    depth = np.array([[1.0, np.nan]], dtype=np.float32)
    xyz = unproject(depth, CameraIntrinsics(fx=1, fy=1, cx=0, cy=0, width=2, height=1))
    assert np.isfinite(xyz[0, 0]).all() and np.isnan(xyz[0, 1]).all()


def test_unproject_refuses_depth_of_another_size() -> None:
    with pytest.raises(CalibrationError, match="320x240.*640x480"):
        unproject(np.ones((240, 320)), KINECT)


@given(st.integers(0, 639), st.integers(0, 479), st.floats(0.2, 10))
def test_projecting_an_unprojected_pixel_returns_the_pixel(u: int, v: int, depth: float) -> None:
    ray = pixel_rays(KINECT)[v, u]
    np.testing.assert_allclose(project(ray * depth, KINECT), [u, v], atol=1e-9)


@pytest.mark.parametrize("size", [(320, 240), (1280, 960), (500, 333)])
def test_resizing_keeps_the_image_borders_on_the_same_rays(size: tuple[int, int]) -> None:
    resized = KINECT.resized(*size)
    for camera in (KINECT, resized):
        left = (-0.5 - camera.cx) / camera.fx
        bottom = (camera.height - 0.5 - camera.cy) / camera.fy
        np.testing.assert_allclose([left, bottom], [-320 / 525, 240 / 525])


def test_subsampling_keeps_the_rays_of_the_kept_pixels() -> None:
    np.testing.assert_allclose(pixel_rays(KINECT.subsampled(3)), pixel_rays(KINECT)[::3, ::3], atol=1e-12)


def test_cropping_keeps_the_rays_of_the_kept_pixels() -> None:
    np.testing.assert_allclose(pixel_rays(KINECT.cropped(10, 20, 30, 40)), pixel_rays(KINECT)[20:60, 10:40])
    with pytest.raises(CalibrationError, match="leaves"):
        KINECT.cropped(630, 0, 30, 40)


@pytest.mark.parametrize(
    ("field", "value"), [("fx", 0.0), ("fy", -1.0), ("fx", np.nan), ("cx", np.inf), ("width", 0), ("height", 10**6)]
)
def test_impossible_cameras_are_refused(field: str, value: float) -> None:
    numbers = {"fx": 1.0, "fy": 1.0, "cx": 0.0, "cy": 0.0, "width": 2, "height": 2, field: value}
    with pytest.raises(CalibrationError):
        CameraIntrinsics(**numbers)  # type: ignore[arg-type]


def test_radial_distortion_as_computed_by_hand() -> None:
    lens = Distortion(model="plumb_bob", coefficients=(0.1, 0.01, 0.0, 0.0, 0.0))
    # r2 = 0.25: factor 1 + 0.025 + 0.000625
    np.testing.assert_allclose(lens.distort([0.3, 0.4]), np.array([0.3, 0.4]) * 1.025625)


def test_tangential_distortion_as_computed_by_hand() -> None:
    lens = Distortion(model="plumb_bob", coefficients=(0.0, 0.0, 0.01, 0.02))
    # x' = x + 2 p1 x y + p2 (r2 + 2 x2), y' = y + p1 (r2 + 2 y2) + 2 p2 x y at (0.5, 0.2): r2 = 0.29
    np.testing.assert_allclose(
        lens.distort([0.5, 0.2]), [0.5 + 0.002 + 0.02 * 0.79, 0.2 + 0.01 * 0.37 + 0.004], atol=1e-15
    )


def test_a_fisheye_images_the_angle() -> None:
    lens = Distortion(model="equidistant", coefficients=(0, 0, 0, 0))
    np.testing.assert_allclose(lens.distort([1.0, 0.0]), [np.pi / 4, 0.0])


@pytest.mark.parametrize("lens", [MILD, RATIONAL, FISHEYE], ids=lambda lens: lens.model)
def test_lens_models_agree_with_opencv(lens: Distortion) -> None:
    cv2 = pytest.importorskip("cv2")
    xy = np.random.default_rng(0).uniform(-0.6, 0.6, (50, 2))
    rays = np.column_stack([xy, np.ones(50)])[:, None]
    if lens.model == "equidistant":
        seen, _ = cv2.fisheye.projectPoints(rays, np.zeros(3), np.zeros(3), np.eye(3), np.array(lens.coefficients))
    else:
        seen, _ = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), np.eye(3), np.array(lens.coefficients))
    np.testing.assert_allclose(lens.distort(xy), seen.reshape(-1, 2), atol=1e-12)


@pytest.mark.parametrize("lens", [MILD, RATIONAL, FISHEYE], ids=lambda lens: lens.model)
@given(x=st.floats(-0.55, 0.55), y=st.floats(-0.45, 0.45))
def test_undistort_inverts_distort(lens: Distortion, x: float, y: float) -> None:
    np.testing.assert_allclose(lens.undistort(lens.distort([x, y])), [x, y], atol=1e-7)


def test_undistort_says_nan_where_the_lens_has_no_inverse() -> None:
    strong = Distortion(model="plumb_bob", coefficients=(-1.0, 0.0, 0.0, 0.0, 0.0))
    # r - r^3 never exceeds 0.385, so nothing is ever imaged at radius 0.6
    assert np.isnan(strong.undistort([0.6, 0.0])).all()


@pytest.mark.parametrize(
    ("model", "count"), [("plumb_bob", 3), ("rational_polynomial", 5), ("equidistant", 5), ("mystery", 4)]
)
def test_unknown_lenses_and_wrong_counts_are_refused(model: str, count: int) -> None:
    with pytest.raises(CalibrationError):
        Distortion(model=model, coefficients=(0.1,) * count)


def test_an_ideal_camera_needs_no_rectification() -> None:
    assert not CameraModel(intrinsics=KINECT).needs_rectification
    assert CameraModel(intrinsics=KINECT, distortion=MILD).needs_rectification


def test_the_rectification_map_agrees_with_opencv() -> None:
    cv2 = pytest.importorskip("cv2")
    turn = cv2.Rodrigues(np.array([0.01, -0.02, 0.005]))[0]
    target = KINECT.resized(320, 240)
    model = CameraModel(intrinsics=KINECT, distortion=MILD, rectification=turn, rectified=target)
    expected = cv2.initUndistortRectifyMap(
        KINECT.matrix, np.array(MILD.coefficients), turn, target.matrix, (320, 240), cv2.CV_32FC1
    )
    for ours, theirs in zip(model.rectification_map(), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-3)
