"""What the node says when no images come."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from n3d_ros.ros.config import NodeConfig
from n3d_ros.ros.inputs import ImageInputs


class StandInNode:
    """Knows who publishes what."""

    def __init__(self, **publishers: str) -> None:
        self.publishers = publishers

    def create_subscription(self, _type: Any, topic: str, *_args: Any, **_options: Any) -> Any:
        return SimpleNamespace(topic_name=f"/{topic}")

    def resolve_topic_name(self, topic: str) -> str:
        return f"/{topic}"

    def get_publishers_info_by_topic(self, topic: str) -> list[Any]:
        profile = SimpleNamespace(reliability=SimpleNamespace(name="BEST_EFFORT"))
        name = self.publishers.get(topic.strip("/").replace("/", "_"))
        return [SimpleNamespace(node_name=name, qos_profile=profile)] if name else []


def explained(config: NodeConfig | None = None, **publishers: str) -> str:
    node: Any = StandInNode(**publishers)
    return ImageInputs(node, config or NodeConfig(), on_pair=lambda _: None, on_drop=lambda *_: None).explain()


def test_topics_without_a_publisher_are_told_in_one_sentence() -> None:
    text = explained(rgb_image="camera")
    assert text == (
        "/rgb/image: published by camera (best_effort). "
        "Nobody publishes /rgb/camera_info, /depth/camera_info, /depth/image; remap to your camera's topics."
    )


def test_when_all_are_published_nothing_is_missing() -> None:
    text = explained(rgb_image="a", rgb_camera_info="a", depth_image="a", depth_camera_info="a")
    assert "Nobody" not in text
    assert text.count("published by a") == 4


def test_where_a_model_finds_the_depth_no_depth_topic_is_missed() -> None:
    assert explained(NodeConfig(depth_source="model")) == (
        "Nobody publishes /rgb/camera_info, /rgb/image; remap to your camera's topics."
    )
