"""The doctor on real systems that are wrong: publishers, a node and another process, over real DDS."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("n3d_msgs", reason="needs the built interface package")

import rclpy
from rclpy.context import Context
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from domains import DOMAIN_ID, EMPTY_DOMAIN_ID
from n3d_ros.cli import main as cli
from n3d_ros.errors import InputError
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.ros.camera_presets import load_camera_presets
from n3d_ros.ros.compat.tf2 import StaticTransformBroadcaster
from n3d_ros.ros.conversions import intrinsics_to_camera_info, transform_to_msg
from n3d_ros.ros.doctor import host
from n3d_ros.ros.doctor.contents import picture_of
from n3d_ros.ros.doctor.examination import examine
from n3d_ros.ros.doctor.findings import Finding, Level
from n3d_ros.ros.doctor.gathering import Request, gather
from n3d_ros.ros.image_codec import depth_to_image_msg, rgb_to_compressed_msg, rgb_to_image_msg
from node_harness import NodeProcess, ros_environment

FRAME = "camera_color_optical_frame"
INTRINSICS = CameraIntrinsics(fx=60.0, fy=60.0, cx=31.5, cy=23.5, width=64, height=48)
SENSOR = QoSProfile(depth=2, reliability=ReliabilityPolicy.BEST_EFFORT)


@pytest.fixture(autouse=True)
def own_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    ros_environment()
    monkeypatch.setenv("ROS_DOMAIN_ID", str(DOMAIN_ID))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")


@dataclass(kw_only=True)
class Camera:
    """A camera whose faults can be chosen; publishes in a thread of its own.

    Args:
        depth_size: height and width of depth.
        depth_value: of every pixel, in what unit the driver believes in.
        depth_encoding: of the message.
        depth_frame: of its header.
        zero_k: an empty calibration.
        with_depth_info: publish the calibration of depth.
        lag_s: of depth's stamps behind colour's.
    """

    depth_size: tuple[int, int] = (48, 64)
    depth_value: float = 1.0
    depth_encoding: str = "32FC1"
    depth_frame: str = FRAME
    zero_k: bool = False
    with_depth_info: bool = True
    lag_s: float = 0.0
    transforms: list[tuple[str, str, str]] = field(default_factory=list)  # (node, parent, child), static

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Publishes within the block."""
        context = Context()
        rclpy.init(context=context, domain_id=DOMAIN_ID)
        node = rclpy.create_node("camera", context=context)
        publishers: dict[str, Any] = {
            name: node.create_publisher(kind, f"/{name}", SENSOR)
            for name, kind in (("rgb/image", Image), ("rgb/camera_info", CameraInfo), ("depth/image", Image))
        }
        if self.with_depth_info:
            publishers["depth/camera_info"] = node.create_publisher(CameraInfo, "/depth/camera_info", SENSOR)
        senders = []
        for name, parent, child in self.transforms:
            sender = rclpy.create_node(name, context=context)
            identity = RigidTransform(rotation=np.eye(3), translation=np.array([0.0, 0.0, 1.0]))
            broadcaster = StaticTransformBroadcaster(sender)
            broadcaster.send([transform_to_msg(identity, parent=parent, child=child, stamp_ns=0)])
            senders.append((sender, broadcaster))
        stop = threading.Event()
        thread = threading.Thread(target=self._publish, args=(publishers, stop))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            for sender, _ in senders:
                sender.destroy_node()
            node.destroy_node()
            rclpy.shutdown(context=context)

    def _publish(self, publishers: dict[str, Any], stop: threading.Event) -> None:
        rgb = np.full((48, 64, 3), 90, dtype=np.uint8)
        depth = np.full(self.depth_size, self.depth_value, dtype=np.float32)
        while not stop.wait(0.1):
            stamp_ns = time.time_ns()
            info = intrinsics_to_camera_info(INTRINSICS, stamp_ns=stamp_ns, frame_id=FRAME)
            if self.zero_k:
                info.k = np.zeros(9)
                info.p = np.zeros(12)
            for name in publishers.keys() & {"rgb/camera_info", "depth/camera_info"}:
                publishers[name].publish(info)
            publishers["rgb/image"].publish(rgb_to_image_msg(rgb, stamp_ns=stamp_ns, frame_id=FRAME))
            depth_stamp_ns = stamp_ns - round(self.lag_s * 1e9)
            publishers["depth/image"].publish(
                depth_to_image_msg(
                    depth, encoding=self.depth_encoding, stamp_ns=depth_stamp_ns, frame_id=self.depth_frame
                )
            )


def examined(**request: Any) -> dict[str, Finding]:
    """The worst finding of each check."""
    findings = examine(gather(Request(seconds=1.0, **request)), load_camera_presets())
    return {one.check: one for one in sorted(findings, key=lambda one: one.level)}


def faults(found: dict[str, Finding]) -> set[str]:
    return {check for check, one in found.items() if one.level is Level.FAULT and one.group != "load"}


def test_a_camera_that_is_well_has_no_fault_and_is_found_by_its_names() -> None:
    with Camera(transforms=[("robot_state_publisher", "map", FRAME)]).running():
        found = examined()
    assert faults(found) == set(), found
    assert found["pair.frame"].level is Level.OK and found["tf.up"].level is Level.OK
    assert "from /camera" in found["color.published"].message
    assert found["node.running"].level is Level.WARNING
    assert found["tf.authority"].message == "1 transforms, one sender each."


def test_a_camera_with_many_faults_has_each_of_them_named() -> None:
    camera = Camera(
        depth_size=(24, 30),
        depth_value=900.0,  # millimetres
        depth_frame="camera_depth_optical_frame",
        zero_k=True,
        with_depth_info=False,
        lag_s=0.04,
        transforms=[("calibration_a", "map", "arm"), ("calibration_b", "base", "arm")],
    )
    with camera.running():
        found = examined(topics={"depth_info": "/depth/camera_info"})
    expected = {"depth.unit", "pair.size", "pair.frame_id", "color.calibration", "pair.frame", "pair.skew"}
    assert faults(found) == expected | {"tf.authority"}
    assert "set depth.unit_m to 0.001" in found["depth.unit"].mend.lower()
    assert "depth 30x24 px" in found["pair.size"].message and "all zeros" in found["color.calibration"].message
    assert "base, map" in found["tf.authority"].message and "calibration_a" in found["tf.authority"].mend
    assert found["depth_info.published"].level is Level.WARNING
    assert found["tf.up"].level is Level.WARNING


def test_qos_clock_and_frame_of_a_running_node_are_checked() -> None:
    parameters = {
        "qos_overrides./rgb/image.subscription.reliability": "reliable",
        "use_sim_time": "true",
        "output_frame": "map",
    }
    node = NodeProcess(parameters, name="patient")
    try:
        node.wait_for_log("Active: waiting")
        with Camera().running():
            found = examined(node="/patient")
    finally:
        node.end()
    assert faults(found) == {"qos.match", "time.clock", "tf.connected"}, found
    assert "nothing passes from /camera to /patient: reliability best_effort is offered" in found["qos.match"].message
    assert "qos_overrides./rgb/image.subscription.reliability" in found["qos.match"].mend
    assert "its time stands still" in found["time.clock"].message
    assert "output_frame is 'map'" in found["tf.connected"].message
    assert found["node.state"].message == "/patient is active."


def test_a_node_that_is_not_active_and_has_a_double_is_told() -> None:
    nodes = [NodeProcess({"autostart": "false"}, name="double") for _ in range(2)]
    try:
        for node in nodes:
            node.wait_for_log("autostart is false")
        found = examined(node="/double")
        other = examined(node="/n3d")
    finally:
        for node in nodes:
            node.end()
    assert "2 nodes are called /double" in found["node.name"].message
    assert "unconfigured" in found["node.state"].message and "configure" in found["node.state"].mend
    assert "/double" in other["node.running"].message


WRITER = """
import sys, time
import rclpy
from sensor_msgs.msg import Image
rclpy.init()
node = rclpy.create_node("untuned_camera")
publisher = node.create_publisher(Image, "/rgb/image", 1)
message = Image(height=480, width=640, encoding="rgb8", step=1920, data=bytes(921600))
message.header.frame_id = "camera_color_optical_frame"
print("ready", flush=True)
while True:
    message.header.stamp = node.get_clock().now().to_msg()
    publisher.publish(message)
    time.sleep(0.1)
"""


def test_a_writer_without_the_transport_profile_is_named_with_its_process() -> None:
    if "fastrtps" not in rclpy.get_rmw_implementation_identifier() or not Path("/proc/locks").is_file():
        pytest.skip("only Fast DDS on Linux keeps its messages in such shared memory")
    variables = ros_environment()
    for name in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"):
        variables.pop(name, None)
    process = subprocess.Popen([sys.executable, "-c", WRITER], env=variables, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        if process.pid not in host.locked_inodes().values():
            pytest.skip("the kernel does not show locks of other processes here")
        found = examined(topics={"color": "/rgb/image"})
    finally:
        process.kill()
        process.communicate()
    assert "color.transport" in found, found
    assert found["color.transport"].level is Level.FAULT
    assert f"/untuned_camera (process {process.pid}) has 0.5 MB" in found["color.transport"].message
    assert "FASTDDS_DEFAULT_PROFILES_FILE" in found["color.transport"].mend


def test_nothing_running_is_said_soon_and_in_json() -> None:
    environment = {**ros_environment(), "ROS_DOMAIN_ID": str(EMPTY_DOMAIN_ID)}
    command = [sys.executable, "-m", "n3d_ros.cli", "doctor", "--seconds", "0.5", "--json"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    document = json.loads(result.stdout)
    assert result.returncode == cli.EXIT_FAILED, result.stderr
    assert document["level"] == "fault" and document["topics"] == {}
    assert [one["check"] for one in document["findings"] if one["level"] == "fault"] == ["topics.published"]


def test_seconds_out_of_range_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", "--seconds", "0"]) == cli.EXIT_FAILED
    assert "--seconds: expected 0.5 to 60" in capsys.readouterr().err


def test_the_report_has_a_line_each_and_the_mend_below() -> None:
    from n3d_ros.cli.doctor import report
    from n3d_ros.ros.doctor.findings import fault, ok

    findings = [ok("a.b", "Well.\x1b[2J"), fault("color.unit", "Bad.", "Do this.")]
    assert report(findings).splitlines() == [
        "ok       a.b         Well.\\x1b[2J",
        "FAULT    color.unit  Bad.",
        "                     -> Do this.",
        "1 fault, 0 warnings, 1 well.",
    ]
    assert report(findings, quiet=True).splitlines()[0] == "FAULT    color.unit  Bad."


def test_jpeg_depth_is_refused_with_its_reason() -> None:
    message = rgb_to_compressed_msg(np.zeros((48, 64, 3), dtype=np.uint8), stamp_ns=1, frame_id=FRAME)
    assert isinstance(message, CompressedImage)
    picture = picture_of(message, "depth", byte_count=len(message.data))
    assert picture.error and picture.is_compressed and "jpeg" in picture.encoding
    assert not picture_of(message, "color", byte_count=1).error


def test_depth_is_read_in_the_unit_that_was_set() -> None:
    depth = np.full((48, 64), 900.0, dtype=np.float32)
    depth[:24] = np.nan
    message = depth_to_image_msg(depth, encoding="32FC1", stamp_ns=1, frame_id=FRAME)
    assert picture_of(message, "depth", byte_count=1).median_depth_m == pytest.approx(900.0)
    told = picture_of(message, "depth", byte_count=1, unit_m=0.001)
    assert told.median_depth_m == pytest.approx(0.9) and told.depth_share == pytest.approx(0.5)


def test_bytes_of_another_type_are_told_and_end_nothing() -> None:
    from n3d_ros.ros.doctor.contents import unreadable
    from n3d_ros.ros.doctor.listening import Ear
    from n3d_ros.ros.session import ros_node

    with ros_node("ears") as node:
        ear = Ear(node, Image, "/rgb/image", time.time_ns)
        ear.raw.append((0, b"\x00\x01\x00\x00" + b"\xff" * 20))
        with pytest.raises(InputError, match="24 bytes is not a Image as it is known here"):
            ear.newest()
    assert unreadable("color", "Why.")["picture"].error == unreadable("depth_info", "Why.")["calibration"].error
