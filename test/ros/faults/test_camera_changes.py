"""A camera that changes its picture while it runs: size, frame, encoding, calibration, from one image to the next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("n3d_msgs", reason="needs the built interface package")

from n3d_msgs.srv import Locate, SpatialQuery

from fault_harness import assert_still_works, running
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.ros.conversions import intrinsics_to_camera_info, stamp_to_ns
from n3d_ros.ros.image_codec import depth_to_image_msg, fill_data, rgb_to_image_msg
from node_harness import FRAME, NodeClient, wait_until

SIZES = [(64, 48), (320, 240), (64, 48), (1280, 720), (48, 64), (160, 120)]
FRAMES = ["front_optical", "rear_optical", "", "front_optical", "/front_optical", "日本"]
COLOR_ENCODINGS = ["rgb8", "bgr8", "mono8", "rgba8", "bayer_rggb8", "16UC1", "rgb8"]
DEPTH_ENCODINGS = ["16UC1", "32FC1", "16UC1", "mono16", "32FC1"]
CHANNELS = {"rgb8": 3, "bgr8": 3, "mono8": 1, "rgba8": 4, "bayer_rggb8": 1, "16UC1": 2}


@pytest.fixture(scope="module")
def client() -> Iterator[NodeClient]:
    with running({"request.max_frame_age_s": 600.0}) as (_, client):
        client.wait_connected()
        yield client
        assert_still_works(client)


def moment(
    client: NodeClient,
    *,
    size: tuple[int, int] = (64, 48),
    frame: str = FRAME,
    color: str = "rgb8",
    depth: str = "16UC1",
    depth_m: float = 1.0,
) -> dict[str, Any]:
    """A good pair of the size, frame and encodings."""
    width, height = size
    camera = CameraIntrinsics(
        fx=0.9 * width, fy=0.9 * width, cx=(width - 1) / 2, cy=(height - 1) / 2, width=width, height=height
    )
    here = {"stamp_ns": client.now_ns(), "frame_id": frame}
    image = rgb_to_image_msg(np.full((height, width, 3), 90, np.uint8), **here)
    if color != "rgb8":
        image.encoding, image.step = color, CHANNELS[color] * width
        del image.data[:]
        fill_data(image, bytes(image.step * height))
    depth_image = np.full((height, width), depth_m, np.float32)
    depths = depth_to_image_msg(depth_image, encoding="16UC1" if depth == "mono16" else depth, **here)
    depths.encoding = depth
    info = intrinsics_to_camera_info(camera, **here)
    return {"color_info": info, "depth_info": info, "color": image, "depth": depths}


def objects_of(client: NodeClient, **kind: Any) -> Any:
    """What the node finds in a pair of this kind; sent again where a best-effort topic lost it."""
    for _ in range(10):
        messages = moment(client, **kind)
        client.publish(messages)
        stamp_ns = stamp_to_ns(messages["color"].header.stamp)
        if wait_until(lambda stamp_ns=stamp_ns: client.objects_at(stamp_ns) is not None, 1.0):  # type: ignore[misc]
            return client.objects_at(stamp_ns)
    raise AssertionError(f"nothing came back for {kind}: {client.dropped()}")


def test_pictures_of_another_size_are_used_with_their_own_calibration(client: NodeClient) -> None:
    for size in SIZES:
        found = objects_of(client, size=size)
        assert found.objects[0].pose.pose.position.z == pytest.approx(1.0, abs=1e-3), size
    response = client.call(client.query, SpatialQuery.Request(question="how many blocks are there?"))
    assert response.value.number == 1.0, response.sentence


def test_objects_of_another_frame_are_in_that_frame_and_none_is_left_in_the_old_one(client: NodeClient) -> None:
    for frame in FRAMES:
        if not frame:
            client.publish(moment(client, frame=""))
            continue
        name = frame.removeprefix("/")
        assert objects_of(client, frame=frame).header.frame_id == name
        response = client.call(client.locate, Locate.Request(phrase="red block"))
        assert response.header.frame_id == name
        assert len(response.objects) == 1, "one block, wherever the camera says that it is"
        counted = client.call(client.query, SpatialQuery.Request(question="how many blocks are there?"))
        assert counted.value.number == 1.0, counted.sentence


def test_pictures_of_another_encoding_are_used_or_refused_one_by_one(client: NodeClient) -> None:
    for color in COLOR_ENCODINGS:
        for depth in DEPTH_ENCODINGS:
            client.publish(moment(client, color=color, depth=depth))
    for depth in ("16UC1", "32FC1"):
        assert objects_of(client, depth=depth).objects


def test_every_pair_may_be_another(client: NodeClient) -> None:
    for number in range(60):
        size, frame = SIZES[number % len(SIZES)], FRAMES[number % len(FRAMES)]
        color, depth = COLOR_ENCODINGS[number % len(COLOR_ENCODINGS)], DEPTH_ENCODINGS[number % len(DEPTH_ENCODINGS)]
        messages = moment(client, size=size, frame=frame, color=color, depth=depth, depth_m=0.5 + 0.01 * number)
        if number % 5 == 0:
            messages["color_info"] = moment(client, size=SIZES[(number + 1) % len(SIZES)])["color_info"]
        client.publish(messages)
    assert objects_of(client).objects
