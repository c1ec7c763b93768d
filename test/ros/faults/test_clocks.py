"""Clocks that jump, stand still or never come: the node forgets what is from another time, and goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("n3d_msgs", reason="needs the built interface package")

from n3d_msgs.srv import Locate, SpatialQuery
from rclpy.qos import DurabilityPolicy, QoSProfile
from rosgraph_msgs.msg import Clock
from tf2_msgs.msg import TFMessage

from fault_harness import running
from n3d_ros.errors import StatusCode
from n3d_ros.geometry import RigidTransform
from n3d_ros.ros.conversions import ns_to_stamp, transform_to_msg
from node_harness import FRAME, NodeClient, NodeProcess, wait_until

SECOND = 1_000_000_000
SetClock = Callable[[float], None]


@contextmanager
def simulated(**settings: Any) -> Iterator[tuple[NodeProcess, NodeClient, SetClock]]:
    """A node that takes the time from /clock, and a way to set it."""
    with running({"use_sim_time": "true", **settings}) as (node, client):
        client.wait_connected()
        clock = client.node.create_publisher(Clock, "/clock", 10)
        assert wait_until(lambda: clock.get_subscription_count() > 0)

        def set_clock(seconds: float) -> None:
            for _ in range(5):  # /clock is best effort
                clock.publish(Clock(clock=ns_to_stamp(round(seconds * SECOND))))
                time.sleep(0.02)
            time.sleep(0.5)  # /clock and images travel on different topics

        yield node, client, set_clock


def ask(client: NodeClient, timeout_s: float = 2.0) -> Any:
    return client.call(client.locate, Locate.Request(phrase="red block", timeout_s=timeout_s))


def test_jumps_back_and_forth_leave_a_node_that_answers_at_each_new_time() -> None:
    with simulated() as (node, client, set_clock):
        for seconds in (1000, 10, 5000, 4999, 4000, 1_000_000, 1, 2):
            set_clock(seconds)
            assert client.send_good(stamp_ns=seconds * SECOND).objects
            response = ask(client)
            assert response.success, (seconds, response.status.message)
            assert abs(response.image_age_s) < 10
        assert "jumped back" in node.log


def test_after_a_jump_forward_the_old_image_is_stale_and_the_next_one_is_used() -> None:
    with simulated() as (_, client, set_clock):
        set_clock(100)
        assert client.send_good(stamp_ns=100 * SECOND).objects
        set_clock(160)
        assert wait_until(lambda: ask(client, 0.3).status.code == StatusCode.STALE_FRAME)
        assert client.send_good(stamp_ns=160 * SECOND).objects
        assert ask(client).success


def test_a_clock_that_stands_still_holds_up_neither_answers_nor_time_outs() -> None:
    with simulated() as (_, client, set_clock):
        set_clock(100)
        assert client.send_good(stamp_ns=100 * SECOND).objects
        for number in range(1, 6):  # the bag is paused: no clock, and images of the next moments
            assert client.send_good(stamp_ns=100 * SECOND + number).objects
        assert ask(client).success
        response = client.call(client.query, SpatialQuery.Request(question="how many blocks are there?"))
        assert response.value.number == 1.0
        began_s = time.monotonic()
        asked = SpatialQuery.Request(question="how many blocks?", target_frame="nowhere", timeout_s=0.5)
        assert client.call(client.query, asked).status.code == StatusCode.NO_TRANSFORM
        assert time.monotonic() - began_s < 10
        assert wait_until(lambda: len(client.heard["diagnostics"]) >= 3, 10.0), "diagnostics go on"


def test_without_any_clock_requests_run_out_of_time_and_images_are_used() -> None:
    with simulated() as (_, client, _set_clock):
        response = ask(client, 0.3)
        assert response.status.code == StatusCode.NO_FRAME, response.status
        assert client.send_good(stamp_ns=50 * SECOND).objects
        assert ask(client).success


def test_images_of_another_clock_than_the_nodes_are_told_by_their_arrival() -> None:
    with running() as (_, client):  # a bag played without use_sim_time
        client.wait_connected()
        for seconds in (1_600_000_000, 1_500_000_000, 1_700_000_000):
            assert client.send_good(stamp_ns=seconds * SECOND).objects
            assert ask(client).success


def tf_of(stamp_ns: int, *, parent: str = "map", child: str = FRAME, x: float = 0.0) -> TFMessage:
    pose = RigidTransform(rotation=np.eye(3), translation=np.array([x, 0.0, 0.0]))
    return TFMessage(transforms=[transform_to_msg(pose, parent=parent, child=child, stamp_ns=stamp_ns)])


def test_what_is_asked_right_after_a_jump_back_is_answered_in_the_frame_of_the_recording() -> None:
    with running({"output_frame": "map"}) as (node, client):  # a bag that loops, played without use_sim_time
        client.wait_connected("color", "depth", "color_info", "tf")
        query = SpatialQuery.Request(question="how many blocks are there?")
        for start_s in (1_600_000_040, 1_600_000_020, 1_600_000_000):  # farther apart than tf is kept
            stamps = [start_s * SECOND + number * SECOND // 10 for number in range(4)]
            for stamp_ns in stamps:
                for reach_ns in (0, 2 * SECOND):  # images that are lost are sent again with stamps a little later
                    client.publish({"tf": tf_of(stamp_ns + reach_ns)})
                time.sleep(0.05)  # tf and images travel on different topics; a recording has tf first
                assert client.send_good(stamp_ns=stamp_ns).objects
                answer = client.call(client.query, query)
                assert answer.success, (start_s, answer.status.message)
                assert answer.header.frame_id == "map"
        assert "time_jumped_back" in node.log


def refused(client: NodeClient, stamps_ns: Iterator[int]) -> bool:
    """Publishes an image that tf does not reach, and the next where it was lost, until one is dropped."""
    client.publish(client.messages(next(stamps_ns)))
    return wait_until(lambda: client.dropped().get("no_transform", 0) > 0, 2.0)


def test_a_question_waits_for_tf_that_comes_after_the_first_image_of_a_new_time() -> None:
    with running({"output_frame": "map"}) as (_, client):
        client.wait_connected("color", "depth", "color_info", "tf")
        query = SpatialQuery.Request(question="how many blocks are there?", timeout_s=20.0)
        for start_s in (1_600_000_040, 1_600_000_000):
            stamp_ns = start_s * SECOND
            assert wait_until(partial(refused, client, iter(range(stamp_ns, stamp_ns + SECOND // 10, SECOND // 200))))
            asked = client.query.call_async(query)
            assert not wait_until(asked.done, 0.3), "it waits for the next image"
            for number in range(1, 40):  # tf and images again, until the answer is there
                wanted = stamp_ns + number * SECOND // 10
                client.publish({"tf": tf_of(wanted)})
                time.sleep(0.02)
                client.publish(client.messages(wanted))
                if wait_until(asked.done, 0.3):
                    break
            answer = asked.result()
            assert answer.success, answer.status.message
            assert answer.header.frame_id == "map"
            client.heard["reports"].clear()


def test_a_frame_that_nobody_sends_is_named_after_the_start_too_once_the_time_is_over() -> None:
    with running() as (_, client):
        client.wait_connected()
        assert client.send_good().objects
        asked = SpatialQuery.Request(question="how many blocks?", target_frame="nowhere", timeout_s=0.3)
        answer = client.call(client.query, asked)
        assert answer.status.code == StatusCode.NO_TRANSFORM
        assert "'nowhere'" in answer.status.message


def test_static_transforms_survive_jumps_and_the_end_of_their_sender() -> None:
    with running({"output_frame": "world"}) as (_, client):
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        sender = client.node.create_publisher(TFMessage, "/tf_static", latched)
        sender.publish(tf_of(0, parent="world", x=2.0))
        client.wait_connected()
        for seconds in (1_600_000_000, 1_500_000_000, 1_400_000_000):
            assert client.send_good(stamp_ns=seconds * SECOND).header.frame_id == "world"
            if sender is not None:
                client.node.destroy_publisher(sender)
                sender = None
            answer = client.call(client.query, SpatialQuery.Request(question="how many blocks are there?"))
            assert answer.success, (seconds, answer.status.message)
