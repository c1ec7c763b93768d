"""The camera's topics, and which of its images are kept."""

from __future__ import annotations

import pytest

from n3d_ros.errors import InputError
from n3d_ros.ros.serialized import stamp_of_bytes
from n3d_ros.ros.viewer.camera_feed import (
    CAMERA_INFO,
    COMPRESSED,
    IMAGE,
    MAX_KEPT,
    MAX_KEPT_BYTES,
    Kept,
    camera_topics_of,
    with_own_depth,
)
from viewer_messages import make_stamp

REALSENSE = {
    "/camera/camera/color/image_raw": [IMAGE],
    "/camera/camera/color/camera_info": [CAMERA_INFO],
    "/camera/camera/aligned_depth_to_color/image_raw": [IMAGE],
    "/camera/camera/aligned_depth_to_color/camera_info": [CAMERA_INFO],
    "/tf": ["tf2_msgs/msg/TFMessage"],
}


def serialised(stamp_ns: int, order: str = "little", size: int = 40) -> bytes:
    """A message's beginning as the middleware gives it."""
    stamp = make_stamp(stamp_ns)
    head = bytes([0, 1 if order == "little" else 0, 0, 0])
    body = stamp.sec.to_bytes(4, order) + stamp.nanosec.to_bytes(4, order)  # type: ignore[arg-type]
    return (head + body).ljust(size, b"\0")


def test_colour_and_depth_are_told_apart_by_name() -> None:
    topics = camera_topics_of(REALSENSE)
    assert topics is not None
    assert topics.color == "/camera/camera/color/image_raw"
    assert topics.depth == "/camera/camera/aligned_depth_to_color/image_raw"
    assert topics.color_info == "/camera/camera/color/camera_info"
    assert topics.depth_info == "/camera/camera/aligned_depth_to_color/camera_info"


def test_the_depth_that_a_node_finds_itself_stands_for_a_depth_cameras() -> None:
    own = {"/front/n3d/depth/image": [IMAGE], "/front/n3d/depth/camera_info": [CAMERA_INFO], "/rosout": ["x/msg/Log"]}
    colour_only = {"/image_raw": [IMAGE], "/camera_info": [CAMERA_INFO]}
    for subscribed, color in ((colour_only, "/image_raw"), (REALSENSE, "/camera/camera/color/image_raw")):
        topics = camera_topics_of(with_own_depth(subscribed, own, "/front/n3d"))
        assert topics is not None
        assert (topics.color, topics.depth) == (color, "/front/n3d/depth/image")
        assert topics.depth_info == "/front/n3d/depth/camera_info"
    assert with_own_depth(REALSENSE, {"/n3d/objects": ["n3d_msgs/msg/Object3DArray"]}, "/n3d") == REALSENSE


def test_compressed_topics_keep_their_calibration() -> None:
    topics = camera_topics_of(
        {
            "/rgb/image/compressed": [COMPRESSED],
            "/rgb/camera_info": [CAMERA_INFO],
            "/depth/image/compressedDepth": [COMPRESSED],
            "/depth/camera_info": [CAMERA_INFO],
        }
    )
    assert topics is not None
    assert (topics.color_info, topics.depth_info) == ("/rgb/camera_info", "/depth/camera_info")
    assert topics.types[topics.depth] == COMPRESSED


def test_depth_that_is_registered_by_the_driver_needs_no_calibration_of_its_own() -> None:
    topics = camera_topics_of(
        {"/a/rgb/image": [IMAGE], "/a/rgb/camera_info": [CAMERA_INFO], "/a/depth_registered/image": [IMAGE]}
    )
    assert topics is not None
    assert topics.depth_info is None


@pytest.mark.parametrize(
    "missing", ["/camera/camera/color/image_raw", "/camera/camera/aligned_depth_to_color/image_raw"]
)
def test_a_node_without_both_images_has_no_camera(missing: str) -> None:
    assert camera_topics_of({name: kinds for name, kinds in REALSENSE.items() if name != missing}) is None


def test_names_that_say_nothing_can_be_given() -> None:
    odd = {"/left": [IMAGE], "/z16": [IMAGE], "/camera_info": [CAMERA_INFO]}
    assert camera_topics_of(odd) is None
    topics = camera_topics_of(odd, "/left", "/z16")
    assert topics is not None
    assert (topics.color, topics.depth, topics.color_info) == ("/left", "/z16", "/camera_info")


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("stamp_ns", [1, 1_700_000_000_123_456_789])
def test_a_stamp_is_read_without_unpacking_the_message(stamp_ns: int, order: str) -> None:
    assert stamp_of_bytes(serialised(stamp_ns, order)) == stamp_ns


@pytest.mark.ros
def test_the_stamp_is_where_the_middleware_puts_it() -> None:
    serialization = pytest.importorskip("rclpy.serialization")
    messages = pytest.importorskip("sensor_msgs.msg")
    message = messages.Image()
    message.header.stamp.sec, message.header.stamp.nanosec = 1_700_000_000, 123_456_789
    message.header.frame_id = "camera"
    assert stamp_of_bytes(serialization.serialize_message(message)) == 1_700_000_000_123_456_789


def test_a_message_too_short_for_a_stamp_is_refused_and_not_kept() -> None:
    with pytest.raises(InputError, match="at least 12 bytes"):
        stamp_of_bytes(b"\0\1\0\0")
    kept = Kept()
    kept.add(b"")
    assert kept.newest() is None


def test_the_image_of_a_moment_is_found_among_those_kept() -> None:
    kept = Kept()
    for stamp_ns in (100, 200, 300):
        kept.add(serialised(stamp_ns))
    assert kept.nearest(210, 20) == serialised(200)
    assert kept.nearest(250, 20) is None
    assert kept.newest() == serialised(300)


def test_no_more_is_kept_than_memory_allows() -> None:
    kept = Kept()
    for stamp_ns in range(1, 100):
        kept.add(serialised(stamp_ns))
    assert len(kept.stamps_ns()) == MAX_KEPT
    large = Kept()
    for stamp_ns in range(1, 10):
        large.add(serialised(stamp_ns, size=MAX_KEPT_BYTES // 3))
    assert len(large.stamps_ns()) == 3


def test_when_time_runs_back_what_was_before_is_forgotten() -> None:
    kept = Kept()
    for stamp_ns in (500, 600, 100):
        kept.add(serialised(stamp_ns))
    assert kept.stamps_ns() == [100]
