"""One moment of the scene, from what was heard."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from builders import make_frame
from n3d_ros.errors import EncodingError, TransformError
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.ros.viewer.composing import CLOUD_EVERY_S, Composer
from viewer_messages import make_object, make_objects

OPTICAL = "camera_color_optical_frame"
SECOND = 10**9


class FakeFeed:
    """What was heard, set by the test; the camera moves along x of the map, one metre per second."""

    def __init__(self) -> None:
        self.objects: Any = None
        self.heard: RgbdFrame | None = None
        self.broken: str | None = None
        self.jumps = 0
        self.has_tf = True

    def frame(self) -> RgbdFrame | None:
        if self.broken:
            raise EncodingError(self.broken)
        return self.heard

    def lookup(self, target: str, source: str, stamp_ns: int) -> RigidTransform:
        if target == source:
            return RigidTransform.identity()
        if not self.has_tf or (target, source) != ("map", OPTICAL):
            raise TransformError(f"{target} {source}")
        looking_along_x = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
        return RigidTransform(rotation=looking_along_x, translation=np.array([stamp_ns / SECOND, 0.0, 1.0]))


@pytest.fixture
def feed() -> FakeFeed:
    return FakeFeed()


def test_before_anything_was_heard_there_is_nothing_to_show(feed: FakeFeed) -> None:
    assert Composer(feed).compose(0.0) is None


def test_boxes_and_camera_are_shown_in_the_map_each_at_its_own_stamp(feed: FakeFeed) -> None:
    feed.objects = make_objects(make_object(center=(0.0, 0.0, 1.0)), stamp_ns=2 * SECOND)
    feed.heard = make_frame(stamp_ns=3 * SECOND)
    moment = Composer(feed).compose(0.0)
    assert moment is not None
    assert moment.frame_name == "map"
    assert np.allclose(moment.boxes[0].box.center, (3.0, 0.0, 1.0))
    assert moment.camera is not None
    assert np.allclose(moment.camera.shown_T_camera.translation, (3.0, 0.0, 1.0))
    assert moment.behind_s == pytest.approx(1.0)
    assert moment.distances_m() == {"1": pytest.approx(0.0)}


def test_without_tf_the_camera_stands_where_it_is_and_up_is_up(feed: FakeFeed) -> None:
    feed.has_tf = False
    feed.objects = make_objects(make_object(center=(0.0, 0.2, 1.0)))
    feed.heard = make_frame(stamp_ns=SECOND)
    moment = Composer(feed).compose(0.0)
    assert moment is not None
    assert moment.camera is not None
    assert np.allclose(moment.boxes[0].box.center, (1.0, 0.0, -0.2))


def test_what_was_shown_already_is_not_shown_again(feed: FakeFeed) -> None:
    feed.objects, feed.heard = make_objects(make_object()), make_frame()
    composer = Composer(feed)
    assert composer.compose(0.0) is not None
    assert composer.compose(0.1) is None
    feed.objects = make_objects(make_object(), stamp_ns=2 * SECOND)
    assert composer.compose(0.2) is not None


def test_points_are_sent_now_and_then_and_pictures_always(feed: FakeFeed) -> None:
    composer = Composer(feed)
    clouds = 0
    for number in range(1, 11):
        feed.heard = make_frame(stamp_ns=number * SECOND)
        moment = composer.compose(100.0 + number * CLOUD_EVERY_S / 5)
        assert moment is not None
        assert moment.picture is not None
        clouds += moment.cloud is not None
    assert clouds == 2


def test_images_that_cannot_be_read_are_told_and_the_boxes_are_shown_all_the_same(feed: FakeFeed) -> None:
    feed.objects, feed.broken = make_objects(make_object()), "no such encoding"
    moment = Composer(feed).compose(0.0)
    assert moment is not None
    assert len(moment.boxes) == 1
    assert "no such encoding" in moment.trouble


def test_after_a_jump_in_time_the_frame_is_chosen_anew(feed: FakeFeed) -> None:
    feed.objects = make_objects(make_object())
    composer = Composer(feed)
    composer.compose(0.0)
    feed.has_tf, feed.jumps = False, 1
    feed.objects = make_objects(make_object(), stamp_ns=5 * SECOND)
    moment = composer.compose(0.1)
    assert moment is not None
    assert "levelled" in moment.frame_name


def test_an_answer_s_boxes_are_placed_where_its_frame_is(feed: FakeFeed) -> None:
    composer = Composer(feed)
    feed.objects = make_objects(make_object())
    composer.compose(0.0)
    (placed,) = composer.answered(make_objects(make_object(center=(0.0, 0.0, 1.0)), stamp_ns=4 * SECOND), 0.1)
    assert np.allclose(placed.box.center, (5.0, 0.0, 1.0))
    assert composer.answered(make_objects(make_object(), frame_id="gone"), 0.2) == ()
