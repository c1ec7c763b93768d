"""The page of topics, from the entities of a running node and the QoS they were made with."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import rclpy
from rclpy.action import get_action_server_names_and_types_by_node
from rclpy.context import Context
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image

from n3d_ros.inference.depth_config import DepthModelConfig
from n3d_ros.inference.depth_source import FUSED
from n3d_ros.ros import qos
from n3d_ros.ros.config import NodeConfig
from n3d_ros.ros.depth_topics import depth_topics
from n3d_ros.ros.inputs import COLOR_TOPICS, DEPTH_TOPICS
from n3d_ros.ros.managed_node import N3dNode
from scripts.reference_pages.markdown import code, page, table
from scripts.reference_pages.meanings import TOPICS

ISOLATED_DOMAIN = 99  # the node made here meets nobody; N3D_REFERENCE_DOMAIN names another

OF_EVERY_NODE = ("/parameter_events", "/rosout")
OPTIONAL_TYPES = {"~/detections": "vision_msgs/msg/Detection3DArray"}  # only where its package is installed

FURTHER = "NAME"  # stands for a camera in depth_model.cameras

IN = """
Relative names, to be remapped to the camera's: `-r rgb/image:=/camera/color/image_raw`, or a
[preset](../cameras.md). A best-effort subscription receives from reliable and from best-effort publishers. One colour
topic and one depth topic are subscribed, as the transports say.
"""
OUT = """
Every header has the **image's** stamp and the frame **its boxes are in** (`output_frame`, by default the image's own).
"""
SERVED = """
All fields: [services and action](services.md). Besides these the node has the services of every managed node
(`~/change_state`, `~/get_state`, ...) and of every node's parameters.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One topic, service or action of the node.

    Args:
        name: as the node names it, before remapping.
        type: such as "sensor_msgs/msg/Image".
        quality: QoS in words.
    """

    name: str
    type: str
    quality: str


def topics_page() -> str:
    """Every topic, service and action of the node with type, QoS and meaning.

    Returns:
        Markdown.
    """
    with _node() as node:
        subscriptions = [*subscribed(node), *of_further_cameras()]
        publishers = list(published(node))
        served = list(offered(node))
    return page(
        "Topics",
        "## In",
        IN,
        _table(subscriptions),
        "## Out",
        OUT,
        _table(publishers),
        "## Services and action",
        SERVED,
        _table(served),
    )


def subscribed(node: N3dNode) -> Iterator[Endpoint]:
    """The node's subscriptions; of images those of every transport.

    Args:
        node: an active node.

    Yields:
        Its endpoints.
    """
    transports = {names[0]: names[1] for topics in (COLOR_TOPICS, DEPTH_TOPICS) for names in topics.values()}
    for entity in node.subscriptions:
        name = _own_name(entity.topic_name)
        stem = name.partition("/")[0]
        ways = [one for one in transports if name in transports and one.partition("/")[0] == stem] or [name]
        for way in ways:
            message_type = transports.get(way, entity.msg_type)
            yield Endpoint(name=way, type=_type_name(message_type), quality=_words(entity.qos_profile))


def of_further_cameras() -> Iterator[Endpoint]:
    """The subscriptions of a camera named in depth_model.cameras.

    Yields:
        Its endpoints.
    """
    for name, message_type in ((f"{FURTHER}/image", Image), (f"{FURTHER}/camera_info", CameraInfo)):
        yield Endpoint(name=name, type=_type_name(message_type), quality=_words(qos.SENSOR))


def published(node: N3dNode) -> Iterator[Endpoint]:
    """The node's publishers.

    Args:
        node: a configured node.

    Yields:
        Its endpoints, those of packages that are not installed here, and those that a depth model adds.
    """
    found = {entity.topic: entity for entity in node.publishers if entity.topic not in OF_EVERY_NODE}
    for name, entity in found.items():
        yield Endpoint(name=name, type=_type_name(entity.msg_type), quality=_words(entity.qos_profile))
    for name, type_name in OPTIONAL_TYPES.items():
        if name not in found:
            yield Endpoint(name=name, type=type_name, quality=_words(qos.RESULT))
    with_model = NodeConfig(depth_source=FUSED, depth_model=DepthModelConfig(cameras=FURTHER))
    for name, message_type in depth_topics(with_model).items():
        yield Endpoint(name=name, type=_type_name(message_type), quality=_words(qos.PICTURE))


def offered(node: N3dNode) -> Iterator[Endpoint]:
    """The node's own services and actions.

    Args:
        node: a node.

    Yields:
        Its endpoints.
    """
    for entity in node.services:
        if entity.srv_name.startswith("~/"):
            yield Endpoint(name=entity.srv_name, type=_type_name(entity.srv_type), quality=_words(entity.qos_profile))
    home = node.get_fully_qualified_name()
    for name, types in get_action_server_names_and_types_by_node(node, node.get_name(), node.get_namespace()):
        yield Endpoint(name=name.replace(home, "~", 1), type=types[0], quality=_words(qos.REQUEST))


@contextmanager
def _node() -> Iterator[N3dNode]:
    """An active node with default parameters that nobody hears."""
    context = Context()
    rclpy.init(context=context, domain_id=int(os.environ.get("N3D_REFERENCE_DOMAIN", ISOLATED_DOMAIN)))
    node = N3dNode(
        context=context,
        parameter_overrides=[Parameter("grounder", value="geometric")],
        use_global_arguments=False,
    )
    try:
        node.autostart()
        yield node
    finally:
        node.close()
        node.destroy_node()
        rclpy.shutdown(context=context)


def _own_name(topic: str) -> str:
    """A subscription's name as it is written in the code: relative, or absolute for what is the same on every robot."""
    relative = topic.removeprefix("/")
    return relative if relative in TOPICS else topic


def _type_name(message_type: Any) -> str:
    package, kind = message_type.__module__.split(".")[:2]
    return f"{package}/{kind}/{message_type.__name__}"


def _words(profile: Any) -> str:
    reliability = profile.reliability.name.lower().replace("_", " ")
    durability = profile.durability.name.lower().replace("_", " ")
    kept = f"newest {profile.depth}"
    return ", ".join([reliability, kept, *([durability] if durability != "volatile" else [])])


def _table(endpoints: Iterable[Endpoint]) -> str:
    order = list(TOPICS)
    known = sorted(endpoints, key=lambda one: order.index(one.name) if one.name in order else len(order))
    rows: list[Sequence[str]] = [
        (code(one.name), code(one.type), one.quality, TOPICS.get(one.name, "")) for one in dict.fromkeys(known)
    ]
    return table(("name", "type", "QoS", "meaning"), rows)
