"""The running node's memory: moments in questions, images looked at again, points that are clicked, the way down."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("n3d_msgs", reason="needs the built interface package")

from action_msgs.msg import GoalStatus
from geometry_msgs.msg import PointStamped
from n3d_msgs.action import Ground
from n3d_msgs.msg import Object3DArray, TypedValue
from n3d_msgs.srv import Locate, SpatialQuery

from n3d_ros.errors import StatusCode
from n3d_ros.ros.conversions import ns_to_stamp, stamp_to_ns
from node_harness import FRAME, NodeClient, NodeProcess, client_of, running_node, wait_until

SECOND = 1_000_000_000


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProcess]:
    with running_node({"memory.rate_hz": 20.0}) as process:
        yield process


@pytest.fixture(scope="module")
def client(node: NodeProcess) -> Iterator[NodeClient]:
    with client_of(node) as client:
        yield client


class Clicker:
    """Publishes points and hears what they mean."""

    def __init__(self, client: NodeClient) -> None:
        self.client = client
        self.heard: list[Any] = []
        self.publisher = client.node.create_publisher(PointStamped, "clicked_point", 10)
        self.subscription = client.node.create_subscription(Object3DArray, "/n3d/pointed", self.heard.append, 10)
        ready = wait_until(
            lambda: self.publisher.get_subscription_count() > 0 and client.node.count_publishers("/n3d/pointed") > 0
        )
        assert ready, "the node does not listen to clicked_point"

    def click(self, x: float, y: float, z: float, frame_id: str = FRAME, stamp_ns: int = 0) -> Any:
        point = PointStamped()
        point.header.frame_id, point.header.stamp = frame_id, ns_to_stamp(stamp_ns)
        point.point.x, point.point.y, point.point.z = x, y, z
        known = len(self.heard)
        self.publisher.publish(point)
        assert wait_until(lambda: len(self.heard) > known), "nothing was said of the point"
        return self.heard[-1]

    def close(self) -> None:
        self.client.node.destroy_publisher(self.publisher)
        self.client.node.destroy_subscription(self.subscription)


@pytest.fixture
def clicker(client: NodeClient) -> Iterator[Clicker]:
    clicker = Clicker(client)
    yield clicker
    clicker.close()


def outlines(client: NodeClient) -> list[tuple[int, int]]:
    return [(one.action, one.id) for array in client.heard["markers"] for one in array.markers if one.ns == "pointed"]


def test_a_point_on_an_object_tells_it_outlines_it_and_says_what_it_is(
    client: NodeClient, node: NodeProcess, clicker: Clicker
) -> None:
    sent = client.send_good()
    for stamp_ns in (0, client.now_ns(), 1):  # no stamp, now, and a stamp that nothing remembers
        told = clicker.click(0.0, 0.0, 0.9, stamp_ns=stamp_ns)
        assert [one.id for one in told.objects] == [sent.objects[0].id]
        assert told.header.frame_id == FRAME
    assert wait_until(lambda: (0, sent.objects[0].id) in outlines(client))
    node.wait_for_log("Pointed at: ")
    assert "red block" in node.log.split("Pointed at: ")[1]


def test_a_point_beside_everything_tells_nothing_and_says_what_is_nearest(
    client: NodeClient, node: NodeProcess, clicker: Clicker
) -> None:
    client.send_good()
    known = clicker.click(0.0, 0.0, 0.9).objects[0].id
    assert clicker.click(3.0, 0.0, 1.0).objects == []
    node.wait_for_log("Nothing is there; the nearest is red block")
    assert wait_until(lambda: (2, known) in outlines(client)), "its outline is deleted"


def test_a_point_in_a_frame_that_tf_does_not_know_is_refused_in_words(node: NodeProcess, clicker: Clicker) -> None:
    assert clicker.click(0.0, 0.0, 1.0, frame_id="narnia").objects == []
    node.wait_for_log("narnia")


@pytest.mark.parametrize("x", [float("nan"), float("inf"), 1e300])
def test_a_point_that_lies_nowhere_is_refused_in_words(
    client: NodeClient, node: NodeProcess, clicker: Clicker, x: float
) -> None:
    client.send_good()
    assert clicker.click(x, 0.0, 1.0).objects == []
    node.wait_for_log(f"expected finite metres, got x {x:g}")


def test_a_moment_in_a_question_is_answered_from_the_scene_of_then(client: NodeClient) -> None:
    client.meet(client.query)
    client.send_good()
    first = client.send_good()
    assert not wait_until(lambda: False, 1.2)
    client.send_good()
    past = SpatialQuery.Request(question="how many blocks were there one second ago?")
    response = client.call(client.query, past)
    assert response.success, response.status.message
    assert (response.value.type, response.value.number) == (TypedValue.COUNT, 1.0)
    assert abs(stamp_to_ns(response.header.stamp) - stamp_to_ns(first.header.stamp)) < SECOND
    seconds = stamp_to_ns(first.header.stamp) / SECOND
    response = client.call(client.query, SpatialQuery.Request(question=f"what did you see at stamp {seconds:.9f}?"))
    assert response.success, response.status.message
    assert response.header.stamp == first.header.stamp
    response = client.call(client.query, SpatialQuery.Request(question="how many blocks were there two hours ago?"))
    assert response.status.code == StatusCode.NO_SUCH_MOMENT
    assert "reaches from" in response.status.message


def test_a_change_is_told_against_the_scene_of_then(client: NodeClient) -> None:
    client.send_good()
    time.sleep(0.5)
    client.send_good()
    response = client.call(client.query, SpatialQuery.Request(question="what changed in the last second?"))
    assert response.success, response.status.message
    assert response.sentence


def ground(client: NodeClient, goal: Ground.Goal, feedback: list[Any]) -> Any:
    assert client.ground.wait_for_server(30.0)
    sent = client.ground.send_goal_async(goal, feedback_callback=lambda message: feedback.append(message.feedback))
    assert wait_until(sent.done)
    return sent.result()


def test_the_action_looks_again_at_the_image_that_a_stamp_names(client: NodeClient) -> None:
    time.sleep(0.1)  # images are kept at a bounded rate
    first = client.send_good()
    time.sleep(0.1)
    client.publish(client.messages(depth_m=1.5))
    client.send_good()
    feedback: list[Any] = []
    for _ in range(5):  # feedback sent before the node has found this client is lost
        result = ground(client, Ground.Goal(text="red block", stamp=first.header.stamp), feedback).get_result_async()
        assert wait_until(result.done, 30.0)
        if wait_until(lambda: any(one.objects for one in feedback), 2.0):
            break
    assert result.result().status == GoalStatus.STATUS_SUCCEEDED, result.result().result.status
    answer = result.result().result
    assert answer.header.stamp == first.header.stamp
    assert [one.id for one in answer.objects] == [first.objects[0].id]
    assert any(one.objects for one in feedback)
    assert next(one for one in feedback if one.objects).header.stamp == first.header.stamp
    now = client.call(client.locate, Locate.Request(phrase="red block"))
    assert stamp_to_ns(now.header.stamp) > stamp_to_ns(first.header.stamp), "the present scene is as it was"


def test_a_stamp_without_image_is_refused_with_the_range_that_is_kept(client: NodeClient) -> None:
    sent = client.send_good()
    long_ago = ns_to_stamp(stamp_to_ns(sent.header.stamp) - 60 * SECOND)
    result = ground(client, Ground.Goal(text="red block", stamp=long_ago), []).get_result_async()
    assert wait_until(result.done)
    assert result.result().result.status.code == StatusCode.NO_SUCH_MOMENT
    assert "memory.frames_s" in result.result().result.status.message


def test_a_look_at_an_image_of_the_past_can_be_cancelled(client: NodeClient) -> None:
    sent = client.send_good()
    feedback: list[Any] = []
    goal = ground(client, Ground.Goal(text="slow", stamp=sent.header.stamp), feedback)
    assert wait_until(lambda: bool(feedback))
    cancelled = goal.cancel_goal_async()
    result = goal.get_result_async()
    assert wait_until(cancelled.done)
    assert wait_until(result.done)
    assert result.result().result.status.code == StatusCode.CANCELLED
    client.send_good()


def test_on_the_way_down_what_runs_and_what_waits_is_answered() -> None:
    process = NodeProcess(name="n3d_ending")
    client = NodeClient("n3d_ending")
    try:
        process.wait_for_log("Active")
        client.wait_connected()
        callers = [client.node.create_client(Locate, "/n3d_ending/locate") for _ in range(2)]
        for caller in callers:
            client.meet(caller)
        client.send_good()
        feedback: list[Any] = []
        goal = ground(client, Ground.Goal(text="slow", timeout_s=20.0), feedback)
        assert wait_until(lambda: bool(feedback))
        waiting = [caller.call_async(Locate.Request(phrase="slow", timeout_s=20.0)) for caller in callers]
        result = goal.get_result_async()
        assert not wait_until(lambda: any(one.done() for one in (*waiting, result)), 0.5)
        assert process.end() == 0, process.log
        assert wait_until(lambda: all(one.done() for one in (*waiting, result)))
        assert {one.result().status.code for one in waiting} == {StatusCode.SHUTTING_DOWN}
        assert result.result().result.status.code == StatusCode.SHUTTING_DOWN
    finally:
        process.end()
        client.close()
