"""The node with a language model, over real DDS: streaming, cancelling, deadlines, pre-emption, ways to answer."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("n3d_msgs", reason="needs the built interface package")

from action_msgs.msg import GoalStatus
from n3d_msgs.action import Ground
from n3d_msgs.msg import Object3DArray
from n3d_msgs.srv import Locate, SpatialQuery
from rclpy.action import ActionClient

from model_harness import node_with, set_parameter
from n3d_ros.errors import StatusCode
from n3d_ros.ros.managed_node import N3dNode
from n3d_ros.ros.qos import REQUEST
from node_harness import FRAME, NodeClient, wait_until
from talking_grounder import RAW_GROWTH, STEP_S, STEPS_PER_BOX


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[N3dNode, NodeClient]]:
    """A node whose model is there."""
    with node_with(model="fake", request__max_frame_age_s=600.0) as (node, client):
        assert wait_until(lambda: not node._models.loading)
        client.wait_connected()
        yield node, client


@pytest.fixture
def client(running: tuple[N3dNode, NodeClient]) -> Iterator[NodeClient]:
    yield running[1]
    for name, value in (("answer_mode", "boxes"), ("language_model.prompt", "")):
        set_parameter(running[1], name, value)


def goal_for(client: NodeClient, text: str, feedback: list[Any], timeout_s: float = 0.0) -> Any:
    assert client.ground.wait_for_server(30.0)
    sent = client.ground.send_goal_async(
        Ground.Goal(text=text, timeout_s=timeout_s), feedback_callback=lambda message: feedback.append(message.feedback)
    )
    assert wait_until(sent.done)
    return sent.result()


def test_auto_takes_the_model_when_one_is_named_and_reports_name_it(client: NodeClient) -> None:
    assert [one.label for one in client.send_good().objects] == ["mug", "laptop"]
    assert wait_until(lambda: bool(client.heard["reports"]))
    report = client.heard["reports"][-1]
    assert (report.backend, report.device) == ("talking", "cpu")


def test_each_box_is_fed_back_when_it_is_found_and_not_at_the_end(client: NodeClient) -> None:
    client.send_good()
    feedback: list[Any] = []
    result = goal_for(client, "many mug", feedback).get_result_async()
    assert wait_until(result.done)
    assert wait_until(lambda: sum(bool(one.objects) for one in feedback) >= 3), "feedback may be heard after the result"
    told = [one for one in feedback if one.objects]
    assert [len(one.objects) for one in told] == [1, 1, 1]
    assert {one.header.frame_id for one in told} == {FRAME}
    apart_ms = [b.elapsed_ms - a.elapsed_ms for a, b in itertools.pairwise(told)]
    assert min(apart_ms) > 0.5e3 * STEP_S * STEPS_PER_BOX, "told together"
    assert len(result.result().result.objects) == 3


def test_a_goal_that_finds_one_after_another_is_cancelled_within_a_step(
    running: tuple[N3dNode, NodeClient], client: NodeClient
) -> None:
    model: Any = running[0]._pipeline.grounder  # type: ignore[union-attr]
    client.send_good()
    feedback: list[Any] = []
    goal = goal_for(client, "endless mug", feedback)
    assert wait_until(lambda: any(one.objects for one in feedback))
    job = next(iter(running[0]._requests._jobs.values()))
    job.cancel()
    before = model.steps
    result = goal.get_result_async()
    cancelled = goal.cancel_goal_async()
    assert wait_until(cancelled.done)
    assert wait_until(result.done)
    assert model.steps - before <= 1
    assert result.result().status == GoalStatus.STATUS_CANCELED
    assert result.result().result.status.code == StatusCode.CANCELLED


def test_a_goal_cancelled_before_it_was_begun_ends_without_a_look(
    running: tuple[N3dNode, NodeClient], client: NodeClient
) -> None:
    client.send_good()
    model: Any = running[0]._pipeline.grounder  # type: ignore[union-attr]
    looks, ended = len(model.requests), list[str]()
    handle = SimpleNamespace(
        request=Ground.Goal(text="endless mug"),
        goal_id=SimpleNamespace(uuid=bytes(16)),
        is_cancel_requested=True,
        is_active=False,
        canceled=lambda: ended.append("canceled"),
    )
    with pytest.raises(StopIteration) as end:  # the coroutine waits for nothing
        running[0]._requests._on_ground(handle).send(None)  # type: ignore[arg-type]
    assert end.value.value.status.code == StatusCode.CANCELLED
    assert ended == ["canceled"]
    assert len(model.requests) == looks


def test_two_thousand_requests_at_once_are_each_answered_or_refused(client: NodeClient) -> None:
    client.send_good()
    caller = client.node.create_client(Locate, "/n3d/locate", qos_profile=REQUEST)
    client.meet(caller)
    codes: list[int] = []

    def send_all() -> None:
        for _ in range(2000):
            sent = caller.call_async(Locate.Request(phrase="lamp", timeout_s=20.0))
            sent.add_done_callback(lambda answer: codes.append(answer.result().status.code))

    client._executor.create_task(send_all)
    assert wait_until(lambda: len(codes) == 2000, 40.0), f"{len(codes)} of 2000 requests were answered"
    assert set(codes) == {StatusCode.OK, StatusCode.TIMEOUT}
    client.node.destroy_client(caller)


def test_sixty_goals_at_once_all_cancelled_all_end_promptly(
    running: tuple[N3dNode, NodeClient], client: NodeClient
) -> None:
    client.send_good()
    # With its default depth of ten, the client's own middleware drops answers that come in one burst.
    deep = {f"{name}_service_qos_profile": REQUEST for name in ("goal", "result", "cancel")}
    burst = ActionClient(client.node, Ground, "/n3d/ground", **deep)
    assert burst.wait_for_server(30.0)
    ended: list[Any] = []
    begun_s = time.monotonic()

    def accepted(sent: Any) -> None:
        goal = sent.result()
        goal.get_result_async().add_done_callback(lambda result: ended.append(result.result()))
        goal.cancel_goal_async()

    def send_all() -> None:  # in the executor's thread: an action client belongs to one thread
        for _ in range(60):
            sent = burst.send_goal_async(Ground.Goal(text="endless mug", timeout_s=30.0))
            sent.add_done_callback(accepted)

    client._executor.create_task(send_all)
    assert wait_until(lambda: len(ended) == 60), f"{len(ended)} of 60 goals ended"
    assert time.monotonic() - begun_s < 25.0, "none of them looked for as long as it may"
    allowed = {
        (GoalStatus.STATUS_CANCELED, StatusCode.CANCELLED),
        (GoalStatus.STATUS_ABORTED, StatusCode.TIMEOUT),  # refused: request.queue_size wait already
    }
    assert {(one.status, one.result.status.code) for one in ended} <= allowed
    requests = running[0]._requests
    assert wait_until(lambda: not requests.open and not requests._jobs)
    burst.destroy()


def test_at_the_deadline_what_is_there_is_answered_and_marked_partial(
    running: tuple[N3dNode, NodeClient], client: NodeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.send_good()
    model: Any = running[0]._pipeline.grounder  # type: ignore[union-attr]
    monkeypatch.setattr(model, "sure_boxes", 2)  # also where the machine is too slow for them
    response = client.call(client.locate, Locate.Request(phrase="endless mug", timeout_s=0.5))
    assert response.status.code == StatusCode.TIMEOUT
    assert not response.success
    assert response.status.message.startswith("Partial: the 0.5 s given")
    assert len(response.objects) >= 2
    assert response.latency_ms < 5000
    result = goal_for(client, "endless mug", [], timeout_s=0.5).get_result_async()
    assert wait_until(result.done)
    assert result.result().status == GoalStatus.STATUS_ABORTED
    assert result.result().result.objects


def test_the_standing_prompt_says_what_is_looked_for_all_the_time(
    running: tuple[N3dNode, NodeClient], client: NodeClient
) -> None:
    set_parameter(client, "language_model.prompt", "red mug; lamp")
    client.send_good()
    assert running[0]._pipeline.grounder.requests[-1].nouns == ("red mug", "lamp")  # type: ignore[union-attr]


def test_a_request_goes_before_a_running_look_which_is_counted(
    running: tuple[N3dNode, NodeClient], client: NodeClient
) -> None:
    client.send_good()
    client.meet(client.locate)
    model: Any = running[0]._pipeline.grounder  # type: ignore[union-attr]
    looks = len(model.requests)
    set_parameter(client, "language_model.prompt", "endless mug")
    before = client.dropped().get("preempted", 0)

    def looks_without_end() -> bool:
        """Publishes a pair; once more only where it was lost, since a second one would be looked at as well."""
        client.publish(client.messages())
        return wait_until(lambda: any("endless mug" in one.nouns for one in model.requests[looks:]), 10.0)

    assert wait_until(looks_without_end)
    response = client.call(client.locate, Locate.Request(phrase="lamp", timeout_s=5.0))
    assert response.success, response.status.message
    assert response.latency_ms < 4000
    assert wait_until(lambda: client.dropped().get("preempted", 0) > before)
    assert client.heard["reports"][-1].status.code == StatusCode.CANCELLED


def test_a_stream_of_requests_leaves_continuous_looks_their_turn(client: NodeClient) -> None:
    client.send_good()
    before = client.heard["reports"][-1].frames_used
    deadline = time.monotonic() + 10.0
    callers = [client.node.create_client(Locate, "/n3d/locate") for _ in range(6)]
    futures: list[Any] = [caller.call_async(Locate.Request(phrase="lamp")) for caller in callers]
    while client.heard["reports"][-1].frames_used < before + 2 and time.monotonic() < deadline:
        for i, caller in enumerate(callers):  # several wait at any moment
            if futures[i].done():
                futures[i] = caller.call_async(Locate.Request(phrase="lamp"))
        client.publish(client.messages())
        time.sleep(0.01)
    assert wait_until(lambda: all(future.done() for future in futures))
    for caller in callers:
        client.node.destroy_client(caller)
    assert client.heard["reports"][-1].frames_used >= before + 2


def test_a_question_hands_its_things_to_the_model(running: tuple[N3dNode, NodeClient], client: NodeClient) -> None:
    client.send_good()
    question = "How far is the red mug from the laptop?"
    client.call(client.query, SpatialQuery.Request(question=question))
    request = running[0]._pipeline.grounder.requests[-1]  # type: ignore[union-attr]
    assert (request.question, request.nouns) == (question, ("red mug", "laptop"))


def test_answer_mode_boxes_computes_model_thinks_and_both_compares(client: NodeClient) -> None:
    client.send_good()
    request = SpatialQuery.Request(question="Is there a lamp?")
    computed = client.call(client.query, request)
    assert computed.success, computed.status.message
    assert (computed.value.type, computed.value.number) == (2, 1.0)
    assert "says" not in computed.sentence

    set_parameter(client, "answer_mode", "model")
    thought = client.call(client.query, request)
    assert (thought.sentence, thought.value.number) == ("Yes, there is.", 1.0)
    assert thought.steps == ["The mug is at x 0.1.", "The laptop is at x 0.4."]
    assert [one.label for one in thought.objects] == ["lamp"]

    set_parameter(client, "answer_mode", "both")
    both = client.call(client.query, request)
    assert both.value.number == 1.0
    assert both.steps[0] == computed.steps[0]
    assert 'The language model says: "Yes, there is." This agrees with the boxes.' in both.steps[-1]


def test_raw_boxes_are_published_beside_the_fitted_ones_for_who_listens(client: NodeClient) -> None:
    heard: list[Any] = []
    subscription = client.node.create_subscription(Object3DArray, "/n3d/debug/raw_objects", heard.append, 10)
    deadline = time.monotonic() + 10
    while not heard and time.monotonic() < deadline:
        fitted = client.send_good()
    client.node.destroy_subscription(subscription)
    assert [one.label for one in heard[-1].objects] == ["mug", "laptop"]
    assert heard[-1].header.frame_id == FRAME
    assert heard[-1].objects[0].size.x == pytest.approx(RAW_GROWTH * fitted.objects[0].size.x)
