"""tf through the thin module: our listener over real DDS, and the same answers as tf2_ros where that imports."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from n3d_ros.errors import TransformError
from n3d_ros.geometry import RigidTransform
from n3d_ros.geometry.transforms import rotation_about_axis
from n3d_ros.ros.compat import tf2
from n3d_ros.ros.conversions import transform_to_msg

rclpy = pytest.importorskip("rclpy", reason="ROS 2 is not here")
pytestmark = [pytest.mark.ros, pytest.mark.filterwarnings("ignore:module 'sre_:DeprecationWarning")]

DOMAIN = 43
SECOND = 1_000_000_000


@pytest.fixture
def ros(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A node with an executor of its own, and ``spin_until(condition)``."""
    from rclpy.executors import SingleThreadedExecutor

    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=DOMAIN)
    node = rclpy.create_node("compat_under_test", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)

    def spin_until(condition: Callable[[], bool], timeout_s: float = 10.0) -> bool:
        deadline = time.monotonic() + timeout_s
        while not condition() and time.monotonic() < deadline:
            executor.spin_once(timeout_sec=0.05)
        return condition()

    node.spin_until = spin_until
    yield node
    executor.shutdown()
    node.destroy_node()
    rclpy.shutdown(context=context)


def turn(angle_rad: float, x: float = 0.0) -> RigidTransform:
    return RigidTransform(rotation=rotation_about_axis([0, 0, 1], angle_rad), translation=np.array([x, 0.0, 0.0]))


def knows(listener: Any, target: str, source: str, stamp_ns: int | None = None) -> bool:
    try:
        listener.lookup(target, source, stamp_ns)
    except TransformError:
        return False
    return True


def test_our_listener_hears_static_and_moving_transforms(ros: Any) -> None:
    static = tf2.StaticTransformBroadcaster(ros)
    static.send([transform_to_msg(turn(0.0, x=1.0), parent="base", child="camera", stamp_ns=0)])
    static.send([transform_to_msg(turn(0.0, x=2.0), parent="base", child="lidar", stamp_ns=0)])
    listener = tf2.TransformListener(ros)  # joins after the static ones were sent
    moving = tf2.TransformBroadcaster(ros)
    assert ros.spin_until(lambda: ros.count_subscribers("/tf") > 0)
    for k in range(3):
        moving.send([transform_to_msg(turn(0.1 * k, x=k), parent="map", child="base", stamp_ns=(10 + k) * SECOND)])
    assert ros.spin_until(lambda: knows(listener, "map", "camera", 12 * SECOND) and knows(listener, "map", "lidar"))
    # Halfway between k = 1 and 2: turned by 0.15 rad, moved by 1.5 m, the camera 1 m ahead.
    found = listener.lookup("map", "camera", round(11.5 * SECOND))
    assert np.allclose(found.translation, [1.5 + np.cos(0.15), np.sin(0.15), 0], atol=1e-9)
    assert listener.frames() == ("base", "camera", "lidar", "map")
    with pytest.raises(TransformError, match="future"):
        listener.lookup("map", "camera", 13 * SECOND)
    listener.clear()
    assert knows(listener, "base", "camera", 5) and not knows(listener, "map", "camera")
    listener.close()


def test_a_broken_transform_is_logged_once_and_harms_nothing(ros: Any, caplog: pytest.LogCaptureFixture) -> None:
    listener = tf2.TransformListener(ros)
    broken = transform_to_msg(turn(0.0), parent="map", child="bad", stamp_ns=SECOND)
    broken.transform.rotation.w = 0.0
    good = transform_to_msg(turn(0.0), parent="map", child="good", stamp_ns=SECOND)
    from tf2_msgs.msg import TFMessage

    for _ in range(3):
        listener._on_moving(TFMessage(transforms=[broken, good]))
    assert knows(listener, "map", "good", SECOND)
    assert sum("'bad'" in record.message for record in caplog.records) == 1


def test_without_tf2_ros_our_own_listener_is_made(ros: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tf2, "has_tf2", lambda: False)
    assert isinstance(tf2.create_transform_listener(ros, cache_s=5.0), tf2.TransformListener)


def test_both_listeners_give_the_same_answers(ros: Any) -> None:
    pytest.importorskip("tf2_ros", reason="tf2_ros is not installed: nothing to compare with")
    ours = tf2.create_transform_listener(ros, prefer_tf2=False)
    theirs = tf2.create_transform_listener(ros)
    assert isinstance(ours, tf2.TransformListener) and isinstance(theirs, tf2.Tf2RosListener)
    rng = np.random.default_rng(2)
    static, moving = tf2.StaticTransformBroadcaster(ros), tf2.TransformBroadcaster(ros)
    static.send([transform_to_msg(turn(0.3, x=0.2), parent="base", child="camera", stamp_ns=0)])
    assert ros.spin_until(lambda: ros.count_subscribers("/tf") >= 2)
    for k in range(20):
        chain = [("map", "odom"), ("odom", "base")]
        moving.send(
            [
                transform_to_msg(
                    RigidTransform(
                        rotation=rotation_about_axis(rng.normal(size=3), 1.0), translation=rng.normal(size=3)
                    ),
                    parent=parent,
                    child=child,
                    stamp_ns=10 * SECOND + k * 50_000_000 + offset,
                )
                for offset, (parent, child) in enumerate(chain)
            ]
        )
    last = 10 * SECOND + 19 * 50_000_000
    for listener in (ours, theirs):
        assert ros.spin_until(lambda listener=listener: knows(listener, "map", "camera", last - 1))
    asked = [("map", "camera"), ("camera", "map"), ("odom", "camera"), ("base", "base"), ("camera", "base")]
    for target, source in asked:
        for stamp in (10 * SECOND + 1, 10 * SECOND + 123_456_789, last - 7, None):
            a, b = ours.lookup(target, source, stamp), theirs.lookup(target, source, stamp)
            assert a.is_close(b, translation_m=1e-9, rotation_rad=1e-7), (target, source, stamp)
    for target, source, stamp in (
        ("map", "camera", last + SECOND),
        ("map", "camera", SECOND),
        ("map", "nowhere", last),
    ):
        for listener in (ours, theirs):
            with pytest.raises(TransformError):
                listener.lookup(target, source, stamp)
    assert ours.frames() == theirs.frames()
    for listener in (ours, theirs):
        listener.clear()
        assert knows(listener, "base", "camera", last) and not knows(listener, "map", "camera", last)
        listener.close()
