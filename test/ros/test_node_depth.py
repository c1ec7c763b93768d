"""The node with a colour-only camera, over real DDS: depth by a model, its topics, and what goes with it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("n3d_msgs", reason="needs the built interface package")

from lifecycle_msgs.msg import Transition
from n3d_msgs.srv import Locate, SpatialQuery
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from fault_harness import change_state
from model_harness import DEPTH, grounding_status, node_with, set_parameter
from n3d_ros.errors import StatusCode
from n3d_ros.ros.conversions import intrinsics_to_camera_info, stamp_to_ns
from n3d_ros.ros.depth_keeper import MAX_FAILURES
from n3d_ros.ros.image_codec import image_to_depth_m, rgb_to_image_msg
from n3d_ros.ros.managed_node import N3dNode
from node_harness import FRAME, INTRINSICS, NodeClient, wait_until
from scripted_depth import CONFIDENCE, FACTS, NOTE

TOPICS = {"image": Image, "confidence": Image, "source": Image, "camera_info": CameraInfo, "points": PointCloud2}
COLOUR_ONLY = ("color_info", "color")


def send_colour(client: NodeClient, timeout_s: float = 10.0) -> Any:
    """Publishes colour images without depth until the objects of one come back; those objects."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        messages = {name: message for name, message in client.messages().items() if name in COLOUR_ONLY}
        stamp_ns = stamp_to_ns(messages["color"].header.stamp)
        client.publish(messages)
        if wait_until(lambda stamp_ns=stamp_ns: client.objects_at(stamp_ns) is not None, 1.0):  # type: ignore[misc]
            return client.objects_at(stamp_ns)
    raise AssertionError("no objects came back for a good colour image")


@contextmanager
def hearing(client: NodeClient) -> Iterator[dict[str, list[Any]]]:
    """What comes on the topics under ~/depth."""
    heard: dict[str, list[Any]] = {name: [] for name in TOPICS}
    subscriptions = [
        client.node.create_subscription(kind, f"/n3d/depth/{name}", heard[name].append, 10)
        for name, kind in TOPICS.items()
    ]
    yield heard
    for subscription in subscriptions:
        client.node.destroy_subscription(subscription)


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[N3dNode, NodeClient]]:
    """A node that finds depth itself."""
    settings = {"depth_source": "model", "depth_model.model": "wall", "request.max_frame_age_s": 600.0}
    with node_with(**settings) as (node, client):
        assert wait_until(lambda: node._depth.source is not None and not node._depth.loading, 10.0)
        client.wait_connected("color", "color_info")
        yield node, client


def test_only_colour_is_subscribed_and_the_boxes_are_those_of_a_depth_camera(
    running: tuple[N3dNode, NodeClient],
) -> None:
    _, client = running
    assert client.publishers["depth"].get_subscription_count() == 0
    assert client.publishers["depth_info"].get_subscription_count() == 0
    (found,) = send_colour(client).objects
    assert found.label == "red block"
    assert found.pose.pose.position.z == pytest.approx(1.0)
    assert wait_until(lambda: bool(client.heard["reports"]))
    report = client.heard["reports"][-1]
    assert {"assemble", "depth", "depth/network", "ground"} <= {stage.name for stage in report.stages}
    assert NOTE in report.status.message


def test_questions_and_remembered_images_work_without_a_depth_camera(running: tuple[N3dNode, NodeClient]) -> None:
    _, client = running
    first = send_colour(client)
    reply = client.call(client.query, SpatialQuery.Request(question="how far away is the red block?"))
    assert reply.status.code == StatusCode.OK, reply.status.message
    assert reply.value.number == pytest.approx(1.0, abs=0.01)
    assert NOTE in reply.status.message and NOTE not in reply.sentence
    send_colour(client)
    past = client.call(client.locate, Locate.Request(phrase="red block", stamp=first.header.stamp))
    assert past.status.code == StatusCode.OK, past.status.message
    assert past.header.stamp == first.header.stamp


def test_depth_goes_out_with_the_images_stamp_and_frame_while_somebody_listens(
    running: tuple[N3dNode, NodeClient],
) -> None:
    node, client = running
    with hearing(client) as heard:
        assert node._depth._topics is not None
        publisher = node._depth._topics._publishers["~/depth/points"]
        assert wait_until(lambda: publisher.get_subscription_count() > 0)
        stamp_ns = stamp_to_ns(send_colour(client).header.stamp)
        wanted = [name for name in TOPICS if name != "source"]
        assert wait_until(lambda: all(heard[name] for name in wanted)), heard
        newest = {name: heard[name][-1] for name in wanted}
        assert {(stamp_to_ns(one.header.stamp), one.header.frame_id) for one in newest.values()} == {(stamp_ns, FRAME)}
        assert heard["source"] == [], "told of fused depth only"
    depth = newest["image"]
    assert (depth.encoding, depth.width, depth.height) == ("32FC1", 64, 48)
    depth_m = image_to_depth_m(depth)
    assert np.isnan(depth_m[:4]).all() and depth_m[20, 30] == 1.0
    assert newest["confidence"].encoding == "32FC1"
    assert image_to_depth_m(newest["confidence"])[20, 40] == CONFIDENCE
    info = newest["camera_info"]
    assert (info.width, info.k[0], info.k[2]) == (INTRINSICS.width, INTRINSICS.fx, INTRINSICS.cx)
    cloud = newest["points"]
    assert (cloud.width, cloud.height, cloud.point_step) == (64, 48, 16)
    points = np.frombuffer(bytes(cloud.data), dtype="<f4").reshape(48, 64, 4)
    assert points[20, 30, :3] == pytest.approx([(30 - 31.5) / 60, (20 - 23.5) / 60, 1.0])
    assert points[20, 30, 3:].view("<u4")[0] == 90 << 16 | 90 << 8 | 90
    assert np.isnan(points[0, 0, :3]).all()


def test_diagnostics_tell_of_model_and_licence(running: tuple[N3dNode, NodeClient]) -> None:
    _, client = running
    assert wait_until(lambda: getattr(grounding_status(client, DEPTH), "level", None) == b"\0", 5.0)
    status = grounding_status(client, DEPTH)
    values = {one.key: one.value for one in status.values}
    assert values["source"] == "model" and values["model"] == "scripted"
    assert set(FACTS) <= set(values.values())
    send_colour(client)
    assert wait_until(lambda: NOTE in [one.value for one in grounding_status(client, DEPTH).values], 5.0)
    assert wait_until(
        lambda: ("depth/scale (latest)", "2") in [(one.key, one.value) for one in grounding_status(client).values], 5.0
    )


def test_the_bound_of_confidence_takes_effect_at_once(running: tuple[N3dNode, NodeClient]) -> None:
    node, client = running
    with hearing(client) as heard:
        assert node._depth._topics is not None
        publisher = node._depth._topics._publishers["~/depth/image"]
        assert wait_until(lambda: publisher.get_subscription_count() > 0)
        for bound, is_known in ((2.0, False), (0.0, True)):
            set_parameter(client, "depth_model.min_confidence", bound)
            stamp_ns = stamp_to_ns(send_colour(client).header.stamp)
            assert wait_until(
                lambda stamp_ns=stamp_ns: any(stamp_to_ns(m.header.stamp) == stamp_ns for m in heard["image"])
            )  # type: ignore[misc]
            assert bool(np.isfinite(image_to_depth_m(heard["image"][-1])[20, 2])) == is_known


def test_an_image_that_the_model_fails_on_costs_that_image(running: tuple[N3dNode, NodeClient]) -> None:
    node, client = running
    source: Any = node._depth.source
    source.broken = "CUDA error 700"
    try:
        for count in range(1, MAX_FAILURES + 2):
            client.publish({name: one for name, one in client.messages().items() if name in COLOUR_ONLY})
            assert wait_until(lambda count=count: client.dropped().get("depth_failed", 0) >= count, 5.0)  # type: ignore[misc]
        reply = client.call(client.locate, Locate.Request(phrase="red block"))
        assert reply.status.code == StatusCode.BACKEND_FAILED or reply.success
        assert wait_until(lambda: "CUDA error 700" in grounding_status(client, DEPTH).message, 3.0)
    finally:
        source.broken = ""
    assert len(send_colour(client).objects) == 1


def test_another_image_size_and_calibration_in_between_are_followed(running: tuple[N3dNode, NodeClient]) -> None:
    node, client = running
    camera = INTRINSICS.resized(2 * INTRINSICS.width, 2 * INTRINSICS.height)
    rgb = np.full((camera.height, camera.width, 3), 90, np.uint8)
    with hearing(client) as heard:
        assert node._depth._topics is not None
        publisher = node._depth._topics._publishers["~/depth/camera_info"]
        assert wait_until(lambda: publisher.get_subscription_count() > 0)
        for _ in range(10):  # images may get lost
            about = {"stamp_ns": client.now_ns(), "frame_id": FRAME}
            info = intrinsics_to_camera_info(camera, **about)
            client.publish({"color_info": info, "color": rgb_to_image_msg(rgb, **about)})
            if wait_until(lambda: any(one.width == camera.width for one in heard["camera_info"]), 1.0):
                break
        assert heard["camera_info"][-1].k[0] == camera.fx
    assert send_colour(client).objects


def test_the_model_stays_while_the_node_is_inactive_and_goes_with_cleanup(
    running: tuple[N3dNode, NodeClient],
) -> None:
    node, client = running
    first: Any = node._depth.source
    assert change_state(client, Transition.TRANSITION_DEACTIVATE)
    assert change_state(client, Transition.TRANSITION_ACTIVATE)
    assert send_colour(client).objects
    assert node._depth.source is first and not first.is_closed
    assert change_state(client, Transition.TRANSITION_DEACTIVATE)
    assert change_state(client, Transition.TRANSITION_CLEANUP)
    assert first.is_closed
    assert wait_until(lambda: client.node.count_publishers("/n3d/depth/image") == 0)
    assert change_state(client, Transition.TRANSITION_CONFIGURE)
    assert change_state(client, Transition.TRANSITION_ACTIVATE)
    assert wait_until(lambda: node._inputs is not None)
    assert send_colour(client).objects
    assert node._depth.source not in (None, first)
