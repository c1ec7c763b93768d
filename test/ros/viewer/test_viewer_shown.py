"""What the 3-D scene shows, from messages."""

from __future__ import annotations

import numpy as np
import pytest

from builders import make_frame, make_intrinsics
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.ros.viewer.shown import (
    MAX_BOXES,
    MAX_PICTURE_WIDTH,
    cloud_of,
    first_viewpoint,
    ground_level_m,
    picture_of,
    shortened,
    shown_boxes,
    smaller,
    vertical_field_rad,
)
from viewer_messages import make_object

IDENTITY = RigidTransform.identity()
UPRIGHT = RigidTransform(  # a camera that looks along x of a frame with z up, at 1 m
    rotation=np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]), translation=np.array([0.0, 0.0, 1.0])
)


def test_a_box_is_shown_in_the_frame_that_is_shown() -> None:
    (shown,) = shown_boxes([make_object(center=(0.5, 0.25, 2.0))], UPRIGHT)
    assert np.allclose(shown.box.center, (2.0, -0.5, 0.75))
    assert shown.title == "#1 red box"


def test_an_id_always_has_the_same_colour_and_its_neighbour_another() -> None:
    first, second = shown_boxes([make_object(7), make_object(8)], IDENTITY)
    (again,) = shown_boxes([make_object(7, label="something else")], IDENTITY)
    assert first.color == again.color != second.color


def test_a_box_whose_numbers_make_no_box_is_left_out() -> None:
    broken = make_object(2, size=(0.0, 0.1, float("nan")))
    assert [one.object_id for one in shown_boxes([broken, make_object(3)], IDENTITY)] == [3]


def test_objects_that_are_not_tracked_are_told_apart() -> None:
    keys = [one.key for one in shown_boxes([make_object(0), make_object(0)], IDENTITY)]
    assert len(set(keys)) == 2


def test_no_more_boxes_are_shown_than_a_browser_bears() -> None:
    assert len(shown_boxes([make_object(number + 1) for number in range(MAX_BOXES + 50)], IDENTITY)) == MAX_BOXES


def test_a_person_who_asks_is_told_size_score_and_history() -> None:
    (shown,) = shown_boxes([make_object()], IDENTITY)
    assert dict(shown.facts) == {
        "size": "10 x 20 x 30 cm",
        "score": "0.90",
        "color": "red",
        "seen in": "3 images",
        "known for": "2.0 s",
    }


@pytest.mark.parametrize("text", ["a\nb", "a\x1b[31mb", "a\u202eb", "  a   b "])
def test_text_from_outside_becomes_one_plain_line(text: str) -> None:
    line = shortened(text)
    assert line.isprintable()
    assert line.startswith("a")


def test_a_label_of_a_megabyte_is_cut() -> None:
    assert len(shortened("x" * 1_000_000)) == 60


def test_boxes_are_drawn_on_the_picture_where_they_project() -> None:
    frame = make_frame(intrinsics=make_intrinsics(320, 240, 270.0))
    boxes = shown_boxes([make_object(center=(0.0, 0.0, 1.0), size=(0.2, 0.2, 0.2))], IDENTITY)
    picture = picture_of(frame.rgb, frame.intrinsics, boxes, IDENTITY)
    changed = (picture != frame.rgb).any(axis=2)
    below = 119.5 + 0.1 / 0.9 * 270.0  # the lower edge of the face that is 0.9 m away
    assert changed[round(below), 160]
    assert not changed[round(below) + 5 :].any()


def test_a_large_picture_is_sent_small() -> None:
    large = np.zeros((1080, 1920, 3), np.uint8)
    assert smaller(large).shape == (270, MAX_PICTURE_WIDTH, 3)


def test_the_cloud_is_thinned_out_and_lies_where_depth_says() -> None:
    frame = make_frame(depth_m=2.0, intrinsics=make_intrinsics(640, 480, 500.0))
    cloud = cloud_of(frame, limit=5000)
    assert 2000 < len(cloud.points_m) <= 5000
    assert np.allclose(cloud.points_m[:, 2], 2.0)
    assert cloud.colors.shape == cloud.points_m.shape
    assert cloud.step_m == pytest.approx(8 * 2.0 / 500.0)


def test_pixels_without_depth_are_no_points() -> None:
    depth = np.full((48, 64), np.nan, np.float32)
    depth[10, 20] = 1.0
    assert len(cloud_of(make_frame(depth_m=depth)).points_m) == 1


def test_the_grid_lies_where_most_things_stand() -> None:
    heights = (0.70, 0.71, 0.72, 0.0, 1.5)
    boxes = shown_boxes([make_object(n + 1, center=(n, 0, z + 0.15)) for n, z in enumerate(heights)], IDENTITY)
    assert ground_level_m(boxes) == pytest.approx(0.71, abs=0.011)
    assert ground_level_m([]) == 0.0


def test_a_person_stands_behind_and_above_the_camera_and_looks_at_the_objects() -> None:
    boxes = shown_boxes([make_object(center=(0.0, 0.3, 2.0))], UPRIGHT)
    view = first_viewpoint(UPRIGHT, boxes, None)
    assert view.position_m[0] < UPRIGHT.translation[0]
    assert view.position_m[2] > UPRIGHT.translation[2]
    assert np.allclose(view.look_at_m, boxes[0].box.center)


def test_without_objects_a_person_looks_where_the_camera_measures() -> None:
    view = first_viewpoint(UPRIGHT, (), cloud_of(make_frame(depth_m=3.0)))
    assert np.allclose(view.look_at_m, (3.0, 0.0, 1.0))


def test_a_camera_that_looks_straight_down_still_has_a_behind() -> None:
    down = RigidTransform(rotation=np.diag([1.0, -1.0, -1.0]), translation=np.array([0.0, 0.0, 2.0]))
    view = first_viewpoint(down, (), cloud_of(make_frame(depth_m=2.0)))
    assert np.isfinite(view.position_m).all()
    assert view.position_m[2] > 2.0


def test_the_frustum_has_the_camera_s_field_of_view() -> None:
    assert vertical_field_rad(make_intrinsics(64, 48, 24.0)) == pytest.approx(np.pi / 2)
