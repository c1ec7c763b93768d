"""The RViz file and the Foxglove layout show topics and call services that the node really has."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

RVIZ_TYPES = {
    "rviz_default_plugins/MarkerArray": "visualization_msgs/msg/MarkerArray",
    "rviz_default_plugins/Image": "sensor_msgs/msg/Image",
    "rviz_default_plugins/PointCloud2": "sensor_msgs/msg/PointCloud2",
}
"""What each display subscribes to; displays not listed must have no topic."""

FOXGLOVE_TYPES = {
    "3D": "visualization_msgs/msg/MarkerArray",
    "Image": "sensor_msgs/msg/Image",
    "DiagnosticSummary": "diagnostic_msgs/msg/DiagnosticArray",
}


@pytest.fixture(scope="module")
def rviz(repository: Path) -> Any:
    return yaml.safe_load((repository / "config" / "n3d.rviz").read_text())["Visualization Manager"]


@pytest.fixture(scope="module")
def foxglove(repository: Path) -> Any:
    return json.loads((repository / "config" / "foxglove_layout.json").read_text())


def rviz_topics(rviz: Any) -> Iterator[tuple[str, str]]:
    """Display class and topic of each display that has one."""
    for display in rviz["Displays"]:
        if "Topic" in display:
            yield display["Class"], display["Topic"]["Value"]


def foxglove_topics(layout: Any) -> Iterator[tuple[str, str]]:
    """Panel kind and topic path of everything the panels read."""
    for key, panel in layout["configById"].items():
        kind = key.partition("!")[0]
        yield from ((kind, topic) for topic in panel.get("topics", {}))
        yield from ((kind, path["value"]) for path in panel.get("paths", []))
        if "imageTopic" in panel.get("imageMode", {}):
            yield kind, panel["imageMode"]["imageTopic"]
        yield from ((kind, panel[name]) for name in ("topicPath", "topicToRender") if name in panel)


def topics_of_a_depth_model() -> dict[str, str]:
    """What the node publishes besides, where it finds depth itself: types by topic."""
    from n3d_ros.ros.config import NodeConfig
    from n3d_ros.ros.depth_topics import depth_topics

    topics = depth_topics(NodeConfig(depth_source="model"))
    return {f"/n3d/{name.removeprefix('~/')}": f"sensor_msgs/msg/{kind.__name__}" for name, kind in topics.items()}


def message_class(type_name: str) -> Any:
    package, kind, name = type_name.split("/")
    return getattr(importlib.import_module(f"{package}.{kind}"), name)


@pytest.mark.ros
def test_rviz_displays_read_topics_of_the_node_with_their_types(
    rviz: Any, node_interfaces: dict[str, dict[str, str]]
) -> None:
    topics = {**topics_of_a_depth_model(), **node_interfaces["topics"]}
    shown = list(rviz_topics(rviz))
    assert len(shown) >= 2
    for display, topic in shown:
        assert topics.get(topic) == RVIZ_TYPES[display], f"{display} reads {topic}"


@pytest.mark.ros
def test_foxglove_panels_read_topics_of_the_node_with_their_types_and_fields(
    foxglove: Any, node_interfaces: dict[str, dict[str, str]]
) -> None:
    shown = list(foxglove_topics(foxglove))
    assert {kind for kind, _ in shown} == {"3D", "Image", "Plot", "RawMessages", "DiagnosticSummary"}
    for kind, path in shown:
        topic, _, field = path.partition(".")
        type_name = node_interfaces["topics"].get(topic)
        assert type_name is not None, f"{kind} reads {topic}, which the node does not publish"
        assert type_name == FOXGLOVE_TYPES.get(kind, type_name)
        assert not field or field in message_class(type_name).get_fields_and_field_types()


@pytest.mark.ros
def test_foxglove_calls_services_of_the_node_with_fields_of_their_requests(
    foxglove: Any, node_interfaces: dict[str, dict[str, str]]
) -> None:
    panels = [panel for key, panel in foxglove["configById"].items() if key.startswith("CallService!")]
    assert {panel["serviceName"] for panel in panels} == {"/n3d/query", "/n3d/locate"}
    for panel in panels:
        service = message_class(node_interfaces["services"][panel["serviceName"]])
        assert set(json.loads(panel["requestPayload"])) <= set(service.Request.get_fields_and_field_types())


@pytest.mark.ros
def test_a_point_that_is_clicked_reaches_the_node(
    rviz: Any, foxglove: Any, node_interfaces: dict[str, dict[str, str]]
) -> None:
    tools = {tool["Class"]: tool for tool in rviz["Tools"]}
    panel = foxglove["configById"]["3D!n3d_scene"]
    assert panel["publish"]["type"] == "point"
    for topic in (tools["rviz_default_plugins/PublishPoint"]["Topic"]["Value"], panel["publish"]["pointTopic"]):
        assert node_interfaces["inputs"][topic] == "geometry_msgs/msg/PointStamped"


@pytest.mark.ros
def test_rviz_is_remapped_for_every_topic_it_reads(
    repository: Path, rviz: Any, node_interfaces: dict[str, dict[str, str]]
) -> None:
    from launch_files.stand_in import execute

    node = execute(repository / "launch" / "n3d.launch.py", {}, rviz="true", name="other").node("rviz2")
    remapped = dict(node.remappings)
    assert {topic for _, topic in rviz_topics(rviz)} <= set(remapped)
    assert set(remapped) <= {*topics_of_a_depth_model(), *node_interfaces["topics"], *node_interfaces["inputs"]}


@pytest.mark.ros
def test_presets_remap_inputs_that_the_node_has(node_interfaces: dict[str, dict[str, str]]) -> None:
    from n3d_ros.ros.camera_presets import INPUT_TOPICS

    assert {f"/{topic}" for topic in INPUT_TOPICS} <= set(node_interfaces["inputs"])


def test_every_foxglove_panel_is_placed_once(foxglove: Any) -> None:
    def leaves(node: Any) -> Iterator[str]:
        if isinstance(node, str):
            yield node
        else:
            yield from leaves(node["first"])
            yield from leaves(node["second"])

    placed = list(leaves(foxglove["layout"]))
    assert sorted(placed) == sorted(foxglove["configById"])


def test_rviz_has_a_fixed_frame_and_only_standard_displays(rviz: Any) -> None:
    assert rviz["Global Options"]["Fixed Frame"]
    assert all(display["Class"].startswith("rviz_default_plugins/") for display in rviz["Displays"])
