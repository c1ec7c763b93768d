"""A launch test: the launch file starts the node, a frame goes in, objects and an answer come out, and it ends cleanly.

Run by ``test_launch_for_real.py``, or by hand: ``launch_test test/launch_files/proof_of_life.py``.
"""

from __future__ import annotations

import sys
import time
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import launch
import launch_testing
import launch_testing.actions
import launch_testing.asserts
import numpy as np
import rclpy
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from n3d_msgs.msg import Object3DArray
from n3d_msgs.srv import SpatialQuery
from sensor_msgs.msg import CameraInfo, Image

from n3d_ros.ros.conversions import intrinsics_to_camera_info
from n3d_ros.ros.image_codec import depth_to_image_msg, rgb_to_image_msg
from n3d_ros.ros.transport import apply_transport_profile, share_file

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # launch_test does not know pytest's path

from scene.worlds import FRONT, INTRINSICS, Thing, depth_of

DEADLINE_S = 30.0
THING = Thing("block", (0.05, 0.0, 0.08), size=(0.14, 0.1, 0.16), yaw_rad=0.5)
DEPTH_M = depth_of([THING], FRONT)
IS_THING = np.isfinite(DEPTH_M) & (depth_of([], FRONT) - DEPTH_M > 1e-4)


def generate_test_description() -> launch.LaunchDescription:
    source = PythonLaunchDescriptionSource(str(share_file("launch", "n3d.launch.py")))
    node = IncludeLaunchDescription(
        source, launch_arguments=[("camera", "realsense"), ("camera_prefix", "/proof"), ("log_level", "info")]
    )
    return launch.LaunchDescription([node, launch_testing.actions.ReadyToTest()])


class TestTheLaunchedNode(unittest.TestCase):
    """Talks to the node that the launch file started."""

    @classmethod
    def setUpClass(cls) -> None:
        apply_transport_profile()
        rclpy.init()
        cls.node = rclpy.create_node("proof_of_life")
        cls.objects: list[Any] = []
        cls.node.create_subscription(Object3DArray, "/n3d/objects", cls.objects.append, 10)
        cls.publishers = [
            (cls.node.create_publisher(kind, f"/proof/{topic}", 1), make)
            for kind, topic, make in (
                (CameraInfo, "color/camera_info", calibration),
                (CameraInfo, "aligned_depth_to_color/camera_info", calibration),
                (Image, "color/image_raw", color),
                (Image, "aligned_depth_to_color/image_raw", depth),
            )
        ]

    @classmethod
    def tearDownClass(cls) -> None:
        cls.node.destroy_node()
        rclpy.shutdown()

    def publish_until(self, is_done: Callable[[], bool]) -> bool:
        """Publishes a picture ten times a second until something holds, or the deadline."""
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end and not is_done():
            stamp_ns = self.node.get_clock().now().nanoseconds
            for publisher, make in self.publishers:
                publisher.publish(make(stamp_ns))
            rclpy.spin_once(self.node, timeout_sec=0.1)
        return is_done()

    def test_objects_come_with_the_stamp_and_frame_of_their_image(self) -> None:
        assert self.publish_until(lambda: any(message.objects for message in self.objects))
        assert self.objects[-1].header.frame_id == "proof_optical_frame"

    def test_a_question_is_answered(self) -> None:
        client = self.node.create_client(SpatialQuery, "/n3d/query")
        assert client.wait_for_service(timeout_sec=DEADLINE_S)
        future = client.call_async(SpatialQuery.Request(question="How many objects are there?"))
        assert self.publish_until(future.done)
        assert future.result().success, future.result().status.message
        assert future.result().value.number == 1.0, future.result().sentence


@launch_testing.post_shutdown_test()
class TestTheEnd(unittest.TestCase):
    """After everything was told to end."""

    def test_the_node_ended_cleanly(self, proc_info: Any) -> None:
        launch_testing.asserts.assertExitCodes(proc_info)


def calibration(stamp_ns: int) -> Any:
    return intrinsics_to_camera_info(INTRINSICS, stamp_ns=stamp_ns, frame_id="proof_optical_frame")


def color(stamp_ns: int) -> Any:
    rgb = np.where(IS_THING[..., None], (200, 20, 20), (150, 150, 140)).astype(np.uint8)
    return rgb_to_image_msg(rgb, stamp_ns=stamp_ns, frame_id="proof_optical_frame")


def depth(stamp_ns: int) -> Any:
    return depth_to_image_msg(DEPTH_M, stamp_ns=stamp_ns, frame_id="proof_optical_frame")
