"""Further cameras beside the first one: which image, which pose, and what is said when there is none."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

import rclpy
from sensor_msgs.msg import CameraInfo, Image

from builders import make_intrinsics
from domains import DOMAIN_ID
from n3d_ros.geometry.camera import CameraModel, Distortion
from n3d_ros.geometry.transform_buffer import TransformBuffer
from n3d_ros.geometry.transforms import RigidTransform, rotation_about_axis
from n3d_ros.inference.depth_config import DepthModelConfig
from n3d_ros.inference.depth_source import ColorView
from n3d_ros.ros import extra_cameras
from n3d_ros.ros.config import NodeConfig
from n3d_ros.ros.conversions import intrinsics_to_camera_info, model_to_camera_info
from n3d_ros.ros.extra_cameras import KEPT_IMAGES, ExtraCameras
from n3d_ros.ros.frame_assembly import FrameConfig
from n3d_ros.ros.image_codec import rgb_to_image_msg

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
FIRST, LEFT = "front_optical_frame", "left_optical_frame"
FIRST_T_LEFT = RigidTransform(rotation=rotation_about_axis([0, 1, 0], 0.4), translation=np.array([-0.3, 0.0, 0.1]))


class StandInNode:
    """Takes subscriptions, and delivers what it is told to."""

    def __init__(self, *publishers: str) -> None:
        self.callbacks: dict[str, Callable[[Any], None]] = {}
        self.publishers = publishers
        self.warnings: list[str] = []

    def create_subscription(self, _type: Any, topic: str, callback: Any, *_args: Any, **_options: Any) -> Any:
        self.callbacks[topic] = callback
        return SimpleNamespace(topic_name=f"/{topic}")

    def destroy_subscription(self, subscription: Any) -> None:
        del self.callbacks[subscription.topic_name.strip("/")]

    def resolve_topic_name(self, topic: str) -> str:
        return f"/{topic}"

    def get_publishers_info_by_topic(self, topic: str) -> list[Any]:
        return [object()] if topic in self.publishers else []

    def get_logger(self) -> Any:
        return SimpleNamespace(warning=self.warnings.append)


class Rig:
    """Extra cameras on a stand-in node, with tf to the left camera alone."""

    def __init__(self, cameras: str = "left", *, node: Any = None, **settings: Any) -> None:
        self.node = node or StandInNode()
        self.transforms = TransformBuffer(cache_ns=1000 * SECOND)
        self.drops: list[tuple[str, str]] = []
        config = NodeConfig(depth_model=DepthModelConfig(cameras=cameras, cameras_slop_s=0.05), **settings)
        self.cameras = ExtraCameras(
            self.node,
            config,
            lookup=self.transforms.lookup,
            on_drop=lambda reason, sentence: self.drops.append((reason, sentence)),
        )

    def place_left(self) -> None:
        for stamp_ns in (0, 100 * SECOND):
            self.transforms.set_transform(FIRST, LEFT, stamp_ns, FIRST_T_LEFT)

    def see(self, stamp_ns: int, grey: int = 90, camera: str = "left", frame_id: str = LEFT) -> None:
        self.node.callbacks[f"{camera}/camera_info"](info_msg(stamp_ns, frame_id))
        self.node.callbacks[f"{camera}/image"](image_msg(stamp_ns, grey, frame_id))


def image_msg(stamp_ns: int, grey: int, frame_id: str = LEFT) -> Image:
    camera = make_intrinsics()
    return rgb_to_image_msg(
        np.full((camera.height, camera.width, 3), grey, np.uint8), stamp_ns=stamp_ns, frame_id=frame_id
    )


def info_msg(stamp_ns: int, frame_id: str = LEFT) -> CameraInfo:
    return intrinsics_to_camera_info(make_intrinsics(), stamp_ns=stamp_ns, frame_id=frame_id)


def primary(stamp_ns: int = SECOND) -> ColorView:
    camera = make_intrinsics()
    rgb = np.zeros((camera.height, camera.width, 3), np.uint8)
    return ColorView(rgb=rgb, intrinsics=camera, stamp_ns=stamp_ns, frame_id=FIRST)


def test_an_image_of_the_same_moment_becomes_a_posed_view() -> None:
    rig = Rig()
    rig.place_left()
    rig.see(SECOND + 10 * MILLISECOND)
    (beside,) = rig.cameras.views_beside(primary())
    assert (beside.name, beside.view.frame_id) == ("left", LEFT)
    assert (beside.view.rgb == 90).all() and beside.view.intrinsics == make_intrinsics()
    pose = beside.view.reference_T_camera
    assert pose is not None and pose.is_close(FIRST_T_LEFT, translation_m=1e-9, rotation_rad=1e-9)
    assert not rig.drops


def test_the_image_nearest_in_time_is_taken_not_the_newest() -> None:
    rig = Rig()
    for offset, grey in ((-30, 10), (-2, 20), (31, 30)):
        rig.see(SECOND + offset * MILLISECOND, grey)
    (beside,) = rig.cameras.views_beside(primary())
    assert (beside.view.rgb == 20).all()


def test_a_camera_without_an_image_near_that_moment_is_left_out_and_counted() -> None:
    rig = Rig()
    rig.see(SECOND - 200 * MILLISECOND)
    assert rig.cameras.views_beside(primary()) == ()
    ((reason, sentence),) = rig.drops
    assert reason == "camera_left_out"
    assert "'left'" in sentence and "0.200 s older" in sentence and "cameras_slop_s" in sentence


def test_an_image_that_is_on_its_way_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    monkeypatch.setattr(extra_cameras, "WAIT_S", 3600.0)
    for number in (-2, -1):
        rig.see(SECOND + number * 100 * MILLISECOND)
    timer = threading.Timer(0.03, rig.see, (SECOND, 120))
    timer.start()
    (beside,) = rig.cameras.views_beside(primary())
    timer.join()
    assert (beside.view.rgb == 120).all() and not rig.drops


@pytest.mark.parametrize("stamps_ms", [(-600, -500), (-1000, -400), (-900, -800)], ids=["silent", "slower", "gone"])
def test_what_is_not_due_is_not_waited_for(stamps_ms: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    for offset in stamps_ms:
        rig.see(SECOND + offset * MILLISECOND)
    monkeypatch.setattr(extra_cameras, "WAIT_S", 3600.0)
    assert rig.cameras.views_beside(primary()) == ()


def test_closing_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    for number in (-2, -1):
        rig.see(SECOND + number * 100 * MILLISECOND)
    monkeypatch.setattr(extra_cameras, "WAIT_S", 3600.0)
    timer = threading.Timer(0.03, rig.cameras.close)
    timer.start()
    assert rig.cameras.views_beside(primary()) == ()


def test_a_camera_that_never_sent_anything_is_left_out_and_counted() -> None:
    rig = Rig()
    assert rig.cameras.views_beside(primary()) == ()
    assert rig.drops == [("camera_left_out", "Camera 'left' is left out: no image of it has come.")]


def test_a_camera_without_calibration_is_left_out_and_counted() -> None:
    rig = Rig()
    rig.node.callbacks["left/image"](image_msg(SECOND, 90))
    assert rig.cameras.views_beside(primary()) == ()
    assert rig.drops[0][0] == "missing_camera_info"


def test_an_image_that_cannot_be_read_costs_its_camera_only() -> None:
    rig = Rig("left; rear")
    rig.see(SECOND, camera="rear", frame_id="rear_optical_frame")
    broken = image_msg(SECOND, 90)
    broken.encoding = "made_up"
    rig.node.callbacks["left/camera_info"](info_msg(SECOND))
    rig.node.callbacks["left/image"](broken)
    (beside,) = rig.cameras.views_beside(primary())
    assert beside.name == "rear"
    assert rig.drops[0][0] == "unknown_encoding" and "'left'" in rig.drops[0][1]


def test_without_tf_a_view_has_no_pose_and_it_is_said_once() -> None:
    rig = Rig(node=StandInNode("/left/image", "/left/camera_info"))
    rig.see(SECOND)
    for _ in range(3):
        (beside,) = rig.cameras.views_beside(primary())
        assert beside.view.reference_T_camera is None
    assert len(rig.node.warnings) == 1 and "'left' has no known place" in rig.node.warnings[0]
    assert "no known place" in rig.cameras.explain()
    rig.place_left()
    rig.cameras.views_beside(primary())
    assert rig.cameras.explain() == ""


@pytest.mark.parametrize(("frame_id", "owner"), [(FIRST, "the first camera"), (LEFT, "camera 'left'")])
def test_a_camera_whose_images_carry_the_frame_of_another_is_not_put_in_its_place(frame_id: str, owner: str) -> None:
    rig = Rig("left; rear", node=StandInNode("/left/image", "/left/camera_info", "/rear/image", "/rear/camera_info"))
    rig.place_left()
    rig.see(SECOND)
    rig.see(SECOND, camera="rear", frame_id=frame_id)
    left, rear = rig.cameras.views_beside(primary())
    assert left.view.reference_T_camera is not None and rear.view.reference_T_camera is None
    assert f"the frame {frame_id!r} of {owner}" in rig.cameras.explain()


def test_a_camera_that_is_left_out_is_told_of_until_it_is_used_again() -> None:
    rig = Rig(node=StandInNode("/left/image", "/left/camera_info"))
    rig.place_left()
    rig.node.callbacks["left/image"](image_msg(SECOND, 90))
    assert rig.cameras.views_beside(primary()) == ()
    assert "no calibration of it has come" in rig.cameras.explain()
    rig.see(SECOND)
    assert len(rig.cameras.views_beside(primary())) == 1
    assert rig.cameras.explain() == ""


def test_cameras_keep_the_order_of_the_setting() -> None:
    rig = Rig("rear; left")
    for name in ("left", "rear"):
        rig.see(SECOND, camera=name)
    assert [beside.name for beside in rig.cameras.views_beside(primary())] == ["rear", "left"]


def test_images_are_rectified() -> None:
    rig = Rig()
    lens = Distortion(model="plumb_bob", coefficients=(0.5, 0.2, 0.0, 0.0, 0.0))
    model = CameraModel(intrinsics=make_intrinsics(), distortion=lens)
    rig.node.callbacks["left/camera_info"](model_to_camera_info(model, stamp_ns=SECOND, frame_id=LEFT))
    rig.node.callbacks["left/image"](image_msg(SECOND, 90))
    (beside,) = rig.cameras.views_beside(primary())
    assert beside.view.valid is not None and not beside.view.valid.all()
    rig.cameras.configure(FrameConfig(color_rectified="true"))
    (beside,) = rig.cameras.views_beside(primary())
    assert beside.view.valid is None


def test_only_a_few_images_are_kept() -> None:
    rig = Rig()
    for number in range(100):
        rig.see(SECOND + number * 40 * MILLISECOND)
    last = SECOND + 99 * 40 * MILLISECOND
    assert len(rig.cameras.views_beside(primary(last))) == 1
    assert rig.cameras.views_beside(primary(last - KEPT_IMAGES * 40 * MILLISECOND - 20 * MILLISECOND)) == ()


def test_after_a_jump_in_time_old_images_are_forgotten() -> None:
    rig = Rig()
    rig.see(SECOND)
    rig.cameras.clear()
    assert rig.cameras.views_beside(primary()) == ()


def test_topics_that_nobody_publishes_are_named() -> None:
    rig = Rig(node=StandInNode("/left/image"))
    assert rig.cameras.explain() == "Nobody publishes /left/camera_info."
    assert rig.cameras.topics == ("/left/camera_info", "/left/image")


def test_compressed_images_are_subscribed_where_colour_is_compressed() -> None:
    rig = Rig(rgb=replace(NodeConfig().rgb, transport="compressed"))
    assert rig.cameras.topics == ("/left/camera_info", "/left/image/compressed")


def test_closing_ends_the_subscriptions() -> None:
    rig = Rig()
    rig.cameras.close()
    assert rig.cameras.topics == () and not rig.node.callbacks


@pytest.fixture
def ros(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A real node with an executor of its own, and ``spin_until(condition)``."""
    from rclpy.executors import SingleThreadedExecutor

    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=DOMAIN_ID)
    node = rclpy.create_node("extra_cameras_under_test", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)

    def spin_until(condition: Callable[[], bool], timeout_s: float = 10.0) -> bool:
        deadline = time.monotonic() + timeout_s
        while not condition() and time.monotonic() < deadline:
            executor.spin_once(timeout_sec=0.05)
        return condition()

    yield SimpleNamespace(node=node, spin_until=spin_until)
    executor.shutdown()
    node.destroy_node()
    rclpy.shutdown(context=context)


def test_images_over_the_wire_become_views(ros: Any) -> None:
    rig = Rig(node=ros.node)
    rig.place_left()
    images = ros.node.create_publisher(Image, "left/image", 2)
    infos = ros.node.create_publisher(CameraInfo, "left/camera_info", 2)
    assert ros.spin_until(lambda: images.get_subscription_count() > 0 and infos.get_subscription_count() > 0)
    infos.publish(info_msg(SECOND))
    images.publish(image_msg(SECOND, 120))
    assert ros.spin_until(lambda: len(rig.cameras.views_beside(primary())) == 1)
    (beside,) = rig.cameras.views_beside(primary())
    assert (beside.view.rgb == 120).all() and beside.view.reference_T_camera is not None
    assert rig.cameras.explain() == ""
    rig.cameras.close()
    assert ros.spin_until(lambda: images.get_subscription_count() == 0)
