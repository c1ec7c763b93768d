"""A language model on its way into the node, over real DDS: progress, every way to fail, and a change while it runs."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("n3d_msgs", reason="needs the built interface package")

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from n3d_msgs.srv import Locate

from model_harness import grounding_status, node_with, set_parameter
from n3d_ros.errors import StatusCode
from n3d_ros.ros.model_keeper import MAX_FAILURES
from node_harness import NodeClient, NodeProcess, ros_environment, wait_until


def test_while_a_model_loads_diagnostics_and_answers_say_how_far_it_is() -> None:
    process = NodeProcess({"model": "slow"})
    try:
        client = NodeClient()
        try:
            client.meet(client.locate)
            assert wait_until(
                lambda: re.search("shard [23] of 4", getattr(grounding_status(client), "message", "")), 30.0
            )
            response = client.call(client.locate, Locate.Request(phrase="mug"))
            assert response.status.code == StatusCode.NOT_ACTIVE
            assert "loading the model: shard" in response.status.message
            process.wait_for_log("Active")
            assert "Loading the model: shard 1 of 4, 20 %" in process.log
            assert "licence: none" in process.log
            client.wait_connected()
            assert [one.label for one in client.send_good().objects] == ["mug", "laptop"]
            assert wait_until(lambda: grounding_status(client).level == b"\0")
        finally:
            client.close()
        assert process.end() == 0, process.log
        assert "Traceback" not in process.log, process.log
    finally:
        process.end()


@pytest.mark.parametrize(
    ("model", "reason"),
    [("missing", "nothing of that name"), ("broken", "invalid header in shard 2"), ("huge", "MemoryError")],
)
def test_a_model_that_cannot_be_used_leaves_the_geometric_grounder_and_says_so(model: str, reason: str) -> None:
    with node_with(model=model) as (node, client):
        client.wait_connected()
        client.meet(client.locate)
        assert [one.label for one in client.send_good().objects] == ["red block"]
        response = client.call(client.locate, Locate.Request(phrase="red block"))
        assert response.success
        assert reason in response.status.message
        assert f"The model '{model}' cannot be used" in response.status.message
        assert wait_until(lambda: reason in getattr(grounding_status(client), "message", ""))
        assert grounding_status(client).level == b"\1"
        assert node.state_label == "active"


def test_configured_again_with_a_bad_model_the_node_works_on_without_one() -> None:
    with node_with(model="fake") as (node, client):
        client.wait_connected()
        change = client.node.create_client(ChangeState, "/n3d/change_state")

        def go(transition: int) -> None:
            assert client.call(change, ChangeState.Request(transition=Transition(id=transition))).success

        go(Transition.TRANSITION_DEACTIVATE)
        go(Transition.TRANSITION_CLEANUP)
        set_parameter(client, "model", "missing")
        go(Transition.TRANSITION_CONFIGURE)
        go(Transition.TRANSITION_ACTIVATE)
        client.wait_connected()
        assert [one.label for one in client.send_good().objects] == ["red block"]
        assert "cannot be used" in node._models.trouble


def test_another_model_named_while_the_node_runs_takes_over_and_a_bad_one_leaves_it() -> None:
    with node_with() as (node, client):
        client.wait_connected()
        assert [one.label for one in client.send_good().objects] == ["red block"]
        set_parameter(client, "model", "fake")
        assert wait_until(lambda: not node._models.loading and node._models.used == "fake")
        assert [one.label for one in client.send_good().objects] == ["mug", "laptop"]
        set_parameter(client, "model", "missing")
        assert wait_until(lambda: bool(node._models.trouble))
        assert "the talking grounder is in use" in node._models.trouble
        assert [one.label for one in client.send_good().objects] == ["mug", "laptop"]
        used: Any = node._pipeline.grounder  # type: ignore[union-attr]
        set_parameter(client, "model", "")
        assert [one.label for one in client.send_good().objects] == ["red block"]
        assert used.is_closed


def test_a_model_that_fails_time_and_again_is_given_up_for_the_geometric_grounder() -> None:
    with node_with(model="fake") as (node, client):
        client.wait_connected()
        client.send_good()
        model: Any = node._pipeline.grounder  # type: ignore[union-attr]
        set_parameter(client, "language_model.prompt", "exhaust")

        def failures() -> int:
            return client.dropped().get("out_of_memory", 0)

        def is_given_up() -> bool:
            return node._pipeline.grounder is not model  # type: ignore[union-attr]

        def failed_once_more() -> bool:
            """Publishes a pair that the model fails on, and again where it was lost; never beyond the last."""
            before = failures()
            client.publish(client.messages())
            return wait_until(lambda: failures() > before or is_given_up(), 5.0)

        while not is_given_up() and failures() <= MAX_FAILURES:
            assert wait_until(failed_once_more)
        assert wait_until(lambda: failures() == MAX_FAILURES), client.dropped()
        assert [one.label for one in client.send_good().objects] == ["red block"]
        assert model.is_closed
        response = client.call(client.locate, Locate.Request(phrase="red block"))
        assert "failed 3 times in a row" in response.status.message
        assert "CUDA out of memory" in response.status.message


def test_without_a_model_no_runtime_is_loaded() -> None:
    code = (
        "import sys\nfrom n3d_ros.ros import running\nfrom n3d_ros.ros.config import NodeConfig\n"
        "from n3d_ros.ros.loading import grounder_from_config, warmed_up\n"
        "warmed_up(grounder_from_config(NodeConfig()))\n"
        "print([name for name in ('torch', 'transformers', 'tokenizers', 'huggingface_hub') if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], env=ros_environment(), capture_output=True, text=True, timeout=60
    )
    assert result.stdout.splitlines()[-1:] == ["[]"], result.stderr


def test_without_a_camera_a_request_to_a_model_ends_after_the_wait_for_an_image() -> None:
    with node_with(model="fake", request__timeout_s=0.5, request__model_timeout_s=60.0) as (node, client):
        assert wait_until(lambda: not node._models.loading)
        response = client.call(client.locate, Locate.Request(phrase="mug"))
        assert response.status.code == StatusCode.NO_FRAME
        assert "within 0.5 s" in response.status.message
        assert response.latency_ms < 5000
