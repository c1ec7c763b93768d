"""The launch file for several cameras: what it would start, and two nodes started so, side by side over real DDS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from launch_files.stand_in import ExecuteProcess, Started, execute
from n3d_ros.errors import ConfigurationError


@pytest.fixture
def several(repository: Path) -> Any:
    """Executes multi_camera.launch.py, and n3d.launch.py once per camera, in an empty environment."""

    def run(**arguments: str) -> Started:
        return execute(repository / "launch" / "multi_camera.launch.py", {}, **arguments)

    return run


def nodes_of(started: Started) -> dict[str, Any]:
    return {action.namespace: action for action in started.actions if getattr(action, "executable", "") == "n3d_node"}


def parameters_of(node: Any) -> dict[str, Any]:
    return {name: value for entry in node.parameters if isinstance(entry, dict) for name, value in entry.items()}


def test_each_camera_has_a_node_of_its_own_that_listens_to_it_alone(several: Any) -> None:
    nodes = nodes_of(several(cameras="front=realsense  rear=realsense:/rear_cam/camera left/top=zed"))
    assert list(nodes) == ["front", "rear", "left/top"]
    assert {node.name for node in nodes.values()} == {"n3d"}
    topics = {name: dict(node.remappings)["rgb/image"] for name, node in nodes.items()}
    assert topics["front"] == "/front/camera/camera/color/image_raw"
    assert topics["rear"] == "/rear_cam/camera/color/image_raw"
    assert topics["left/top"].startswith("/left/top/zed/zed_node/")


def test_what_holds_for_all_reaches_every_node(several: Any) -> None:
    nodes = nodes_of(several(cameras="a=generic b=oak", output_frame="base_link", use_sim_time="true"))
    for node in nodes.values():
        assert parameters_of(node)["output_frame"] == "base_link"
        assert parameters_of(node)["use_sim_time"] is True


def test_without_a_preset_s_topics_the_names_are_those_of_the_namespace(several: Any) -> None:
    assert nodes_of(several(cameras="arm=generic"))["arm"].remappings == []


def test_each_camera_gets_a_page_of_its_own(several: Any) -> None:
    pages = several(cameras="a=generic b=generic", view="true", view_port="9000").all(ExecuteProcess)
    assert [page.cmd[3:] for page in pages] == [
        ["view", "--node", f"/{name}/n3d", "--host", "127.0.0.1", "--port", port]
        for name, port in (("a", "9000"), ("b", "9001"))
    ]


@pytest.mark.parametrize(
    "cameras",
    ["", "  ", "front", "front=", "=realsense", "front=pinhole", "a=oak a=zed", "a=oak:prefix", "9a=oak", "a/=oak"],
)
def test_cameras_that_are_none_are_refused(several: Any, cameras: str) -> None:
    with pytest.raises((ConfigurationError, RuntimeError)):
        several(cameras=cameras)


@pytest.fixture
def two_cameras(several: Any) -> Iterator[dict[str, Any]]:
    """Two nodes as the launch file describes them, a camera for each, and the transforms between them."""
    pytest.importorskip("rclpy", reason="needs ROS 2")
    pytest.importorskip("n3d_msgs", reason="needs the built interface package")
    from node_harness import NodeClient, NodeProcess, end_all

    described = nodes_of(several(cameras="left=generic right=generic", output_frame="base_link"))
    nodes, clients = [], {}
    try:
        for node in described.values():
            settings = {**parameters_of(node), "request.max_frame_age_s": 600.0}
            nodes.append(NodeProcess(settings, node.name, namespace=node.namespace, remappings=dict(node.remappings)))
        for name, process in zip(described, nodes, strict=True):
            process.wait_for_log("Active")
            clients[name] = NodeClient(namespace=name)
            clients[name].wait_connected("color", "depth", "color_info", "tf")
        yield clients
    finally:
        for client in clients.values():
            client.close()
        codes = end_all(dict(zip(described, nodes, strict=False)))
    assert list(codes.values()) == [0, 0], [process.told("was to end well") for process in nodes]
    assert all("Traceback" not in process.log for process in nodes)


@pytest.mark.ros
def test_two_cameras_are_seen_and_asked_apart_and_answer_in_one_frame(two_cameras: dict[str, Any]) -> None:
    import numpy as np
    from n3d_msgs.srv import Locate, SpatialQuery
    from tf2_msgs.msg import TFMessage

    from n3d_ros.geometry.transforms import RigidTransform
    from n3d_ros.ros.conversions import stamp_to_ns, transform_to_msg
    from node_harness import wait_until

    depths = {"left": 1.0, "right": 2.0}
    places = {"left": 10.0, "right": -10.0}

    def look(name: str) -> Any:
        """What the camera's node finds in an image of that camera; the transform of its own frame comes with it."""
        client = two_cameras[name]
        for _ in range(20):
            messages = client.messages(depth_m=depths[name])
            stamp_ns = stamp_to_ns(messages["color"].header.stamp)
            for message in messages.values():
                message.header.frame_id = f"{name}_optical"
            place = RigidTransform(rotation=np.eye(3), translation=np.array([places[name], 0.0, 0.0]))
            transform = transform_to_msg(place, parent="base_link", child=f"{name}_optical", stamp_ns=stamp_ns)
            client.publish({"tf": TFMessage(transforms=[transform]), **messages})
            if wait_until(lambda: client.objects_at(stamp_ns) is not None, 1.0):  # noqa: B023 -- called at once
                return client.objects_at(stamp_ns)
        raise AssertionError(f"{name}: nothing came back; {client.dropped()}")

    for _ in range(3):
        for name in ("left", "right"):
            found = look(name)
            assert found.header.frame_id == "base_link"
            position = found.objects[0].pose.pose.position
            assert (position.x, position.z) == pytest.approx((places[name], depths[name]), abs=1e-3)
    for name, client in two_cameras.items():
        response = client.call(client.locate, Locate.Request(phrase="red block"))
        assert [one.pose.pose.position.x for one in response.objects] == pytest.approx([places[name]], abs=1e-3)
        counted = client.call(client.query, SpatialQuery.Request(question="how many blocks are there?"))
        assert counted.value.number == 1.0, "the other camera's block is not this one's"
        assert {one.header.frame_id for one in client.heard["objects"]} == {"base_link"}
        seen = {round(one.objects[0].pose.pose.position.x) for one in client.heard["objects"]}
        assert seen == {places[name]}, "nothing of the other camera"
