"""The node with a colour-only camera, over real DDS: depth by a model, its topics, and what goes with it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
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


def send_colour(client: NodeClient, timeout_s: float = 30.0) -> Any:
    """Publishes colour images without depth until the objects of one come back; those objects."""
    deadline = time.monotonic() + timeout_s
    sent: list[int] = []
    while time.monotonic() < deadline:
        messages = {name: message for name, message in client.messages().items() if name in COLOUR_ONLY}
        sent.append(stamp_to_ns(messages["color"].header.stamp))
        client.publish(messages)
        if wait_until(lambda: client.first_objects(sent) is not None, 1.0):  # a slow node may answer an earlier one
            return client.first_objects(sent)
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


def of_moment(heard: dict[str, list[Any]], names: Sequence[str], stamp_ns: int) -> dict[str, Any]:
    """The messages of one moment by topic."""
    return {name: one for name in names for one in heard[name] if stamp_to_ns(one.header.stamp) == stamp_ns}


def heard_together(client: NodeClient, heard: dict[str, list[Any]], names: Sequence[str]) -> dict[str, Any]:
    """Publishes images until all of these topics have told of the same one; what they told."""
    for _ in range(5):
        stamp_ns = stamp_to_ns(send_colour(client).header.stamp)
        if wait_until(lambda stamp_ns=stamp_ns: len(of_moment(heard, names, stamp_ns)) == len(names), 5.0):  # type: ignore[misc]
            return of_moment(heard, names, stamp_ns)
    raise AssertionError(f"not all of {', '.join(names)} came for one image")


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[N3dNode, NodeClient]]:
    """A node that finds depth itself."""
    settings = {"depth_source": "model", "depth_model.model": "wall", "request.max_frame_age_s": 600.0}
    with node_with(**settings) as (node, client):
        assert wait_until(lambda: node._depth.source is not None and not node._depth.loading)
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

    def used() -> list[Any]:
        """Reports of images that were not dropped; each follows its objects."""
        return [one for one in client.heard["reports"] if one.status.code == StatusCode.OK]

    assert wait_until(lambda: bool(send_colour(client)) and wait_until(lambda: bool(used()), 2.0))
    report = used()[-1]
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
        wanted = [name for name in TOPICS if name != "source"]
        publishers = [node._depth._topics._publishers[f"~/depth/{name}"] for name in wanted]
        assert wait_until(lambda: all(one.get_subscription_count() for one in publishers))
        newest = heard_together(client, heard, wanted)
        assert {one.header.frame_id for one in newest.values()} == {FRAME}
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
    assert wait_until(lambda: getattr(grounding_status(client, DEPTH), "level", None) == b"\0")
    status = grounding_status(client, DEPTH)
    values = {one.key: one.value for one in status.values}
    assert values["source"] == "model" and values["model"] == "scripted"
    assert set(FACTS) <= set(values.values())
    send_colour(client)
    assert wait_until(lambda: NOTE in [one.value for one in grounding_status(client, DEPTH).values])
    assert wait_until(
        lambda: ("depth/scale (latest)", "2") in [(one.key, one.value) for one in grounding_status(client).values]
    )


def test_the_bound_of_confidence_takes_effect_at_once(running: tuple[N3dNode, NodeClient]) -> None:
    node, client = running
    with hearing(client) as heard:
        assert node._depth._topics is not None
        publisher = node._depth._topics._publishers["~/depth/image"]
        assert wait_until(lambda: publisher.get_subscription_count() > 0)
        for bound, is_known in ((2.0, False), (0.0, True)):
            set_parameter(client, "depth_model.min_confidence", bound)
            image = heard_together(client, heard, ["image"])["image"]
            assert bool(np.isfinite(image_to_depth_m(image)[20, 2])) == is_known


def test_an_image_that_the_model_fails_on_costs_that_image(running: tuple[N3dNode, NodeClient]) -> None:
    node, client = running
    source: Any = node._depth.source
    source.broken = "CUDA error 700"

    def failed(count: int) -> bool:
        """Publishes an image, and again where it was lost, until as many have failed."""
        client.publish({name: one for name, one in client.messages().items() if name in COLOUR_ONLY})
        return wait_until(lambda: client.dropped().get("depth_failed", 0) >= count, 2.0)

    try:
        for count in range(1, MAX_FAILURES + 2):
            assert wait_until(partial(failed, count), 20.0)
        reply = client.call(client.locate, Locate.Request(phrase="red block"))
        assert reply.status.code == StatusCode.BACKEND_FAILED or reply.success
        assert wait_until(lambda: "CUDA error 700" in grounding_status(client, DEPTH).message)
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
        sizes = {one.width: one.k[0] for one in heard["camera_info"]}
        assert sizes.get(camera.width) == camera.fx, sizes
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
