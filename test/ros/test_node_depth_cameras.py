"""Two cameras of a robot in one pass of the depth model, over real DDS: posed by tf, or with estimated places."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("n3d_msgs", reason="needs the built interface package")

from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from tf2_msgs.msg import TFMessage

from model_harness import DEPTH, grounding_status, node_with
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.ros.conversions import stamp_to_ns, transform_to_msg
from node_harness import FRAME, NodeClient, wait_until

LEFT = "left_optical_frame"
SETTINGS = {"depth_source": "model", "depth_model.model": "wall", "depth_model.cameras": "left"}


class LeftCamera:
    """The further camera, and ears for what the node tells of it."""

    def __init__(self, client: NodeClient) -> None:
        self.client = client
        self.sent: list[int] = []
        node = client.node
        self.image = node.create_publisher(Image, "left/image", 10)
        self.info = node.create_publisher(CameraInfo, "left/camera_info", 10)
        self.heard: dict[str, list[Any]] = {name: [] for name in ("image", "camera_info", "points", "poses", "tf")}
        for topic, kind, name in (
            ("/n3d/depth/left/image", Image, "image"),
            ("/n3d/depth/left/camera_info", CameraInfo, "camera_info"),
            ("/n3d/depth/left/points", PointCloud2, "points"),
            ("/n3d/depth/estimated_poses", TFMessage, "poses"),
            ("/tf", TFMessage, "tf"),
        ):
            node.create_subscription(kind, topic, self.heard[name].append, 10)

    def wait_connected(self, topics: Any) -> None:
        publishers = topics._publishers.values()
        names = ("left", "estimated_poses")
        wanted = [one for one in publishers if any(name in one.topic for name in names)]
        assert wait_until(
            lambda: self.image.get_subscription_count() > 0 and all(one.get_subscription_count() for one in wanted)
        )

    def send(self) -> int:
        """Both cameras' images of one moment, the left one's a little earlier; the moment."""
        messages = {name: one for name, one in self.client.messages().items() if name in ("color", "color_info")}
        left = self.client.messages(stamp_to_ns(messages["color"].header.stamp) - 10_000_000)
        for name, publisher in (("color_info", self.info), ("color", self.image)):
            left[name].header.frame_id = LEFT
            publisher.publish(left[name])
        self.client.publish(messages)
        self.sent.append(stamp_to_ns(messages["color"].header.stamp))
        return self.sent[-1]

    def send_until(self, condition: Callable[[], bool]) -> bool:
        """Sends until the condition comes true: images may get lost, and the first may come before tf."""
        return wait_until(lambda: bool(self.send()) and wait_until(condition, 1.0))


def test_without_tf_the_models_places_are_told_apart_from_tf() -> None:
    with node_with(**SETTINGS) as (node, client):
        camera = LeftCamera(client)
        assert wait_until(lambda: node._inputs is not None and not node._depth.loading)
        camera.wait_connected(node._depth._topics)
        assert camera.send_until(lambda: bool(camera.heard["poses"]))
        (pose,) = camera.heard["poses"][-1].transforms
        assert (pose.header.frame_id, pose.child_frame_id) == (FRAME, f"{LEFT}_estimated")
        assert camera.heard["tf"] == []
        assert wait_until(lambda: all(camera.heard[name] for name in ("image", "camera_info", "points")))
        image, info, points = (camera.heard[name][-1] for name in ("image", "camera_info", "points"))
        assert {one.header.frame_id for one in (image, info, points)} == {LEFT}
        assert wait_until(lambda: "no known place" in getattr(grounding_status(client, DEPTH), "message", ""))


def test_with_tf_both_are_posed_views_of_one_pass_with_their_own_stamps() -> None:
    with node_with(**SETTINGS) as (node, client):
        camera = LeftCamera(client)
        left = RigidTransform(rotation=np.eye(3), translation=np.array([-0.2, 0.0, 0.0]))
        assert wait_until(lambda: node._inputs is not None and not node._depth.loading)
        camera.wait_connected(node._depth._topics)
        assert wait_until(lambda: client.publishers["tf"].get_subscription_count() >= 2)
        for _ in range(5):
            now_ns = client.now_ns()
            for stamp_ns in (now_ns - 10**9, now_ns + 10**10):
                message = transform_to_msg(left, parent=FRAME, child=LEFT, stamp_ns=stamp_ns)
                client.publishers["tf"].publish(TFMessage(transforms=[message]))
        source: Any = node._depth.source

        def posed() -> list[Any]:
            return [views for views in source.asked if len(views) == 2 and views[1].reference_T_camera]

        def stamps_heard() -> list[int]:
            return [stamp_to_ns(one.header.stamp) for one in camera.heard["image"]]

        assert camera.send_until(lambda: bool(posed()))
        first, second = posed()[0]
        assert first.reference_T_camera.is_close(RigidTransform.identity())
        assert second.reference_T_camera.translation == pytest.approx([-0.2, 0.0, 0.0])
        # what was told of earlier images, which tf did not reach yet, has come by then
        assert camera.send_until(lambda: any(views[1].stamp_ns in stamps_heard() for views in posed()))
        assert all(min(abs(stamp_ns - sent_ns) for sent_ns in camera.sent) <= 10_000_000 for stamp_ns in stamps_heard())
        camera.heard["poses"].clear()
        camera.heard["image"].clear()
        assert camera.send_until(lambda: bool(camera.heard["image"]))
        assert camera.heard["poses"] == []
