"""Point clouds as messages: where each pixel's point lies, and its colour."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="needs ROS 2 messages")

from n3d_ros.errors import InputError
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.ros.conversions import stamp_to_ns
from n3d_ros.ros.point_clouds import points_to_msg

CAMERA = CameraIntrinsics(fx=2.0, fy=4.0, cx=1.0, cy=0.0, width=3, height=2)


def test_points_lie_in_the_order_of_the_image_with_metres_and_packed_colours() -> None:
    depth = np.array([[1.0, 2.0, 4.0], [np.nan, 2.0, 2.0]], dtype=np.float32)
    rgb = np.zeros((2, 3, 3), dtype=np.uint8)
    rgb[0, 2] = (255, 2, 1)
    cloud = points_to_msg(depth, rgb, CAMERA, stamp_ns=1_500_000_000, frame_id="optical")
    assert (cloud.height, cloud.width, cloud.point_step, cloud.row_step) == (2, 3, 16, 48)
    assert [(one.name, one.offset, one.datatype) for one in cloud.fields] == [
        ("x", 0, 7),
        ("y", 4, 7),
        ("z", 8, 7),
        ("rgb", 12, 7),
    ]
    assert (stamp_to_ns(cloud.header.stamp), cloud.header.frame_id) == (1_500_000_000, "optical")
    points = np.frombuffer(bytes(cloud.data), dtype="<f4").reshape(2, 3, 4)
    assert points[0, 2, :3].tolist() == [2.0, 0.0, 4.0]  # (2 - 1) / 2 * 4, 0, 4
    assert points[1, 2, :3].tolist() == [1.0, 0.5, 2.0]
    assert np.isnan(points[1, 0, :3]).all()
    assert not cloud.is_dense
    assert bytes(cloud.data)[2 * 16 + 12 : 2 * 16 + 16] == bytes([1, 2, 255, 0]), "blue first, as PCL packs it"


def test_the_message_can_be_read_by_others() -> None:
    reader = pytest.importorskip("sensor_msgs_py.point_cloud2", reason="comes with a ROS distribution")
    cloud = points_to_msg(np.ones((2, 3), np.float32), np.zeros((2, 3, 3), np.uint8), CAMERA, stamp_ns=1, frame_id="o")
    assert reader.read_points_numpy(cloud, field_names=["x", "y", "z"]).shape == (6, 3)


def test_colour_of_another_size_is_refused() -> None:
    with pytest.raises(InputError, match="3x2 px"):
        points_to_msg(np.ones((2, 3), np.float32), np.zeros((3, 2, 3), np.uint8), CAMERA, stamp_ns=1, frame_id="o")
