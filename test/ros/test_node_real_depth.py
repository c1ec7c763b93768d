"""A real depth model in the real node: random weights through torch, and files that cannot be used.

Random weights see nothing of sense; what is tested is the way there and back, and that nothing ends the node.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("n3d_msgs", reason="needs the built interface package")
pytest.importorskip("torch", reason="needs the packages of the extra [model]")

from n3d_msgs.srv import Locate

from model_harness import DEPTH, grounding_status, node_with
from model_training.models.random_depth_model import write_random_depth_model
from n3d_ros.errors import StatusCode
from n3d_ros.inference.depth_source import PixelSource
from n3d_ros.ros.image_codec import image_to_depth_m
from n3d_ros.ros.loading import depth_from_config
from node_harness import FRAME, wait_until
from ros.test_node_depth import hearing, send_colour

SMALL = {"depth_model.device": "cpu", "depth_model.resolution": 112, "depth.max_m": 1000.0, "depth.min_m": 0.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    root = tmp_path_factory.mktemp("models")

    def folder(size: str) -> Path:
        return root / size if (root / size).exists() else write_random_depth_model(root / size, size)

    return folder


def node_of(model: Path, source: str = "model", **more: Any) -> Any:
    settings = {"depth_source": source, "depth_model.model": str(model), **SMALL, **more}
    return node_with(make_depth=depth_from_config, **settings)


def test_a_nested_model_gives_a_colour_only_camera_depth_and_tells_its_licence(folder: Callable[[str], Path]) -> None:
    with node_of(folder("tiny-nested")) as (node, client):
        assert wait_until(lambda: not node._depth.loading, 60.0)
        assert not node._depth.trouble, node._depth.trouble
        client.wait_connected("color", "color_info")
        with hearing(client) as heard:
            topics = node._depth._topics
            assert topics is not None
            publishers = [topics._publishers[f"~/depth/{name}"] for name in ("image", "confidence", "points")]
            assert wait_until(lambda: all(one.get_subscription_count() for one in publishers))
            (block,) = send_colour(client, 30.0).objects
            assert wait_until(lambda: bool(heard["image"] and heard["confidence"] and heard["points"]))
        depth_m = image_to_depth_m(heard["image"][-1])
        assert depth_m.shape == (48, 64) and heard["image"][-1].header.frame_id == FRAME
        assert np.isfinite(depth_m).any()
        assert block.pose.pose.position.z == pytest.approx(float(np.nanmedian(depth_m[12:-12:4, 16:-16:4])), rel=0.01)
        assert image_to_depth_m(heard["confidence"][-1]).min() >= 1.0
        assert wait_until(lambda: getattr(grounding_status(client, DEPTH), "level", None) == b"\0")
        values = [one.value for one in grounding_status(client, DEPTH).values]
        assert any("licence" in value.lower() for value in values)


def test_a_relative_model_fills_the_holes_of_a_depth_camera(folder: Callable[[str], Path]) -> None:
    with node_of(folder("tiny"), "fused") as (node, client):
        assert wait_until(lambda: not node._depth.loading, 60.0)
        assert not node._depth.trouble, node._depth.trouble
        client.wait_connected("color", "color_info", "depth")
        with hearing(client) as heard:
            topics = node._depth._topics
            assert topics is not None
            assert wait_until(lambda: topics._publishers["~/depth/source"].get_subscription_count() > 0)
            assert [one.label for one in client.send_good(30.0).objects] == ["red block"]
            assert wait_until(lambda: bool(heard["source"]))
        assert set(bytes(heard["source"][-1].data)) == {PixelSource.SENSOR}


@pytest.mark.parametrize(
    ("size", "damage", "reason"),
    [("tiny", "", "depth_model.metric_model"), ("tiny-nested", "cut off", "model.safetensors")],
)
def test_what_gives_no_metres_or_is_cut_off_is_refused_and_the_node_stays(
    folder: Callable[[str], Path], tmp_path: Path, size: str, damage: str, reason: str
) -> None:
    model = shutil.copytree(folder(size), tmp_path / "model") if damage else folder(size)
    if damage:
        weights = model / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    with node_of(model) as (node, client):
        assert wait_until(lambda: node._depth.blocks, 60.0)
        reply = client.call(client.locate, Locate.Request(phrase="red block"))
        assert reply.status.code == StatusCode.BACKEND_FAILED
        assert reason in reply.status.message
        assert node.state_label == "active"
