"""Requests in masses and at bad moments: a bounded queue, the rest refused with a code, every one answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("n3d_msgs", reason="needs the built interface package")

from builtin_interfaces.msg import Time
from n3d_msgs.action import Ground
from n3d_msgs.srv import Locate, SpatialQuery
from rclpy.action import ActionClient

from fault_harness import assert_still_works, running
from n3d_ros.errors import StatusCode
from n3d_ros.ros.conversions import ns_to_stamp, stamp_to_ns
from n3d_ros.ros.qos import REQUEST
from node_harness import NodeClient, NodeProcess, wait_until

BURST = 1000
QUEUE_SIZE = 16
SECOND = 1_000_000_000
ANSWER_TIMEOUT_S = 60.0


@pytest.fixture(scope="module")
def live() -> Iterator[tuple[NodeProcess, NodeClient]]:
    settings = {"request.queue_size": QUEUE_SIZE, "request.max_frame_age_s": 600.0, "request.timeout_s": 5.0}
    with running(settings) as (node, client):
        client.wait_connected()
        yield node, client


@pytest.fixture
def client(live: tuple[NodeProcess, NodeClient]) -> NodeClient:
    return live[1]


def answers_to_all(client: NodeClient, kind: Any, name: str, request: Any) -> list[Any]:
    """The answers to a thousand copies of a request, sent as fast as they go."""
    caller = client.node.create_client(kind, name, qos_profile=REQUEST)
    try:
        client.meet(caller)
        futures = [caller.call_async(request) for _ in range(BURST)]
        assert wait_until(lambda: all(future.done() for future in futures), ANSWER_TIMEOUT_S), (
            f"{sum(not future.done() for future in futures)} requests were not answered"
        )
        return [future.result() for future in futures]
    finally:
        client.node.destroy_client(caller)


def test_before_the_first_image_every_request_says_that_there_is_none(client: NodeClient) -> None:
    # the first test of the module: the node has seen no image yet
    located = client.call(client.locate, Locate.Request(phrase="red block", timeout_s=0.2))
    asked = client.call(client.query, SpatialQuery.Request(question="where is the block?", timeout_s=0.2))
    for answer in (located, asked):
        assert answer.status.code == StatusCode.NO_FRAME, answer.status
        assert answer.header.frame_id == ""


def test_before_the_first_image_a_thousand_requests_fill_the_queue_and_the_rest_is_refused_at_once(
    client: NodeClient,
) -> None:
    answers = answers_to_all(client, Locate, "/n3d/locate", Locate.Request(phrase="red block", timeout_s=1.0))
    codes = Counter(answer.status.code for answer in answers)
    assert codes[StatusCode.NO_FRAME] >= QUEUE_SIZE
    assert codes[StatusCode.TIMEOUT] > 0
    assert set(codes) == {StatusCode.NO_FRAME, StatusCode.TIMEOUT}, codes
    refused = [answer for answer in answers if answer.status.code == StatusCode.TIMEOUT]
    assert all("request.queue_size" in answer.status.message for answer in refused)


def test_a_thousand_phrases_are_each_answered_or_refused_and_the_node_goes_on(client: NodeClient) -> None:
    client.send_good()
    answers = answers_to_all(client, Locate, "/n3d/locate", Locate.Request(phrase="red block", timeout_s=5.0))
    codes = Counter(answer.status.code for answer in answers)
    assert codes[StatusCode.OK] >= QUEUE_SIZE
    assert set(codes) <= {StatusCode.OK, StatusCode.TIMEOUT}, codes
    assert_still_works(client)


def test_a_thousand_questions_on_a_known_scene_are_all_answered(client: NodeClient) -> None:
    client.send_good()
    request = SpatialQuery.Request(question="how many blocks are there?")
    answers = answers_to_all(client, SpatialQuery, "/n3d/query", request)
    assert Counter(answer.status.code for answer in answers) == {StatusCode.OK: BURST}
    assert all(answer.value.number == 1.0 for answer in answers)


def test_a_thousand_goals_are_each_carried_out_or_refused_with_a_result(client: NodeClient) -> None:
    client.send_good()
    depths = {f"{name}_service_qos_profile": REQUEST for name in ("goal", "result", "cancel")}
    caller = ActionClient(client.node, Ground, "/n3d/ground", **depths)  # stays: its node spins until the end
    assert caller.wait_for_server(30.0)
    sent = [caller.send_goal_async(Ground.Goal(text="red block", timeout_s=5.0)) for _ in range(BURST)]
    assert wait_until(lambda: all(future.done() for future in sent), ANSWER_TIMEOUT_S)
    results = [future.result().get_result_async() for future in sent]
    assert wait_until(lambda: all(future.done() for future in results), ANSWER_TIMEOUT_S), (
        f"{sum(not future.done() for future in results)} goals have no result"
    )
    codes = Counter(future.result().result.status.code for future in results)
    assert codes[StatusCode.OK] > 0
    assert set(codes) <= {StatusCode.OK, StatusCode.TIMEOUT}, codes
    assert_still_works(client)


@pytest.mark.parametrize("frame", ["narnia", "map", "camera_color_optical_frame2"])
def test_a_frame_that_tf_does_not_reach_is_named(client: NodeClient, frame: str) -> None:
    client.send_good()
    question = "where is the red block?"
    for answer in (
        client.call(client.locate, Locate.Request(phrase="red block", target_frame=frame)),
        client.call(client.query, SpatialQuery.Request(question=question, target_frame=frame)),
        client.call(client.query, SpatialQuery.Request(question=question, viewpoint_frame=frame)),
    ):
        assert answer.status.code == StatusCode.NO_TRANSFORM, answer.status
        assert frame in answer.status.message


@pytest.mark.parametrize("off_s", [-100_000, -1000, 1000, 10_000])
def test_a_moment_outside_the_memory_is_told_apart(client: NodeClient, off_s: int) -> None:
    newest_ns = stamp_to_ns(client.send_good().header.stamp)
    stamp = ns_to_stamp(newest_ns + off_s * SECOND)
    for answer in (
        client.call(client.locate, Locate.Request(phrase="red block", stamp=stamp)),
        client.call(client.query, SpatialQuery.Request(question="where is the red block?", stamp=stamp)),
    ):
        assert answer.status.code == StatusCode.NO_SUCH_MOMENT, answer.status


@pytest.mark.parametrize(
    "stamp", [Time(sec=-1), Time(sec=-(2**31)), Time(sec=2**31 - 1, nanosec=2**32 - 1), Time(nanosec=1)], ids=str
)
def test_stamps_that_no_clock_shows_are_refused(client: NodeClient, stamp: Time) -> None:
    client.send_good()
    for answer in (
        client.call(client.locate, Locate.Request(phrase="red block", stamp=stamp)),
        client.call(client.query, SpatialQuery.Request(question="where is the red block?", stamp=stamp)),
    ):
        assert answer.status.code in (StatusCode.INVALID_REQUEST, StatusCode.NO_SUCH_MOMENT), answer.status


@pytest.mark.parametrize("timeout_s", [-1.0, float("nan"), float("inf"), -float("inf"), 1e30, 3601.0])
def test_times_that_are_none_are_refused(client: NodeClient, timeout_s: float) -> None:
    for answer in (
        client.call(client.locate, Locate.Request(phrase="red block", timeout_s=timeout_s)),
        client.call(client.query, SpatialQuery.Request(question="where is it?", timeout_s=timeout_s)),
    ):
        assert answer.status.code == StatusCode.INVALID_REQUEST, answer.status
        assert "timeout_s" in answer.status.message


@pytest.mark.parametrize("values", [(0, 0, 0, 0), (float("nan"), 0, 0, 1), (1e308, 1e308, 1e308, 1e308)])
def test_a_viewpoint_that_is_no_pose_is_refused(client: NodeClient, values: tuple[float, ...]) -> None:
    client.send_good()
    request = SpatialQuery.Request(question="where is the red block?", viewpoint_frame="camera_color_optical_frame")
    turn = request.viewpoint.orientation
    turn.x, turn.y, turn.z, turn.w = map(float, values)
    answer = client.call(client.query, request)
    assert answer.status.code == StatusCode.INVALID_REQUEST, answer.status
    assert "viewpoint" in answer.status.message
