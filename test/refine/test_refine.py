"""Rough boxes made exact by the points around them."""

from __future__ import annotations

import numpy as np
import pytest

from n3d_ros.errors import InputError
from n3d_ros.geometry import Box3D, iou_3d
from n3d_ros.geometry.transforms import matrix_to_quaternion
from n3d_ros.refine import RefineConfig, refine_box
from refine.refine_raycast import Array, Camera, Solid, render, unproject

UP = np.array([0.0, -1.0, 0.0])


def box_in_camera(camera: Camera, center: Array, size: Array, yaw: float) -> Box3D:
    rotation, _ = camera.world_T_camera
    c, s = np.cos(yaw), np.sin(yaw)
    axes = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
    return Box3D(center=camera.to_camera(center), size=size, orientation_xyzw=matrix_to_quaternion(rotation.T @ axes))


def scene(seed: int) -> tuple[Solid, Camera, Array]:
    rng = np.random.default_rng(seed)
    target = Solid(kind="box", size=tuple(rng.uniform(0.08, 0.18, 3)), position=(0, 0), yaw=rng.uniform(-3, 3))
    other = Solid(kind="box", size=(0.1, 0.1, 0.1), position=(0.02, 0.26), yaw=0.3)
    camera = Camera(distance=rng.uniform(0.6, 1.3), pitch=np.deg2rad(rng.uniform(30, 60)), heading=rng.uniform(-3, 3))
    depth, _ = render([target, other], camera, seed=seed)
    return target, camera, unproject(depth).reshape(-1, 3)


def test_boxes_off_in_centre_size_and_yaw_find_their_object() -> None:
    before, after = [], []
    for seed in range(12):
        target, camera, points = scene(seed)
        rng = np.random.default_rng(100 + seed)
        size = np.array(target.size)
        true = box_in_camera(camera, target.center, size, target.yaw)
        rough = box_in_camera(
            camera,
            target.center + rng.uniform(-0.25, 0.25, 3) * size,
            size * rng.uniform(0.8, 1.25, 3),
            target.yaw + rng.uniform(-0.5, 0.5),
        )
        refined = refine_box(rough, points, camera.up)
        assert refined.status == "fitted"
        before.append(iou_3d(rough, true))
        after.append(iou_3d(refined.box, true))
    assert np.median(after) > 0.85
    assert np.median(after) > np.median(before) + 0.2


def test_the_neighbour_is_not_taken_in() -> None:
    target, camera, points = scene(3)
    rough = box_in_camera(camera, target.center, np.array(target.size) * 1.3, target.yaw)
    refined = refine_box(rough, points, camera.up)
    assert refined.box.volume < 1.3 * float(np.prod(target.size))


def test_a_given_support_is_used() -> None:
    target, camera, points = scene(1)
    rough = box_in_camera(camera, target.center, np.array(target.size), target.yaw)
    refined = refine_box(rough, points, camera.up, support_height_m=camera.support_height)
    lowest = float((refined.box.corners @ camera.up).min())
    assert lowest == pytest.approx(camera.support_height, abs=0.008)


def test_a_box_in_thin_air_comes_back_unchanged_with_the_reason() -> None:
    target, camera, points = scene(2)
    rough = box_in_camera(camera, target.center + np.array([0, 0, 0.5]), np.array(target.size), 0.0)
    refined = refine_box(rough, points, camera.up)
    assert refined.status == "too_few_points"
    assert refined.reason is not None and "40 points" in refined.reason
    assert refined.box is rough
    assert refined.support_ratio < 0.1
    assert (refined.uncertainty.size_stddev_m > 0.2 * rough.size).all()


def test_no_points_at_all_is_a_status_and_not_an_error() -> None:
    rough = Box3D.axis_aligned([0, 0, 1.0], [0.1, 0.1, 0.1])
    assert refine_box(rough, np.empty((0, 3)), UP).status == "too_few_points"
    assert refine_box(rough, np.full((500, 3), np.nan), UP).status == "too_few_points"


def test_points_of_another_shape_are_refused() -> None:
    with pytest.raises(InputError, match=r"\(M, 3\)"):
        refine_box(Box3D.axis_aligned([0, 0, 1.0], [0.1, 0.1, 0.1]), np.zeros((4, 5, 3)), UP)


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match="cell_m"):
        RefineConfig(cell_m=0.0)
