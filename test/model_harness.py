"""A node with a language model that is none, in this process, and a client that hears it over real DDS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import rclpy
from rcl_interfaces.srv import SetParameters
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter

from domains import DOMAIN_ID
from n3d_ros.ros.depth_keeper import DepthFactory
from n3d_ros.ros.managed_node import N3dNode
from n3d_ros.ros.model_keeper import ModelFactory
from n3d_ros.ros.spinning import Spinner
from node_harness import NodeClient, ros_environment
from node_under_test import make_grounder
from scripted_depth import make_depth
from talking_grounder import make_model

GROUNDING = "n3d: grounding"
DEPTH = "n3d: depth"


@contextmanager
def node_with(
    make_model: ModelFactory = make_model, make_depth: DepthFactory = make_depth, **parameters: Any
) -> Iterator[tuple[N3dNode, NodeClient]]:
    """A node in this process that loads the models of these names, and a client that hears it."""
    ros_environment()
    context = Context()
    rclpy.init(context=context, domain_id=DOMAIN_ID)
    overrides = [Parameter(name.replace("__", "."), value=value) for name, value in parameters.items()]
    node = N3dNode(
        make_grounder=make_grounder,
        make_model=make_model,
        make_depth=make_depth,
        context=context,
        parameter_overrides=overrides,
    )
    spinner = Spinner(node, SingleThreadedExecutor(context=context))
    client = NodeClient()
    try:
        assert node.autostart()
        spinner.start()
        yield node, client
    finally:
        client.close()
        node.close()
        spinner.stop()
        node.destroy_node()
        rclpy.shutdown(context=context)


def set_parameter(client: NodeClient, name: str, value: Any) -> None:
    setter = client.node.create_client(SetParameters, "/n3d/set_parameters")
    request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
    result = client.call(setter, request).results[0]
    client.node.destroy_client(setter)
    assert result.successful, result.reason


def grounding_status(client: NodeClient, name: str = GROUNDING) -> Any:
    """What /diagnostics said last of the grounder, or of another part."""
    statuses = [one for array in client.heard["diagnostics"] for one in array.status if one.name == name]
    return statuses[-1] if statuses else None
