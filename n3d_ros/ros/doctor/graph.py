"""The graph of a running system as facts: topics, their ends, nodes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

from n3d_ros.ros.doctor.host import process_of_gid
from n3d_ros.ros.doctor.machine import Process
from n3d_ros.ros.doctor.snapshot import INFINITE_NS, Endpoint, Topic

ALWAYS = ("/tf", "/tf_static")
QUERY_TYPE = "n3d_msgs/srv/SpatialQuery"


def own_name(node: Any) -> str:
    """Full name of a node.

    Args:
        node: of rclpy.

    Returns:
        With its namespace.
    """
    return str(node.get_fully_qualified_name())


class Graph:
    """What one node sees of the others.

    Args:
        node: whose view it is; its own ends are left out.
    """

    def __init__(self, node: Any) -> None:
        self._node = node
        self._places: dict[bytes, tuple[bool | None, Process | None]] = {}

    def node_names(self) -> list[str]:
        """Full names of all other nodes, each as often as it is there.

        Returns:
            Names, sorted.
        """
        pairs = self._node.get_node_names_and_namespaces()
        names = [f"{namespace.rstrip('/')}/{name}" for name, namespace in pairs]
        own = own_name(self._node)
        return sorted(name for name in names if name != own)

    def published(self) -> dict[str, tuple[str, ...]]:
        """Types of every topic that another node publishes.

        Returns:
            By name.
        """
        own = own_name(self._node)
        return {
            name: tuple(types)
            for name, types in self._node.get_topic_names_and_types()
            if any(_node_of(info) != own for info in self._node.get_publishers_info_by_topic(name))
        }

    def subscribed_by(self, name: str) -> dict[str, tuple[str, ...]]:
        """Types of every topic that a node subscribes to.

        Args:
            name: full name of the node.

        Returns:
            By topic; empty when it is not there any more.
        """
        namespace, _, short = name.rpartition("/")
        try:
            found = self._node.get_subscriber_names_and_types_by_node(short, namespace or "/")
        except Exception:  # rclpy's error for a node that has gone is not exported
            return {}
        return {topic: tuple(types) for topic, types in found}

    def related(self, name: str) -> list[str]:
        """Topics to look at besides the images: tf, and what a node publishes under its own name.

        Args:
            name: full name of the node.

        Returns:
            Topics.
        """
        own = [topic for topic, _ in self._node.get_topic_names_and_types() if topic.startswith(f"{name}/")]
        return [*ALWAYS, *sorted(own)]

    def others_of_this_package(self, name: str) -> tuple[str, ...]:
        """Nodes that answer questions as ours does.

        Args:
            name: full name of the node to leave out.

        Returns:
            Full names.
        """
        services = self._node.get_service_names_and_types()
        found = [service.removesuffix("/query") for service, types in services if QUERY_TYPE in types]
        return tuple(sorted(one for one in found if one != name))

    def topic(self, name: str) -> Topic:
        """A topic with its ends.

        Args:
            name: full name.

        Returns:
            The topic, our own ends left out.
        """
        return Topic(
            name=name,
            publishers=self._ends(self._node.get_publishers_info_by_topic(name)),
            subscriptions=self._ends(self._node.get_subscriptions_info_by_topic(name)),
        )

    def names_by_gid(self, topics: Iterable[str]) -> dict[str, str]:
        """Nodes by the identifiers of their publishers.

        Args:
            topics: on which they publish.

        Returns:
            Full name by identifier, hexadecimal.
        """
        infos = [info for topic in topics for info in self._node.get_publishers_info_by_topic(topic)]
        return {bytes(info.endpoint_gid).hex(): _node_of(info) for info in infos}

    def own_hashes(self, own: str) -> dict[str, str]:
        """Type hashes of what this process itself has on the graph.

        Args:
            own: full name of the node.

        Returns:
            Hash by type; empty where ROS does not tell (Humble).
        """
        found = {}
        for topic, _ in self._node.get_topic_names_and_types():
            for info in self._node.get_subscriptions_info_by_topic(topic):
                if _node_of(info) == own and (text := _hash_of(info)):
                    found[str(info.topic_type)] = text
        return found

    def _ends(self, infos: Sequence[Any]) -> tuple[Endpoint, ...]:
        own = own_name(self._node)
        return tuple(self._end(info) for info in infos if _node_of(info) != own)

    def _end(self, info: Any) -> Endpoint:
        qos, gid = info.qos_profile, bytes(info.endpoint_gid)
        key = gid[:12]
        if key not in self._places:
            self._places[key] = process_of_gid(gid, self._own_gid())
        is_local, process = self._places[key]
        return Endpoint(
            node=_node_of(info),
            type_name=str(info.topic_type),
            type_hash=_hash_of(info),
            reliability=qos.reliability.name.lower(),
            durability=qos.durability.name.lower(),
            deadline_ns=_duration_ns(qos.deadline),
            liveliness=qos.liveliness.name.lower(),
            lease_ns=_duration_ns(qos.liveliness_lease_duration),
            gid=gid.hex(),
            is_local=is_local,
            process=process,
        )

    def _own_gid(self) -> bytes:
        """The identifier of an end of this very node; zeros when it has none yet."""
        for info in self._node.get_publishers_info_by_topic("/rosout"):
            gid = bytes(info.endpoint_gid)
            if _node_of(info) == own_name(self._node) and int.from_bytes(gid[4:6], "little") == os.getpid() & 0xFFFF:
                return gid
        return bytes(16)


def _node_of(info: Any) -> str:
    return f"{info.node_namespace.rstrip('/')}/{info.node_name}"


def _hash_of(info: Any) -> str:
    value = getattr(info, "topic_type_hash", None)
    return "" if value is None or getattr(value, "version", 1) <= 0 else str(value)


def _duration_ns(duration: Any) -> int:
    """Nanoseconds; 0 stands for "no limit" as well."""
    nanoseconds = int(duration.nanoseconds)
    return INFINITE_NS if nanoseconds <= 0 or nanoseconds >= INFINITE_NS else nanoseconds
