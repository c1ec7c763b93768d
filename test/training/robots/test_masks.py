"""Which pixels show which object."""

from __future__ import annotations

import numpy as np
import pytest

from bags_for_tests import CAMERA, block, map_T_camera, render
from model_training.robots.editing import EditedObject
from model_training.robots.masks import object_labels, points_in
from model_training.robots.work_folder import FoundObject
from n3d_ros.geometry.arrays import BoolArray, Float32Array, FloatArray
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.camera import unproject

POSE = map_T_camera()
UP: FloatArray = POSE.inverse().rotate(np.array([0.0, 0.0, 1.0]))


@pytest.fixture(scope="module")
def points() -> Float32Array:
    return unproject(render(POSE)[1].astype(np.float32), CAMERA)


@pytest.fixture(scope="module")
def red() -> BoolArray:
    return np.asarray(render(POSE)[0][..., 0] == 200)


def an_object(number: int, box_map: Box3D, *, has_mask: bool = False, is_moved: bool = False) -> EditedObject:
    box = box_map.transformed(POSE.inverse())
    found = FoundObject(number=number, label="thing", box=box, has_mask=has_mask)
    return EditedObject(id=number, label="thing", box=box, found=found, is_moved=is_moved)


def test_the_points_in_a_box_are_those_of_the_object_without_the_ground(points: Float32Array, red: BoolArray) -> None:
    inside = points_in(block().transformed(POSE.inverse()), points, UP)
    assert not (inside & ~red).any()
    assert np.count_nonzero(inside) > 0.85 * np.count_nonzero(red)  # the lowest row may be the ground's


def test_a_flat_thing_keeps_its_points(points: Float32Array) -> None:
    plate = Box3D.axis_aligned([1.0, 0.0, 0.1], [0.1, 0.1, 0.008])  # as if the block's top were a plate
    assert np.count_nonzero(points_in(plate.transformed(POSE.inverse()), points, UP)) > 40


def test_no_depth_is_in_no_box(points: Float32Array) -> None:
    nothing = np.full_like(points, np.nan)
    assert not points_in(block().transformed(POSE.inverse()), nothing, UP).any()


def test_where_boxes_overlap_the_smaller_has_the_pixel(points: Float32Array) -> None:
    crate = Box3D.axis_aligned([1.0, 0.0, 0.1], [0.4, 0.4, 0.2])
    for order in ((1, 2), (2, 1)):
        boxes = {1: an_object(1, crate), 2: an_object(2, block())}
        labels = object_labels([boxes[k] for k in order], points, None, UP)
        assert set(np.unique(labels[points_in(boxes[2].box, points, UP)])) == {2}


def test_the_grounder_s_own_pixels_count_where_its_box_was_left_alone(points: Float32Array, red: BoolArray) -> None:
    own = np.where(red, 5, 0).astype(np.uint16)
    own[:3, :3] = 5  # what no box holds
    kept = object_labels([an_object(5, block(), has_mask=True)], points, own, UP)
    assert (kept == own).all()
    moved = object_labels([an_object(5, block(), has_mask=True, is_moved=True)], points, own, UP)
    assert not moved[:3, :3].any() and moved.any()
