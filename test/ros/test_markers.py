"""Markers: stable ids, update in place, deletion of what left; and boxes drawn on images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("visualization_msgs", reason="needs ROS 2 messages")

from visualization_msgs.msg import Marker

from builders import make_box, make_detection, make_intrinsics
from n3d_ros.ros.config import MarkerConfig
from n3d_ros.ros.conversions import make_header
from n3d_ros.ros.markers import MarkerTracker
from n3d_ros.ros.overlay import OverlayItem, display_color, draw_boxes, raw_items, visible_edges
from n3d_ros.scene.objects import SceneObject

HEADER = make_header(5_000_000_000, "map")
CONFIG = MarkerConfig(lifetime_s=1.5)


def make_object(object_id: int, **changes: Any) -> SceneObject:
    return SceneObject.first(object_id, make_detection(**changes), 5_000_000_000)


def by_action(array: Any, action: int) -> list[Any]:
    return [marker for marker in array.markers if marker.action == action]


def test_an_object_has_box_edges_label_and_id_under_its_own_id() -> None:
    array = MarkerTracker().update([make_object(7, label="red mug", color="red", score=0.5)], HEADER, CONFIG)
    assert {(marker.ns, marker.id) for marker in array.markers} == {
        ("boxes", 7),
        ("edges", 7),
        ("labels", 7),
        ("ids", 7),
    }
    box, edges, label, number = array.markers
    assert (box.scale.x, box.scale.y, box.scale.z) == (0.1, 0.2, 0.3)
    assert len(edges.points) == 24
    assert label.text == "red mug 0.50"
    assert number.text == "#7"
    assert all(marker.header == HEADER for marker in array.markers)
    assert all((marker.lifetime.sec, marker.lifetime.nanosec) == (1, 500_000_000) for marker in array.markers)


def test_what_left_is_deleted_once_and_what_stays_is_updated() -> None:
    tracker = MarkerTracker()
    tracker.update([make_object(1), make_object(2)], HEADER, CONFIG)
    second = tracker.update([make_object(2)], HEADER, CONFIG)
    assert {marker.id for marker in by_action(second, Marker.ADD)} == {2}
    assert {(marker.ns, marker.id) for marker in by_action(second, Marker.DELETE)} == {
        (namespace, 1) for namespace in ("boxes", "edges", "labels", "ids")
    }
    third = tracker.update([make_object(2)], HEADER, CONFIG)
    assert by_action(third, Marker.DELETE) == []


def test_a_message_never_holds_the_same_namespace_and_id_twice() -> None:
    tracker = MarkerTracker()
    tracker.update([make_object(n) for n in (1, 2, 3)], HEADER, CONFIG)
    array = tracker.update([make_object(n) for n in (3, 4)], HEADER, CONFIG)
    keys = [(marker.ns, marker.id) for marker in array.markers]
    assert len(set(keys)) == len(keys)


def test_lifetime_zero_keeps_markers_until_deleted() -> None:
    array = MarkerTracker().update([make_object(1)], HEADER, MarkerConfig(lifetime_s=0.0))
    assert all((marker.lifetime.sec, marker.lifetime.nanosec) == (0, 0) for marker in array.markers)


def test_clearing_removes_all_with_one_marker() -> None:
    tracker = MarkerTracker()
    tracker.update([make_object(1)], HEADER, CONFIG)
    assert [marker.action for marker in tracker.clear(HEADER).markers] == [Marker.DELETEALL]
    assert by_action(tracker.update([], HEADER, CONFIG), Marker.DELETE) == []


def test_edge_points_are_the_corners_of_the_turned_box() -> None:
    known = make_object(1, center=(1.0, 2.0, 3.0), angle_rad=0.7)
    edges = MarkerTracker().update([known], HEADER, CONFIG).markers[1]
    points = {tuple(round(value, 6) for value in (point.x, point.y, point.z)) for point in edges.points}
    corners = {tuple(round(float(value), 6) for value in corner) for corner in known.box.corners}
    assert points == corners


def test_the_colour_word_decides_and_without_one_the_key() -> None:
    red, green, blue = display_color("red and white", 3)
    assert red > green
    assert red > blue
    assert display_color(None, 3) == display_color(None, 3) != display_color(None, 4)


def test_drawing_changes_pixels_on_the_box_only_and_not_the_picture_given() -> None:
    camera = make_intrinsics(width=64, height=48, focal_px=60.0)
    picture = np.zeros((48, 64, 3), np.uint8)
    box = make_box(center=(0.0, 0.0, 1.0), size=(0.2, 0.2, 0.2))
    drawn = draw_boxes(picture, camera, [OverlayItem(box=box, text="", color_rgb=(1.0, 0.0, 0.0))])
    assert picture.max() == 0
    _, columns = np.nonzero(drawn.any(axis=2))
    half = 60 * 0.1 / 0.9  # the near face, projected
    assert abs(columns.min() - (31.5 - half)) <= 1.5
    assert abs(columns.max() - (31.5 + half)) <= 1.5
    assert drawn[..., 0].max() > 0
    assert drawn[..., 1:].max() == 0


def test_edges_behind_the_camera_are_cut_or_left_out() -> None:
    camera = make_intrinsics()
    assert visible_edges(make_box(center=(0.0, 0.0, -1.0)), camera) == []
    through = visible_edges(make_box(center=(0.0, 0.0, 0.0), size=(0.2, 0.2, 1.0)), camera)
    assert 0 < len(through) < 12
    draw_boxes(
        np.zeros((48, 64, 3), np.uint8),
        camera,
        [OverlayItem(box=make_box(center=(0.0, 0.0, 0.0), size=(0.2, 0.2, 1.0)), text="near", color_rgb=(0, 1, 0))],
    )


def test_boxes_that_were_not_fitted_yet_are_drawn_thin_and_dashed() -> None:
    camera = make_intrinsics()
    black = np.zeros((camera.height, camera.width, 3), np.uint8)
    detection = make_detection(label="mug")
    (raw,) = raw_items([detection])
    assert raw.text == ""
    solid = OverlayItem(box=raw.box, text="", color_rgb=raw.color_rgb)
    inked = [(draw_boxes(black, camera, [item]) > 60).any(axis=2).sum() for item in (raw, solid)]
    assert 0 < inked[0] < 0.75 * inked[1]


def pointed(array: Any) -> list[tuple[int, int]]:
    return [(marker.action, marker.id) for marker in array.markers if marker.ns == "pointed"]


def test_what_is_pointed_at_is_outlined_while_it_is_shown_and_no_other() -> None:
    tracker = MarkerTracker()
    assert pointed(tracker.update([make_object(1), make_object(2)], HEADER, CONFIG)) == []
    assert pointed(tracker.point_at(2, CONFIG)) == [(Marker.ADD, 2)]
    outline = tracker.update([make_object(1), make_object(2)], HEADER, CONFIG)
    assert pointed(outline) == [(Marker.ADD, 2)]
    assert len(outline.markers[-1].points) == 24
    assert pointed(tracker.point_at(1, CONFIG)) == [(Marker.DELETE, 2), (Marker.ADD, 1)]
    assert pointed(tracker.update([make_object(2)], HEADER, CONFIG)) == [(Marker.DELETE, 1)]
    assert pointed(tracker.update([make_object(1)], HEADER, CONFIG)) == [(Marker.ADD, 1)], "it came back"
    assert pointed(tracker.point_at(None, CONFIG)) == [(Marker.DELETE, 1)]
    assert pointed(tracker.update([make_object(1)], HEADER, CONFIG)) == []


def test_nothing_is_outlined_after_a_jump_in_time() -> None:
    tracker = MarkerTracker()
    tracker.update([make_object(1)], HEADER, CONFIG)
    tracker.point_at(1, CONFIG)
    tracker.clear(HEADER)
    assert pointed(tracker.update([make_object(1)], HEADER, CONFIG)) == []
