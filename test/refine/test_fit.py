"""Boxes fitted to points: exact surfaces, noisy ray-cast views, real frames."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from n3d_ros.errors import InputError
from n3d_ros.geometry import Box3D, iou_3d
from n3d_ros.geometry.transforms import matrix_to_quaternion, rotation_about_axis
from n3d_ros.refine import DepthNoise, FitConfig, FittedBox, fit_box
from n3d_ros.refine.view import horizontal_axes
from refine.refine_raycast import Array, Camera, Solid, object_points, render

SIZES = {
    "box": (0.16, 0.09, 0.12),
    "cylinder": (0.08, 0.08, 0.14),
    "lying": (0.18, 0.07, 0.07),
    "ball": (0.11, 0.11, 0.11),
    "bowl": (0.18, 0.18, 0.09),
}


def true_box(solid: Solid, camera: Camera) -> Box3D:
    rotation, _ = camera.world_T_camera
    return Box3D(
        center=camera.to_camera(solid.center),
        size=np.array(solid.size),
        orientation_xyzw=matrix_to_quaternion(rotation.T @ solid.axes),
    )


def random_view(kind: str, rng: np.random.Generator) -> tuple[Solid, Camera]:
    size = np.array(SIZES[kind]) * (rng.uniform(0.6, 1.5, 3) if kind == "box" else rng.uniform(0.7, 1.4))
    solid = Solid(kind=kind, size=tuple(size), position=tuple(rng.uniform(-0.1, 0.1, 2)), yaw=rng.uniform(-3, 3))
    camera = Camera(distance=rng.uniform(0.5, 1.5), pitch=np.deg2rad(rng.uniform(25, 60)), heading=rng.uniform(-3, 3))
    return solid, camera


def fitted_view(solid: Solid, camera: Camera, seed: int | None = 0) -> FittedBox:
    depth, label = render([solid], camera, seed=seed)
    return fit_box(object_points(depth, label, 0), camera.up, support_height_m=camera.support_height)


def size_in_axes_of(true: Box3D, fitted: FittedBox) -> Array:
    """The fitted size with width and depth in the order of the true box's axes."""
    agreement = np.abs(true.rotation.T @ fitted.box.rotation)
    swapped = fitted.yaw_is_defined and agreement[0, 1] > agreement[0, 0]
    return fitted.box.size[[1, 0, 2]] if swapped else fitted.box.size


def quarter_turn_error(true: Box3D, fitted: FittedBox) -> float:
    x_axis = true.rotation.T @ fitted.box.rotation[:, 0]
    angle = np.arctan2(x_axis[1], x_axis[0])
    return abs((angle + np.pi / 4) % (np.pi / 2) - np.pi / 4)


def visible_surface(size: Array, center: Array, yaw: float) -> Array:
    """Points on the top and the camera-facing sides of a box, z up, camera at the origin far along -y."""
    at = np.linspace(-0.5, 0.5, 25)
    a, b = (grid.ravel() for grid in np.meshgrid(at, at))
    half = np.full_like(a, 0.5)
    faces = [np.stack([a, b, half], 1)]
    c, s = np.cos(yaw), np.sin(yaw)
    rotation = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
    for axis in (0, 1):
        for sign in (-1.0, 1.0):
            if (sign * rotation[:, axis]) @ -center > size[axis] / 2:
                face = np.stack([a, b, b], 1)
                face[:, axis], face[:, 1 - axis] = sign / 2, a
                faces.append(face)
    return np.concatenate(faces) * size @ rotation.T + center


@settings(max_examples=60, deadline=None)
@given(
    width=st.floats(0.06, 0.3),
    depth=st.floats(0.06, 0.3),
    height=st.floats(0.06, 0.3),
    yaw=st.floats(-1.5, 1.5),
    x=st.floats(-0.4, 0.4),
)
def test_a_box_is_recovered_from_exact_points_of_its_visible_faces(
    width: float, depth: float, height: float, yaw: float, x: float
) -> None:
    size, center = np.array([width, depth, height]), np.array([x, 1.2, -0.7])
    points = visible_surface(size, center, yaw)
    c, s = np.cos(yaw), np.sin(yaw)
    rotation = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
    true = Box3D(center=center, size=size, orientation_xyzw=matrix_to_quaternion(rotation))
    fitted = fit_box(points, np.array([0, 0, 1.0]))
    assert iou_3d(fitted.box, true) > 0.93
    assert np.linalg.norm(fitted.box.center - center) < 0.006


@settings(max_examples=25, deadline=None)
@given(angle=st.floats(-3.1, 3.1), tilt=st.floats(-1.0, 1.0))
def test_turning_points_and_up_together_turns_the_box(angle: float, tilt: float) -> None:
    points = visible_surface(np.array([0.2, 0.1, 0.15]), np.array([0.1, 1.0, -0.6]), 0.4)
    up = np.array([0.0, 0.0, 1.0])
    turn = rotation_about_axis(np.array([1.0, 0, 0]), tilt) @ rotation_about_axis(up, angle)
    plain, turned = fit_box(points, up).box, fit_box(points @ turn.T, turn @ up).box
    np.testing.assert_allclose(turned.center, turn @ plain.center, atol=1e-5)
    np.testing.assert_allclose(turned.size, plain.size, atol=1e-5)
    np.testing.assert_allclose(turned.rotation, turn @ plain.rotation, atol=1e-5)


def test_moving_along_the_line_of_sight_moves_the_box() -> None:
    points = visible_surface(np.array([0.2, 0.1, 0.15]), np.array([0.0, 1.0, -0.6]), 0.4)
    up, shift = np.array([0.0, 0.0, 1.0]), 0.05 * np.array([0.0, 1.0, -0.6])
    config = FitConfig(completion="visible")
    plain, moved = fit_box(points, up, config=config).box, fit_box(points + shift, up, config=config).box
    np.testing.assert_allclose(moved.center, plain.center + shift, atol=1e-3)
    np.testing.assert_allclose(moved.size, plain.size, atol=2e-3)


@pytest.mark.parametrize("kind", list(SIZES))
def test_noisy_views_give_centres_within_15_mm_and_sizes_within_20_mm(kind: str) -> None:
    rng = np.random.default_rng(11)
    centers, sizes, yaws = [], [], []
    for seed in range(12):
        solid, camera = random_view(kind, rng)
        fitted, true = fitted_view(solid, camera, seed), true_box(solid, camera)
        centers.append(np.linalg.norm(fitted.box.center - true.center))
        sizes.append(np.abs(size_in_axes_of(true, fitted) - true.size).max())
        yaws.append(quarter_turn_error(true, fitted))
    assert np.median(centers) < 0.010
    assert np.max(centers) < 0.015
    assert np.median(sizes) < 0.010
    assert np.max(sizes) < 0.020
    if kind in ("box", "lying"):
        assert np.median(yaws) < np.deg2rad(1.0)


@pytest.mark.parametrize(
    ("kind", "solid"), [("box", "box"), ("cylinder", "cylinder"), ("lying", "lying_cylinder"), ("ball", "ball")]
)
def test_solids_are_recognised_under_noise(kind: str, solid: str) -> None:
    rng = np.random.default_rng(3)
    found = [fitted_view(*random_view(kind, rng), seed).solid for seed in range(10)]
    assert found.count(solid) >= 9, found


def test_round_things_have_no_yaw_and_say_so() -> None:
    fitted = fitted_view(Solid(kind="ball", size=(0.1, 0.1, 0.1), position=(0, 0)), Camera(distance=0.8, pitch=0.7))
    assert not fitted.yaw_is_defined
    assert fitted.uncertainty.yaw_stddev_rad == pytest.approx(np.pi / np.sqrt(3))


def test_completion_adds_the_hidden_back_of_a_lying_cylinder() -> None:
    solid, camera = Solid(kind="lying", size=(0.2, 0.1, 0.1), position=(0, 0), yaw=1.5), Camera(distance=0.8, pitch=0.5)
    depth, label = render([solid], camera)
    points = object_points(depth, label, 0)
    seen = fit_box(points, camera.up, config=FitConfig(completion="visible"))
    whole = fit_box(points, camera.up)
    true = camera.to_camera(solid.center)
    assert np.linalg.norm(whole.box.center - true) < np.linalg.norm(seen.box.center - true) - 0.004


@pytest.mark.parametrize("kind", list(SIZES))
def test_errors_agree_with_the_stated_uncertainty_within_a_factor_of_three(kind: str) -> None:
    rng = np.random.default_rng(23)
    center, size = [], []
    for seed in range(12):
        solid, camera = random_view(kind, rng)
        fitted, true = fitted_view(solid, camera, seed), true_box(solid, camera)
        error = fitted.box.center - true.center
        center.append(error @ np.linalg.solve(fitted.uncertainty.center_covariance_m2, error) / 3)
        order = np.argsort(np.abs(true.rotation.T @ fitted.box.rotation).argmax(axis=1)) if kind == "box" else [0, 1, 2]
        size.append(((size_in_axes_of(true, fitted) - true.size) / fitted.uncertainty.size_stddev_m[order]) ** 2)
    assert 1 / 3 < np.sqrt(np.mean(center)) < 3
    assert 1 / 4 < np.sqrt(np.mean(size)) < 3


def test_noisier_cameras_state_larger_uncertainty() -> None:
    camera = Camera(distance=1.0, pitch=0.7)
    depth, label = render([Solid(kind="box", size=(0.1, 0.1, 0.1), position=(0, 0), yaw=0.4)], camera)
    points = object_points(depth, label, 0)
    small = fit_box(points, camera.up, noise=DepthNoise(constant_m=0.001)).uncertainty
    large = fit_box(points, camera.up, noise=DepthNoise(constant_m=0.01)).uncertainty
    assert np.trace(large.center_covariance_m2) > 4 * np.trace(small.center_covariance_m2)
    assert (large.size_stddev_m > small.size_stddev_m).all()


def test_an_unseen_back_is_uncertain_along_the_view_and_only_there() -> None:
    camera = Camera(distance=1.0, pitch=0.5)
    depth, label = render([Solid(kind="box", size=(0.1, 0.15, 0.15), position=(0, 0))], camera)
    points = object_points(depth, label, 0)
    front = points[points @ camera.up - camera.support_height < 0.14]  # its top is hidden
    whole, part = (fit_box(p, camera.up).uncertainty.center_covariance_m2 for p in (points, front))
    away = horizontal_axes(camera.up, points.mean(axis=0))[1]
    across = horizontal_axes(camera.up, points.mean(axis=0))[0]
    assert away @ part @ away > 4 * (away @ whole @ away)
    assert across @ part @ across < 2 * (across @ whole @ across)


def test_the_box_reaches_down_to_its_support() -> None:
    camera = Camera(distance=1.0, pitch=0.6)
    solid = Solid(kind="box", size=(0.1, 0.1, 0.2), position=(0, 0), yaw=0.2)
    depth, label = render([solid], camera)
    points = object_points(depth, label, 0)
    upper = points[points @ camera.up > camera.support_height + 0.1]  # the lower half is hidden
    assert fit_box(upper, camera.up).box.size[2] < 0.12
    assert fit_box(upper, camera.up, support_height_m=camera.support_height).box.size[2] == pytest.approx(
        0.2, abs=0.012
    )


def test_the_support_ratio_tells_a_seen_object_from_a_half_hidden_one() -> None:
    camera = Camera(distance=0.8, pitch=0.7)
    solid = Solid(kind="box", size=(0.2, 0.15, 0.15), position=(0, 0), yaw=0.3)
    depth, label = render([solid], camera)
    points = object_points(depth, label, 0)
    whole = fit_box(points, camera.up, support_height_m=camera.support_height)
    height = points @ camera.up - camera.support_height
    covered = points[(height > 0.12)]
    hidden = fit_box(covered, camera.up, support_height_m=camera.support_height)
    assert whole.support_ratio > 0.9
    assert hidden.support_ratio < 0.75


def test_the_same_points_give_the_same_box() -> None:
    solid, camera = random_view("box", np.random.default_rng(5))
    depth, label = render([solid], camera)
    points = object_points(depth, label, 0)
    first, second = (fit_box(points, camera.up) for _ in range(2))
    assert (first.box.center == second.box.center).all()
    assert (first.box.size == second.box.size).all()
    assert first.support_ratio == second.support_ratio


def test_rows_with_nan_do_not_count() -> None:
    points = visible_surface(np.array([0.2, 0.1, 0.15]), np.array([0.0, 1.0, -0.6]), 0.4)
    up = np.array([0.0, 0.0, 1.0])
    with_nan = np.concatenate([points, np.full((50, 3), np.nan)])
    np.testing.assert_array_equal(fit_box(points, up).box.size, fit_box(with_nan, up).box.size)


@pytest.mark.parametrize(
    ("points", "up"),
    [
        (np.zeros((5, 2)), [0, 0, 1]),
        (np.zeros((5, 3)), [0, 0, 1]),
        (np.full((100, 3), np.nan), [0, 0, 1]),
        (np.ones((100, 3)), [0, 0, 0]),
        (np.ones((100, 3)), [np.nan, 0, 1]),
        (np.ones((100, 3)), [0, 1]),
    ],
)
def test_what_cannot_be_fitted_is_refused(points: Array, up: list[float]) -> None:
    with pytest.raises(InputError):
        fit_box(points, up)


@pytest.mark.parametrize("shape", ["one point repeated", "a line", "a plane facing the camera", "a line of sight"])
def test_degenerate_points_still_give_a_finite_box(shape: str) -> None:
    t = np.linspace(0, 0.1, 60)
    points = {
        "one point repeated": np.tile([0.1, 0.2, 1.0], (60, 1)),
        "a line": np.stack([t, 0 * t, 0 * t + 1], 1),
        "a plane facing the camera": np.stack([np.tile(t[:8], 8), np.repeat(t[:8], 8), np.ones(64)], 1),
        "a line of sight": np.stack([0 * t, 0 * t, 1 + t], 1),
    }[shape]
    fitted = fit_box(points, [0.0, -1.0, 0.0])
    assert np.isfinite(fitted.box.corners).all()
    assert 0 <= fitted.support_ratio <= 1


def test_a_camera_that_looks_straight_down_is_no_special_case() -> None:
    x, y = (grid.ravel() for grid in np.meshgrid(np.linspace(-0.1, 0.1, 40), np.linspace(-0.05, 0.05, 40)))
    points = np.stack([x, y, np.ones_like(x)], axis=1)
    fitted = fit_box(points, [0.0, 0.0, -1.0], support_height_m=-1.1)
    np.testing.assert_allclose(np.sort(fitted.box.size), [0.096, 0.1, 0.2], atol=0.006)


@pytest.mark.parametrize(
    "wrong", [{"completion": "none"}, {"extent_percentile": 9.0}, {"min_points": 1}, {"round_tolerance": -1.0}]
)
def test_options_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError):
        FitConfig(**wrong)  # type: ignore[arg-type]


KINECT_CENTER_PX, KINECT_FOCAL_PX = (319.5, 239.5), 525.0


def real_frame(folder: Path, name: str) -> tuple[Array, Array, Array]:
    """Points (H, W, 3), labels (H, W) and a valid mask of a real Kinect frame."""
    depth = cv2.imread(str(folder / f"{name}_depth.png"), cv2.IMREAD_UNCHANGED) / 1000.0
    label = cv2.imread(str(folder / f"{name}_label.png"), cv2.IMREAD_UNCHANGED)
    v, u = np.mgrid[: depth.shape[0], : depth.shape[1]]
    x, y = (u - KINECT_CENTER_PX[0]) / KINECT_FOCAL_PX, (v - KINECT_CENTER_PX[1]) / KINECT_FOCAL_PX
    return np.stack([x * depth, y * depth, depth], axis=-1), label, (depth > 0) & (label > 0)


def plane_up(points: Array) -> tuple[Array, float]:
    """Unit normal away from the ground and its height, robust to the few points that are not of the plane."""
    kept = points[::20]
    for _ in range(6):
        center = kept.mean(axis=0)
        normal = np.linalg.svd(kept - center, full_matrices=False)[2][2]
        gap = np.abs((points[::20] - center) @ normal)
        kept = points[::20][gap < max(3.0 * np.median(gap), 0.006)]
    normal = normal if normal[1] < 0 else -normal
    return normal, float(center @ normal)


@pytest.mark.parametrize("name", ["learn13", "learn34", "learn41", "learn0"])
def test_boxes_of_labelled_objects_in_real_frames_hold_their_points_and_no_others(shared_data: Path, name: str) -> None:
    points, label, valid = real_frame(shared_data / "realdata" / "osd", name)
    up, height = plane_up(points[valid & (label == 1)])
    for k in range(2, int(label.max()) + 1):
        own = valid & (label == k)
        if own.sum() < 300:
            continue
        stands = np.percentile(points[own] @ up, 1) - height < 0.04
        box = fit_box(points[own], up, support_height_m=height if stands else None).box
        inside = box.contains(points) & valid
        assert (inside & own).sum() / (inside | own).sum() > 0.75
