"""Gathers the facts of a running system over ROS. Every wait is bounded, and nothing is asked that would disturb."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import rclpy

from n3d_ros.errors import N3dError
from n3d_ros.inference.depth_source import MODEL
from n3d_ros.ros.camera_presets import CameraPreset
from n3d_ros.ros.doctor import host
from n3d_ros.ros.doctor.contents import assembled, calibration_of, nearest_pair, picture_of, unreadable
from n3d_ros.ros.doctor.graph import Graph, own_name
from n3d_ros.ros.doctor.interfaces import interface_differences
from n3d_ros.ros.doctor.listening import Ear, TransformEar
from n3d_ros.ros.doctor.machine import Installation
from n3d_ros.ros.doctor.node_facts import NodeEar
from n3d_ros.ros.doctor.roles import Chosen, choose_topics, without_own
from n3d_ros.ros.doctor.snapshot import IMAGE_ROLES, INFO_OF, Heard, Snapshot, Topic, Transforms
from n3d_ros.ros.frame_assembly import FrameAssembler, FrameConfig
from n3d_ros.ros.message_types import message_class
from n3d_ros.ros.session import executor_of, ros_node, unique_name
from n3d_ros.ros.transport import OLD_PROFILE_VARIABLE, PROFILE_VARIABLE

DOCTOR = "n3d_doctor"
SETTLE_S = (1.5, 0.6, 5.0)  # discovery: at least, without change, at most
FIRST_MESSAGES_S = 0.3  # after a subscription was made, until its messages come evenly
LOOK_EVERY_S = 0.25  # for topics that are found late: Fast DDS announces itself every three seconds by default
SWAPPED = ("16uc1", "32fc1", "mono16")
FRAME_PARAMETERS = MappingProxyType(
    {
        "color_rectified": "rgb.rectified",
        "depth_rectified": "depth.rectified",
        "depth_unit_m": "depth.unit_m",
        "depth_min_m": "depth.min_m",
        "depth_max_m": "depth.max_m",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be examined.

    Args:
        node: full name of the node.
        seconds: how long topics are listened to.
        topics: names that the user gave, by role.
        preset: camera that the user named.
        disk_path: where recordings would be written.
    """

    node: str = "/n3d"
    seconds: float = 3.0
    topics: Mapping[str, str | None] = field(default_factory=lambda: MappingProxyType({}))
    preset: CameraPreset | None = None
    disk_path: str = "."


def gather(request: Request) -> Snapshot:
    """The facts.

    Args:
        request: what is to be examined.

    Returns:
        The snapshot; takes its seconds and a few more.
    """
    before = host.processor_times()
    with ros_node(unique_name(DOCTOR)) as node, executor_of(node) as executor:
        gatherer = _Gatherer(node, executor, request)
        snapshot = gatherer.listen()
    return replace(snapshot, host=host.examine_host(before, request.disk_path))


class _Gatherer:
    """One examination.

    Args:
        node: the examination's own.
        executor: that has it.
        request: what is to be examined.
    """

    def __init__(self, node: Any, executor: Any, request: Request) -> None:
        self._node = node
        self._executor = executor
        self._request = request
        self._name = "/" + request.node.strip("/")
        self._uses_sim_time = False
        self._transforms = TransformEar(node)
        from rosgraph_msgs.msg import Clock

        self._clock = Ear(node, Clock, "/clock", time.time_ns, has_header=False)
        self._graph = Graph(node)
        self._node_ear = NodeEar(node, self._name)
        self._ears: dict[str, Ear] = {}
        self._by_name: dict[str, Ear] = {}

    def listen(self) -> Snapshot:
        """Waits for discovery, asks the node, listens, and puts everything together."""
        self._settle()
        count = self._graph.node_names().count(self._name)
        subscribed = self._graph.subscribed_by(self._name) if count else {}
        if count:
            self._node_ear.ask()
            self._spin_while(self._node_ear.is_waiting, self._node_ear.PATIENCE_S)
        parameters = self._node_ear.parameters
        self._uses_sim_time = bool(parameters.get("use_sim_time", False))
        self._spin_for(FIRST_MESSAGES_S if self._subscribe(subscribed) else 0.0)
        self._restart_counting()
        self._listen_on(subscribed)
        published = self._graph.published()
        return self._snapshot(self._choose(published, subscribed), published, count)

    def _listen_on(self, subscribed: Mapping[str, tuple[str, ...]]) -> None:
        """Listens for the time asked for; once more when a topic was found late, as those of slow announcers are."""
        for _ in range(2):
            late = False
            end_s = time.monotonic() + self._request.seconds
            while (rest_s := end_s - time.monotonic()) > 0:
                self._spin_for(min(LOOK_EVERY_S, rest_s))
                late = self._subscribe(subscribed) or late
            if not late:
                return
            self._restart_counting()

    def _restart_counting(self) -> None:
        for ear in (*self._ears.values(), self._clock):
            ear.restart()

    def _choose(
        self, published: Mapping[str, tuple[str, ...]], subscribed: Mapping[str, tuple[str, ...]]
    ) -> dict[str, Chosen]:
        """The topics of each role as the graph is now."""
        own = (self._name, *self._graph.others_of_this_package(self._name))
        return choose_topics(
            published=without_own(published, own),
            subscribed=subscribed,
            wanted=self._request.topics,
            preset=self._request.preset,
            with_depth=self._node_ear.parameters.get("depth_source") != MODEL,
        )

    # --------------------------------------------------------------------------------------------------------- waiting

    def _settle(self) -> None:
        """Spins until the graph stays as it is."""
        least_s, quiet_s, most_s = SETTLE_S
        began_s = changed_s = time.monotonic()
        known: Any = None
        while (now_s := time.monotonic()) - began_s < most_s:
            present = (self._graph.node_names(), self._graph.published())
            if present != known:
                known, changed_s = present, now_s
            if now_s - began_s > least_s and now_s - changed_s > quiet_s:
                return
            self._spin_for(0.1)

    def _spin_for(self, seconds: float) -> None:
        self._spin_while(lambda: True, seconds)

    def _spin_while(self, condition: Any, most_s: float) -> None:
        deadline_s = time.monotonic() + most_s
        while condition() and (rest_s := deadline_s - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=min(0.05, rest_s))

    def _now_ns(self) -> int:
        """The node's present: of /clock where it uses that."""
        if self._uses_sim_time and self._clock.raw:
            clock = self._clock.newest().clock
            return int(clock.sec) * 1_000_000_000 + int(clock.nanosec)
        return time.time_ns()

    # ------------------------------------------------------------------------------------------------------- listening

    def _subscribe(self, subscribed: Mapping[str, tuple[str, ...]]) -> bool:
        """Listens to the topics that are there and have the type they must have; whether any of them is new."""
        published, known = self._graph.published(), dict(self._ears)
        for role, topic in self._choose(published, subscribed).items():
            if topic.type_name in published.get(topic.name, ()):
                self._ears[role] = self._ear(topic)
        return self._ears != known

    def _ear(self, topic: Chosen) -> Ear:
        """What listens to a topic: one a topic, also where roles share it."""
        if topic.name not in self._by_name:
            message_type = message_class(topic.type_name)
            self._by_name[topic.name] = Ear(self._node, message_type, topic.name, self._now_ns)
        return self._by_name[topic.name]

    def _snapshot(self, chosen: Mapping[str, Chosen], published: Mapping[str, tuple[str, ...]], count: int) -> Snapshot:
        names = self._graph.names_by_gid(["/tf", "/tf_static"])
        transforms = self._transforms.told(names)
        topics = {role: self._topic(role, topic) for role, topic in chosen.items()}
        others = {name: self._graph.topic(name) for name in self._graph.related(self._name)}
        others["/clock"] = replace(self._graph.topic("/clock"), heard=self._clock.heard())
        assembly, reason = self._assembly(chosen, transforms)
        snapshot = Snapshot(
            seconds=self._request.seconds,
            topics=MappingProxyType(topics),
            others=MappingProxyType(others),
            graph=MappingProxyType(dict(published)),
            transforms=transforms,
            node=self._node_ear.facts(count, self._graph),
            installation=self._installation(),
            assembly=assembly,
            assembly_reason=reason,
        )
        return _unswapped(snapshot)

    def _topic(self, role: str, chosen: Chosen) -> Topic:
        ear = self._ears.get(role)
        heard = None if ear is None else self._heard(role, ear)
        topic = self._graph.topic(chosen.name)
        return replace(topic, role=role, expected_type=chosen.type_name, heard=heard)

    def _heard(self, role: str, ear: Ear) -> Heard:
        heard = ear.heard()
        try:
            message = ear.newest()
        except N3dError as error:
            return replace(heard, **unreadable(role, error.message))
        if message is None:
            return heard
        if role in IMAGE_ROLES:
            unit_m = float(self._node_ear.parameters.get("depth.unit_m", 0.0) or 0.0)
            picture = picture_of(message, role, byte_count=len(ear.raw[-1][1]), unit_m=unit_m)
            return replace(heard, picture=picture)
        return replace(heard, calibration=calibration_of(message))

    def _assembly(self, chosen: Mapping[str, Chosen], transforms: Transforms) -> tuple[str | None, str]:
        """What becomes of the newest pair; None without one."""
        color, depth = (self._ears.get(role) for role in IMAGE_ROLES)
        if color is None or depth is None:
            return None, ""
        pair = nearest_pair(tuple(color.raw), tuple(depth.raw))
        if pair is None:
            return None, ""
        try:
            messages = color.message(pair[0]), depth.message(pair[1])
        except N3dError as error:
            return error.message, error.reason
        infos = [
            self._info(ear) if (ear := self._ears.get(INFO_OF[role])) is not None else None for role in IMAGE_ROLES
        ]
        known = self._node_ear.parameters
        settings = {name: known[parameter] for name, parameter in FRAME_PARAMETERS.items() if parameter in known}

        def make() -> FrameAssembler:
            return FrameAssembler(
                FrameConfig(**settings), color_topic=chosen["color"].name, depth_topic=chosen["depth"].name
            )

        return assembled(messages, infos, transforms.buffer.lookup, make)

    @staticmethod
    def _info(ear: Ear) -> Any:
        """The newest calibration; None when there is none that can be read."""
        with contextlib.suppress(N3dError):
            return ear.newest()
        return None

    def _installation(self) -> Installation:
        environment = {name: os.environ[name] for name in host.MIDDLEWARE_VARIABLES if os.environ.get(name)}
        named = environment.get(PROFILE_VARIABLE) or environment.get(OLD_PROFILE_VARIABLE)
        return Installation(
            python=host.python_version(),
            versions=host.package_versions(),
            environment=environment,
            middleware=rclpy.get_rmw_implementation_identifier(),
            own_process=host.process_facts(os.getpid()),
            profile_exists=None if named is None else os.access(named, os.R_OK) and Path(named).is_file(),
            interface_differences=interface_differences(),
            interface_hashes=self._graph.own_hashes(own_name(self._node)),
            has_gpu=host.has_gpu(),
            model_is_there=host.model_is_there(str(self._node_ear.parameters.get("model", "") or "")),
        )


def _unswapped(snapshot: Snapshot) -> Snapshot:
    """The snapshot with roles told by the encodings where the names did not say which image is depth."""
    color, depth = snapshot.picture("color"), snapshot.picture("depth")
    if color is None or depth is not None or "depth" in snapshot.topics:
        return snapshot
    if color.encoding.lower() not in SWAPPED:
        return snapshot
    topics = dict(snapshot.topics)
    for a, b in (("color", "depth"), ("color_info", "depth_info")):
        if a in topics:
            topics[b] = replace(topics.pop(a), role=b)
    return replace(snapshot, topics=MappingProxyType(topics))
