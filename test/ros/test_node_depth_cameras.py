"""Two cameras of a robot in one pass of the depth model, over real DDS: posed by tf, or with estimated places."""

from __future__ import annotations

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
        return stamp_to_ns(messages["color"].header.stamp)

    def send_until(self, name: str) -> int:
        """Sends until the node tells of it; the moment that was sent last."""
        for _ in range(20):
            stamp_ns = self.send()
            if wait_until(lambda: bool(self.heard[name]), 0.5):
                return stamp_ns
        raise AssertionError(f"nothing came on {name}")


def test_without_tf_the_models_places_are_told_apart_from_tf() -> None:
    with node_with(**SETTINGS) as (node, client):
        camera = LeftCamera(client)
        assert wait_until(lambda: node._inputs is not None and not node._depth.loading)
        camera.wait_connected(node._depth._topics)
        camera.send_until("poses")
        (pose,) = camera.heard["poses"][-1].transforms
        assert (pose.header.frame_id, pose.child_frame_id) == (FRAME, f"{LEFT}_estimated")
        assert camera.heard["tf"] == []
        assert wait_until(lambda: all(camera.heard[name] for name in ("image", "camera_info", "points")))
        image, info, points = (camera.heard[name][-1] for name in ("image", "camera_info", "points"))
        assert {one.header.frame_id for one in (image, info, points)} == {LEFT}
        assert wait_until(lambda: "no known place" in getattr(grounding_status(client, DEPTH), "message", ""), 5.0)


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
        stamp_ns = camera.send_until("image")
        source: Any = node._depth.source
        assert wait_until(lambda: any(len(views) == 2 and views[1].reference_T_camera for views in source.asked))
        first, second = next(views for views in source.asked if len(views) == 2 and views[1].reference_T_camera)
        assert first.reference_T_camera.is_close(RigidTransform.identity())
        assert second.reference_T_camera.translation == pytest.approx([-0.2, 0.0, 0.0])
        assert abs(stamp_to_ns(camera.heard["image"][-1].header.stamp) - stamp_ns) <= 10_000_000
        camera.heard["poses"].clear()
        camera.heard["image"].clear()
        camera.send_until("image")
        assert camera.heard["poses"] == []
