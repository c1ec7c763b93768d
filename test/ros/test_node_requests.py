"""Services and action of the running node: answers, refusals with their reasons, feedback and cancelling."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("n3d_msgs", reason="needs the built interface package")

from action_msgs.msg import GoalStatus
from n3d_msgs.action import Ground
from n3d_msgs.srv import Locate, SpatialQuery

from n3d_ros.errors import StatusCode
from n3d_ros.ros.asks import Ask, Kind, Reply
from n3d_ros.ros.config import RequestConfig
from n3d_ros.ros.conversions import ns_to_stamp, stamp_to_ns
from n3d_ros.ros.qos import REQUEST
from n3d_ros.ros.requests import RequestServer
from node_harness import FRAME, NodeClient, NodeProcess, client_of, running_node, wait_until

SECOND = 1_000_000_000
MAX_FRAME_AGE_S = 4.0  # an image is sent and asked about in this time, also where other tests run beside


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProcess]:
    with running_node({"request.max_frame_age_s": MAX_FRAME_AGE_S}) as process:
        yield process


@pytest.fixture(scope="module")
def client(node: NodeProcess) -> Iterator[NodeClient]:
    with client_of(node) as client:
        yield client


def test_without_images_locate_says_no_frame_and_who_publishes_what(client: NodeClient) -> None:
    response = client.call(client.locate, Locate.Request(phrase="red block", timeout_s=0.3))
    assert response.status.code == StatusCode.NO_FRAME
    assert not response.success
    assert "/rgb/image: published by n3d_test_client" in response.status.message
    assert math.isnan(response.image_age_s)


def test_locate_returns_the_object_with_the_images_stamp_and_frame(client: NodeClient) -> None:
    sent = client.send_good()
    response = client.call(client.locate, Locate.Request(phrase="red block"))
    assert response.success, response.status.message
    assert response.header.frame_id == FRAME
    assert stamp_to_ns(response.header.stamp) >= stamp_to_ns(sent.header.stamp)
    assert [one.label for one in response.objects] == ["red block"]
    assert response.objects[0].pose.pose.position.z == pytest.approx(1.0, abs=1e-3)
    assert response.objects[0].id == sent.objects[0].id


def test_locate_says_not_found_and_what_is_there_instead(client: NodeClient) -> None:
    client.send_good()
    response = client.call(client.locate, Locate.Request(phrase="giraffe"))
    assert response.status.code == StatusCode.NOT_FOUND
    assert "red block" in response.status.message


def test_a_stale_image_is_refused_with_its_age(client: NodeClient) -> None:
    client.send_good()
    assert not wait_until(lambda: False, MAX_FRAME_AGE_S + 0.3)
    response = client.call(client.locate, Locate.Request(phrase="red block", timeout_s=0.2))
    assert response.status.code == StatusCode.STALE_FRAME
    assert "s old" in response.status.message


def test_a_burst_of_requests_is_answered_or_refused_and_never_lost(client: NodeClient) -> None:
    client.send_good()
    node = client.node
    # Every client is brought the answers to all: with the usual depth of ten a busy one drops its own.
    callers = [node.create_client(Locate, "/n3d/locate", qos_profile=REQUEST) for _ in range(25)]
    try:
        for caller in callers:
            client.meet(caller)
        client.send_good()
        futures = [caller.call_async(Locate.Request(phrase="red block", timeout_s=5.0)) for caller in callers]
        assert wait_until(lambda: all(future.done() for future in futures), 60)
        codes = {future.result().status.code for future in futures}
    finally:
        for caller in callers:
            node.destroy_client(caller)
    assert StatusCode.OK in codes


def test_an_unknown_target_frame_is_named(client: NodeClient) -> None:
    client.send_good()
    response = client.call(client.locate, Locate.Request(phrase="red block", target_frame="narnia"))
    assert response.status.code == StatusCode.NO_TRANSFORM
    assert "narnia" in response.status.message


@pytest.mark.parametrize(
    "request_",
    [
        Locate.Request(phrase="x" * 600),
        Locate.Request(phrase="red block", timeout_s=-1.0),
        Locate.Request(phrase="red block", timeout_s=math.nan),
        Locate.Request(phrase="red block", target_frame="/map"),
    ],
    ids=["long phrase", "negative timeout", "timeout not a number", "slash before the frame"],
)
def test_a_field_out_of_its_range_is_refused(client: NodeClient, request_: Any) -> None:
    assert client.call(client.locate, request_).status.code == StatusCode.INVALID_REQUEST


def test_a_backend_that_breaks_fails_its_request_only(client: NodeClient) -> None:
    client.send_good()
    response = client.call(client.locate, Locate.Request(phrase="explode"))
    assert response.status.code == StatusCode.BACKEND_FAILED
    assert "the backend broke" in response.status.message
    client.send_good()
    assert client.call(client.locate, Locate.Request(phrase="red block")).success


def test_a_phrase_that_is_not_understood_is_told_apart(client: NodeClient) -> None:
    client.send_good()
    response = client.call(client.locate, Locate.Request(phrase="gibberish"))
    assert response.status.code == StatusCode.NOT_UNDERSTOOD


def test_a_request_that_takes_too_long_times_out_and_frames_go_on(client: NodeClient) -> None:
    client.send_good()
    response = client.call(client.locate, Locate.Request(phrase="slow", timeout_s=0.3))
    assert response.status.code == StatusCode.TIMEOUT
    assert response.latency_ms < 4500, "what was asked for takes five seconds"
    client.send_good()


def test_the_past_is_answered_from_memory_and_unknown_moments_are_refused(client: NodeClient) -> None:
    sent = client.send_good()
    response = client.call(client.locate, Locate.Request(phrase="red block", stamp=sent.header.stamp))
    assert response.success, response.status.message
    assert response.header.stamp == sent.header.stamp
    long_ago = ns_to_stamp(stamp_to_ns(sent.header.stamp) - 1000 * SECOND)
    response = client.call(client.locate, Locate.Request(phrase="red block", stamp=long_ago))
    assert response.status.code == StatusCode.NO_SUCH_MOMENT


def test_a_question_is_answered_in_words_value_and_steps(client: NodeClient) -> None:
    client.send_good()
    response = client.call(client.query, SpatialQuery.Request(question="how many blocks are there?"))
    assert response.success, response.status.message
    assert response.value.number == 1.0
    assert response.sentence
    assert response.steps
    assert response.image_age_s >= 0


def test_an_empty_question_is_refused(client: NodeClient) -> None:
    response = client.call(client.query, SpatialQuery.Request(question="  "))
    assert response.status.code == StatusCode.INVALID_REQUEST


def _ground(client: NodeClient, text: str, feedback: list[Any]) -> Any:
    assert client.ground.wait_for_server(30.0)
    sent = client.ground.send_goal_async(
        Ground.Goal(text=text), feedback_callback=lambda message: feedback.append(message.feedback)
    )
    assert wait_until(sent.done)
    return sent.result()


def test_the_action_feeds_back_each_object_and_ends_with_all(client: NodeClient) -> None:
    client.send_good()
    feedback: list[Any] = []
    goal = _ground(client, "red block", feedback)
    result = goal.get_result_async()
    assert wait_until(result.done)
    assert result.result().status == GoalStatus.STATUS_SUCCEEDED
    assert [one.label for one in result.result().result.objects] == ["red block"]
    assert wait_until(lambda: any(one.objects for one in feedback))
    assert next(one for one in feedback if one.objects).header.frame_id == FRAME


def test_a_goal_that_runs_can_be_cancelled(client: NodeClient) -> None:
    client.send_good()
    feedback: list[Any] = []
    goal = _ground(client, "slow", feedback)
    assert wait_until(lambda: bool(feedback))
    cancelled = goal.cancel_goal_async()
    result = goal.get_result_async()
    assert wait_until(cancelled.done)
    assert wait_until(result.done)
    assert result.result().status == GoalStatus.STATUS_CANCELED
    assert result.result().result.status.code == StatusCode.CANCELLED
    client.send_good()


def server_of(desk: Callable[[], Any]) -> RequestServer:
    """A server on a node that offers nothing."""
    node = SimpleNamespace(get_clock=lambda: SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=SECOND)))
    server = RequestServer.__new__(RequestServer)
    server._node, server._desk, server._config, server._open = node, desk, RequestConfig, 0  # type: ignore[assignment]
    return server


def test_a_reply_that_does_not_go_into_messages_is_answered_as_a_failure() -> None:
    reply = Reply(status=StatusCode.OK, objects=(None,), frame_id=FRAME, stamp_ns=1)  # type: ignore[arg-type]
    for response in (Locate.Response(), SpatialQuery.Response(), Ground.Result()):
        filled = server_of(lambda: None)._filled(response, reply, 0.0)
        assert filled.status.code == StatusCode.BACKEND_FAILED
        assert not filled.success
        assert "AttributeError" in filled.status.message


def test_a_bug_before_a_request_reaches_the_worker_is_answered() -> None:
    server = server_of(lambda: {}["desk"])
    with pytest.raises(StopIteration) as ended:
        server._answered(lambda: Ask(kind=Kind.PHRASE, text="cup")).send(None)
    assert ended.value.value.status is StatusCode.BACKEND_FAILED
    assert server.open == 0


def test_a_goal_with_a_question_is_answered(client: NodeClient) -> None:
    client.send_good()
    result = _ground(client, "how many blocks are there?", []).get_result_async()
    assert wait_until(result.done)
    assert result.result().result.value.number == 1.0
