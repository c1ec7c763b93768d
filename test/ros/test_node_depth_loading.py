"""A depth model on its way into the node, over real DDS: progress, every way to fail, and the camera beside it."""

from __future__ import annotations

import re
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("n3d_msgs", reason="needs the built interface package")

from n3d_msgs.srv import Locate, SpatialQuery

from model_harness import DEPTH, grounding_status, node_with
from n3d_ros.errors import StatusCode
from n3d_ros.inference.depth_source import PixelSource
from n3d_ros.ros.depth_keeper import MAX_FAILURES
from node_harness import wait_until
from ros.test_node_depth import hearing, send_colour


def test_while_the_model_loads_the_node_says_how_far_it_is_and_a_language_model_follows() -> None:
    settings = {"depth_source": "model", "depth_model.model": "slow", "model": "fake"}
    with node_with(**settings) as (node, client):
        client.meet(client.locate)
        assert wait_until(
            lambda: re.search("part [23] of 4", getattr(grounding_status(client, DEPTH), "message", "")), 30.0
        )
        reply = client.call(client.locate, Locate.Request(phrase="mug"))
        assert reply.status.code == StatusCode.NOT_ACTIVE
        assert "loading the depth model: weights: part" in reply.status.message
        assert wait_until(lambda: node._inputs is not None)
        assert [one.label for one in send_colour(client).objects] == ["mug", "laptop"]
        source: Any = node._depth.source
    assert source.is_closed


@pytest.mark.parametrize(("model", "reason"), [("missing", "nothing of that name"), ("huge", "MemoryError")])
def test_without_any_depth_the_node_stays_and_says_why_to_everybody(model: str, reason: str) -> None:
    with node_with(**{"depth_source": "model", "depth_model.model": model}) as (node, client):
        assert wait_until(lambda: node._depth.blocks)
        assert node.state_label == "active"
        assert node._inputs is None, "images that nobody can look at are not subscribed"
        for caller, request in (
            (client.locate, Locate.Request(phrase="red block")),
            (client.query, SpatialQuery.Request(question="how many objects are there?")),
        ):
            reply = client.call(caller, request)
            assert reply.status.code == StatusCode.BACKEND_FAILED
            assert reason in reply.status.message and "no other depth" in reply.status.message
        assert wait_until(lambda: reason in getattr(grounding_status(client, DEPTH), "message", ""))
        assert grounding_status(client, DEPTH).level == b"\2"


def test_fused_tells_each_pixels_source_and_goes_on_with_the_camera_when_the_model_is_given_up() -> None:
    with node_with(**{"depth_source": "fused", "depth_model.model": "wall"}) as (node, client):
        assert wait_until(lambda: node._depth.source is not None and not node._depth.loading)
        client.wait_connected("color", "color_info", "depth")
        client.meet(client.locate)
        source: Any = node._depth.source
        with hearing(client) as heard:
            assert node._depth._topics is not None
            publisher = node._depth._topics._publishers["~/depth/source"]
            assert wait_until(lambda: publisher.get_subscription_count() > 0)
            client.send_good()
            assert wait_until(lambda: bool(heard["source"]))
            mask = heard["source"][-1]
            assert mask.encoding == "mono8"
            assert set(bytes(mask.data)) == {PixelSource.SENSOR}, "the pair has depth everywhere"
            source.broken = "CUDA error 700"
            for _ in range(MAX_FAILURES):
                assert [one.label for one in client.send_good().objects] == ["red block"]
            assert wait_until(lambda: source.is_closed)
            count = len(heard["image"])
            client.send_good()
            assert wait_until(lambda: len(heard["image"]) > count), "depth goes on"
            client.send_good()
        reply = client.call(client.locate, Locate.Request(phrase="red block"))
        assert reply.success
        assert f"failed {MAX_FAILURES} times in a row" in reply.status.message


def test_fused_with_a_model_that_is_missing_is_the_camera_with_a_standing_note() -> None:
    with node_with(**{"depth_source": "fused", "depth_model.model": "missing"}) as (_, client):
        client.wait_connected("color", "color_info", "depth")
        client.meet(client.locate)
        assert [one.label for one in client.send_good().objects] == ["red block"]
        reply = client.call(client.locate, Locate.Request(phrase="red block"))
        assert reply.success
        assert "nothing of that name" in reply.status.message
        assert wait_until(lambda: getattr(grounding_status(client, DEPTH), "level", None) == b"\1")


def test_a_model_that_is_named_without_its_source_is_not_loaded_and_that_is_said(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with node_with(**{"depth_model.model": "wall"}) as (node, client):
        client.wait_connected("color", "color_info", "depth")
        assert [one.label for one in client.send_good().objects] == ["red block"]
        assert node._depth.source is None
        assert client.node.count_publishers("/n3d/depth/image") == 0
    assert "set depth_source to 'model' or 'fused'" in capfd.readouterr().err
