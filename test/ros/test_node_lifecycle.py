"""The node's life: parameters, lifecycle states, tf, transports, clocks, signals at any moment."""

from __future__ import annotations

import gc
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("n3d_msgs", reason="needs the built interface package")

import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from n3d_msgs.action import Ground
from n3d_msgs.srv import Locate
from rcl_interfaces.srv import SetParameters
from rclpy.context import Context
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import Marker

from domains import DOMAIN_ID
from n3d_ros.errors import StatusCode
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.geometry.transform_buffer import TransformBuffer
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.ros import managed_node
from n3d_ros.ros.conversions import intrinsics_to_camera_info, make_header, stamp_to_ns, transform_to_msg
from n3d_ros.ros.image_codec import (
    depth_to_compressed_msg,
    depth_to_image_msg,
    fill_data,
    rgb_to_compressed_msg,
    rgb_to_image_msg,
)
from n3d_ros.ros.pairing import RgbdPair
from node_harness import FRAME, READY_TIMEOUT_S, NodeClient, NodeProcess, wait_until
from node_under_test import make_grounder


@contextmanager
def running(
    parameters: dict[str, Any] | None = None, *, until: str = "Active"
) -> Iterator[tuple[NodeProcess, NodeClient]]:
    """A node and a client that found each other."""
    process = NodeProcess(parameters)
    try:
        process.wait_for_log(until)
        client = NodeClient()
        try:
            yield process, client
        finally:
            client.close()
        assert process.end() == 0, process.log
        assert "Traceback" not in process.log, process.log
    finally:
        if process.process.poll() is None:
            process.end(signal.SIGKILL)


def test_a_parameter_out_of_range_ends_the_node_with_name_value_and_range() -> None:
    process = NodeProcess({"sync.slop_s": 7.5})
    assert wait_until(lambda: process.process.poll() is not None, READY_TIMEOUT_S)
    assert process.end() == 1
    assert "sync.slop_s" in process.log
    assert "7.5" in process.log
    assert "from 0.0 to 1.0" in process.log


def test_a_parameter_of_a_wrong_type_is_named() -> None:
    process = NodeProcess({"tf.wait_s": "soon"})
    assert wait_until(lambda: process.process.poll() is not None, READY_TIMEOUT_S)
    assert process.end() == 1
    assert "tf.wait_s" in process.log


def test_without_autostart_the_node_waits_and_refuses_requests_until_activated() -> None:
    with running({"autostart": "false"}, until="Waiting") as (node, client):
        response = client.call(client.locate, Locate.Request(phrase="red block"))
        assert response.status.code == StatusCode.NOT_ACTIVE
        change = client.caller(ChangeState, "/n3d/change_state")
        for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
            assert client.call(change, ChangeState.Request(transition=Transition(id=transition))).success, node.log
        client.wait_connected()
        assert client.send_good().objects
        request = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_DEACTIVATE))
        assert client.call(change, request).success
        assert client.call(client.locate, Locate.Request()).status.code == StatusCode.NOT_ACTIVE
        request = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_ACTIVATE))
        assert client.call(change, request).success
        client.wait_connected()
        assert client.send_good().objects


def test_a_grounder_that_cannot_be_made_leaves_a_node_that_can_be_configured_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hindrance = tmp_path / "hindrance"
    hindrance.touch()
    monkeypatch.setenv("N3D_TEST_HINDRANCE", str(hindrance))
    with running(until="Not configured") as (node, client):
        assert "The weights are not there yet." in node.log
        hindrance.unlink()
        change = client.caller(ChangeState, "/n3d/change_state")
        for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
            assert client.call(change, ChangeState.Request(transition=Transition(id=transition))).success, node.log
        client.wait_connected()
        assert client.send_good().objects


def test_the_grounder_is_closed_at_cleanup_and_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    note = tmp_path / "closed"
    monkeypatch.setenv("N3D_TEST_CLOSED", str(note))
    with running() as (node, client):
        change = client.caller(ChangeState, "/n3d/change_state")
        for transition in (
            Transition.TRANSITION_DEACTIVATE,
            Transition.TRANSITION_CLEANUP,
            Transition.TRANSITION_CONFIGURE,
        ):
            assert client.call(change, ChangeState.Request(transition=Transition(id=transition))).success, node.log
        assert note.read_text().count("closed") == 1
    assert note.read_text().count("closed") == 2


def test_configured_again_the_node_takes_new_settings_for_tf_and_reuses_no_id(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[float] = []
    closed: list[float] = []

    def listener(_node: Any, *, cache_s: float) -> Any:
        made.append(cache_s)
        buffer = TransformBuffer()
        return SimpleNamespace(lookup=buffer.lookup, clear=buffer.clear, close=lambda: closed.append(cache_s))

    monkeypatch.setattr(managed_node, "create_transform_listener", listener)
    context = Context()
    rclpy.init(context=context, domain_id=DOMAIN_ID)
    node = managed_node.N3dNode(make_grounder=make_grounder, context=context)
    try:
        node.trigger_configure()
        assert node._pipeline is not None
        node._pipeline.next_id = 42
        node.trigger_cleanup()
        assert node.set_parameters([Parameter("tf.cache_s", value=60.0)])[0].successful
        node.trigger_configure()
        assert (made, closed) == ([12.0, 60.0], [12.0]), "transforms are kept longer than images"
        assert node._pipeline.next_id == 42
    finally:
        node.close()
        node.destroy_node()
        rclpy.shutdown(context=context)


def test_a_destroyed_node_leaves_the_graph_at_once_and_not_when_python_collects_it() -> None:
    watching, context = Context(), Context()
    for one in (watching, context):
        rclpy.init(context=one, domain_id=DOMAIN_ID)
    watcher = rclpy.create_node("watcher", context=watching)
    gc.disable()
    try:
        node = managed_node.N3dNode(make_grounder=make_grounder, context=context)
        assert node.autostart()
        assert wait_until(lambda: "n3d" in watcher.get_node_names())
        node.close()
        node.destroy_node()
        rclpy.shutdown(context=context)
        assert wait_until(lambda: "n3d" not in watcher.get_node_names(), 15.0)
    finally:
        gc.enable()
        watcher.destroy_node()
        rclpy.shutdown(context=watching)


@pytest.mark.parametrize("end", ["deactivate", "time jump"])
def test_a_pair_that_still_waits_for_the_worker_is_counted_when_it_is_dropped(end: str) -> None:
    context = Context()
    rclpy.init(context=context, domain_id=DOMAIN_ID)
    node = managed_node.N3dNode(make_grounder=make_grounder, context=context)
    try:
        assert node.autostart()
        worker = node._worker
        assert worker is not None
        busy, go_on = threading.Event(), threading.Event()
        worker.call(lambda: (busy.set(), go_on.wait(5)))
        assert busy.wait(5)
        image = SimpleNamespace(data=b"")
        node._on_pair(RgbdPair(color=image, depth=image, color_stamp_ns=1, depth_stamp_ns=1))
        if end == "deactivate":
            node.trigger_deactivate()
        else:
            node._on_clock_jump(None)
        go_on.set()
        assert node._ledger.received == sum(node._ledger.drop_counts().values()) == 1
    finally:
        node.close()
        node.destroy_node()
        rclpy.shutdown(context=context)


def test_a_signal_is_heard_while_the_grounder_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("N3D_TEST_SLOW_LOADING", "1")
    process = NodeProcess()
    process.wait_for_log("loading slowly")
    started_s = time.monotonic()
    assert process.end() == 0, process.log
    assert time.monotonic() - started_s < 30, "loading takes a minute"
    assert "going down while the grounder loads" in process.log


def published_until(client: NodeClient, make: Callable[[], dict[str, Any]], reason: str) -> bool:
    """Publishes images, again where the best-effort topics lost them, until one more is dropped for that reason."""
    before = client.dropped().get(reason, 0)
    for _ in range(10):
        client.publish(make())
        if wait_until(lambda: client.dropped().get(reason, 0) > before, 2.0):
            return True
    return False


def test_live_parameters_change_at_once_and_others_are_refused_with_a_reason() -> None:
    with running() as (_, client):
        client.wait_connected()
        client.send_good()
        setter = client.caller(SetParameters, "/n3d/set_parameters")

        def set_one(name: str, value: Any) -> Any:
            request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
            return client.call(setter, request).results[0]

        assert set_one("depth.max_m", 0.5).successful
        assert published_until(client, lambda: client.messages(depth_m=1.0), "no_depth")
        assert set_one("depth.max_m", 10.0).successful
        refused = set_one("grounder", "geometric")
        assert not refused.successful
        assert "grounder" in refused.reason
        refused = set_one("output_frame", "/map")
        assert not refused.successful
        assert "slash" in refused.reason
        client.send_good()


def _tf(client: NodeClient, stamp_ns: int) -> TFMessage:
    up = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    map_T_camera = RigidTransform(rotation=up, translation=np.array([1.0, 2.0, 3.0]))
    return TFMessage(transforms=[transform_to_msg(map_T_camera, parent="map", child=FRAME, stamp_ns=stamp_ns)])


def test_tf_at_the_images_stamp_decides_frame_and_drop() -> None:
    with running({"output_frame": "map", "tf.wait_s": 0.05}) as (_, client):
        client.wait_connected("color", "depth", "color_info", "tf")
        assert published_until(client, client.messages, "no_transform")
        assert "map" in client.heard["reports"][-1].status.message
        start_ns = client.now_ns() + 1_000_000_000
        client.publish({"tf": _tf(client, start_ns)})
        client.publish({"tf": _tf(client, start_ns + 10_000_000_000)})  # the node keeps 12 s
        before_ns = iter(range(start_ns - 500_000_000, start_ns))
        early = lambda: client.messages(next(before_ns))  # noqa: E731 -- tf lies only in this image's future
        assert wait_until(  # tf and images travel on different topics: the first images may come before it
            lambda: (
                published_until(client, early, "no_transform")
                and "extrapolation" in client.heard["reports"][-1].status.message
            )
        )
        found = client.send_good()
        assert found.header.frame_id == "map"
        position = found.objects[0].pose.pose.position
        assert (position.x, position.y, position.z) == pytest.approx((2.0, 2.0, 3.0), abs=1e-3)


def test_compressed_images_are_used_and_corrupt_ones_counted() -> None:
    with running({"rgb.transport": "compressed", "depth.transport": "compressedDepth"}) as (node, client):
        client.wait_connected("color_compressed", "depth_compressed", "color_info")

        def pair(corrupt: str = "") -> dict[str, Any]:
            messages = client.messages()
            stamp_ns = stamp_to_ns(messages["color"].header.stamp)
            color = rgb_to_compressed_msg(np.full((48, 64, 3), 90, np.uint8), stamp_ns=stamp_ns, frame_id=FRAME)
            depth = depth_to_compressed_msg(np.ones((48, 64), np.float32), stamp_ns=stamp_ns, frame_id=FRAME)
            for name, message in (("color", color), ("depth", depth)):
                if corrupt == name:
                    content = bytes(message.data)[: len(message.data) // 2]
                    del message.data[:]
                    fill_data(message, content)
            return {
                "color_info": messages["color_info"],
                "color_compressed": color,
                "depth_compressed": depth,
            }

        def sent_until(condition: Callable[[], bool], corrupt: str = "") -> bool:
            """Sends a pair, and again where the best-effort topics lost it."""
            for _ in range(5):
                client.publish(pair(corrupt))
                if wait_until(condition, 2.0):
                    return True
            return False

        def good() -> None:
            before = len(client.heard["objects"])
            assert sent_until(lambda: len(client.heard["objects"]) > before), node.log

        good()
        assert sent_until(lambda: client.dropped().get("corrupt_jpeg", 0) == 1, "color"), client.dropped()
        good()
        assert sent_until(lambda: client.dropped().get("corrupt_png", 0) == 1, "depth"), client.dropped()
        good()


def test_missing_calibration_is_counted_and_the_next_pair_with_one_is_used() -> None:
    with running() as (_, client):
        client.wait_connected()

        def without_calibration() -> dict[str, Any]:
            messages = client.messages()
            return {"color": messages["color"], "depth": messages["depth"]}

        assert published_until(client, without_calibration, "missing_camera_info")
        assert "rgb/camera_info" in client.heard["reports"][-1].status.message
        client.send_good()


def test_a_4k_image_is_processed() -> None:
    with running() as (node, client):
        client.wait_connected()
        rgb, depth = np.full((2160, 3840, 3), 90, np.uint8), np.ones((2160, 3840), np.float32)
        camera = CameraIntrinsics(fx=3000.0, fy=3000.0, cx=1919.5, cy=1079.5, width=3840, height=2160)
        for _ in range(10):
            stamp_ns = client.now_ns()
            info = intrinsics_to_camera_info(camera, stamp_ns=stamp_ns, frame_id=FRAME)
            client.publish({"color_info": info, "depth_info": info})
            client.publish({"color": rgb_to_image_msg(rgb, stamp_ns=stamp_ns, frame_id=FRAME)})
            client.publish({"depth": depth_to_image_msg(depth, stamp_ns=stamp_ns, frame_id=FRAME)})
            if wait_until(lambda: bool(client.heard["objects"]), 2.0):
                break
        assert client.heard["objects"], node.log
        client.send_good()


def test_markers_are_deleted_when_the_node_is_deactivated() -> None:
    with running() as (_, client):
        client.wait_connected()
        # markers go to who is known to listen, and that may be this client a little later
        assert wait_until(
            lambda: bool(client.send_good()) and any(len(array.markers) == 4 for array in client.heard["markers"])
        )
        change = client.caller(ChangeState, "/n3d/change_state")
        client.call(change, ChangeState.Request(transition=Transition(id=Transition.TRANSITION_DEACTIVATE)))
        assert wait_until(
            lambda: any(one.action == Marker.DELETEALL for array in client.heard["markers"] for one in array.markers)
        )


def test_a_qos_that_does_not_fit_is_explained_with_the_parameter_to_change() -> None:
    with running({"qos_overrides./rgb/image.subscription.reliability": "reliable"}) as (node, client):
        best_effort = QoSProfile(depth=5, reliability=QoSReliabilityPolicy.BEST_EFFORT)
        # without rclpy's own callbacks, which log through a deprecated method
        quiet = PublisherEventCallbacks(use_default_callbacks=False)
        client.node.create_publisher(Image, "rgb/image", best_effort, event_callbacks=quiet)
        node.wait_for_log("qos_overrides./rgb/image.subscription.reliability")


def test_the_debug_image_is_sent_to_who_listens() -> None:
    with running() as (_, client):
        client.wait_connected()
        heard: list[Any] = []
        client.node.create_subscription(Image, "/n3d/debug/image", heard.append, 10)
        deadline = time.monotonic() + 10
        while not heard and time.monotonic() < deadline:
            client.send_good()
        assert heard[0].encoding == "rgb8"
        assert (heard[0].width, heard[0].height) == (64, 48)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_node_with_code_zero_even_with_requests_waiting(number: int) -> None:
    process = NodeProcess()
    process.wait_for_log("Active")
    client = NodeClient()
    try:
        client.meet(client.locate)
        assert client.ground.wait_for_server(30.0)
        heard = list[Any]()
        goal = Ground.Goal(text="red block", timeout_s=60.0)
        waiting = client.locate.call_async(Locate.Request(phrase="red block", timeout_s=60.0))

        def is_heard() -> bool:
            """Sends the goal, and once more where the feedback came before the node had found this client."""
            client.ground.send_goal_async(goal, feedback_callback=heard.append)
            return wait_until(lambda: bool(heard), 2.0)

        assert wait_until(is_heard), "what was sent after the request has arrived"
        assert not wait_until(lambda: False, 0.5)
        assert process.end(number) == 0, process.log
        assert "Traceback" not in process.log
        assert wait_until(waiting.done, 10.0), "the waiting request was not answered"
        assert waiting.result().status.code == StatusCode.SHUTTING_DOWN
    finally:
        client.close()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_signals_at_any_moment_leave_a_machine_on_which_the_node_starts_again(seed: int) -> None:
    delay = random.Random(seed)
    for number in (signal.SIGINT, signal.SIGKILL):
        process = NodeProcess()
        time.sleep(delay.uniform(0.0, 1.5))
        code = process.end(number)
        if number == signal.SIGINT:
            # before Python has set its handlers up, the interpreter itself ends: by the signal, not by us
            assert code in (0, 1, 130, -signal.SIGINT), process.log
    with running() as (_, client):
        client.wait_connected()
        assert client.send_good().objects


def test_when_the_clock_jumps_back_the_next_image_is_used() -> None:
    with running({"use_sim_time": "true"}) as (node, client):
        client.wait_connected()
        clock = client.node.create_publisher(Clock, "/clock", 10)

        def at(seconds: int) -> None:
            for _ in range(5):
                clock.publish(Clock(clock=make_header(seconds * 1_000_000_000, "x").stamp))
                time.sleep(0.02)

        assert wait_until(lambda: clock.get_subscription_count() > 0)
        at(100)
        assert client.send_good(stamp_ns=100_000_000_000).objects
        at(10)
        node.wait_for_log("jumped back")
        assert client.send_good(stamp_ns=10_000_000_000).objects[0].observations == 1
