"""Prints what the node offers once it is active, as JSON: run by a fixture, no test itself."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import rclpy

from n3d_ros.inference.grounder import GroundingResult
from n3d_ros.ros.managed_node import N3dNode


def main() -> None:
    rclpy.init()
    blind = SimpleNamespace(
        name="blind", device="cpu", ground=lambda *_, **__: GroundingResult(detections=()), close=lambda: None
    )
    node = N3dNode(make_grounder=lambda _: blind)
    assert node.autostart()
    name, namespace = node.get_name(), node.get_namespace()
    topics = node.get_publisher_names_and_types_by_node(name, namespace)
    services = node.get_service_names_and_types_by_node(name, namespace)
    inputs = node.get_subscriber_names_and_types_by_node(name, namespace)
    offered = {"topics": topics, "services": services, "inputs": inputs}
    sys.stdout.write(json.dumps({key: {n: t[0] for n, t in pairs} for key, pairs in offered.items()}) + "\n")
    sys.stdout.flush()
    node.close()
    node.destroy_node()
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()
