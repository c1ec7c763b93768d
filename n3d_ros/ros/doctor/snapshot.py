"""The facts of one examination, as they were gathered; checks read nothing else. Needs no ROS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from n3d_ros.geometry.transform_buffer import TransformBuffer
from n3d_ros.ros.doctor.machine import Facts, Host, Installation, Process, nothing

ROLES = ("color", "color_info", "depth", "depth_info")
IMAGE_ROLES = ("color", "depth")
INFO_OF = MappingProxyType({"color": "color_info", "depth": "depth_info"})
NODE_TOPICS = MappingProxyType(
    {"color": "rgb/image", "color_info": "rgb/camera_info", "depth": "depth/image", "depth_info": "depth/camera_info"}
)
"""What the node calls the topic of each role before remapping."""

NANOSECONDS = 1_000_000_000
INFINITE_NS = 2**62  # durations from here on are "infinite"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A publisher or a subscription as the graph tells of it.

    Args:
        node: full name of its node.
        type_name: such as "sensor_msgs/msg/Image".
        type_hash: of the type's definition; empty: unknown.
        reliability: "reliable", "best_effort" or "unknown".
        durability: "volatile", "transient_local" or "unknown".
        deadline_ns: longest time between messages that is offered or asked for.
        liveliness: "automatic" or "manual_by_topic".
        lease_ns: of liveliness.
        gid: of the endpoint, hexadecimal.
        is_local: whether it is on this machine; None: unknown.
        process: where it runs; None: unknown.
    """

    node: str
    type_name: str = ""
    type_hash: str = ""
    reliability: str = "reliable"
    durability: str = "volatile"
    deadline_ns: int = INFINITE_NS
    liveliness: str = "automatic"
    lease_ns: int = INFINITE_NS
    gid: str = ""
    is_local: bool | None = None
    process: Process | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A CameraInfo and whether it can be used.

    Args:
        width: pixels.
        height: pixels.
        k: nine numbers of K, by row.
        d: distortion coefficients.
        model: name of the distortion model.
        frame_id: of its header.
        error: why it cannot be used; empty: it can.
    """

    width: int
    height: int
    k: tuple[float, ...]
    d: tuple[float, ...] = ()
    model: str = "plumb_bob"
    frame_id: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One image and what it holds.

    Args:
        width: pixels; 0: unknown, because it could not be decoded.
        height: pixels.
        encoding: of a raw image, or the format of a compressed one.
        is_compressed: whether it came compressed.
        frame_id: of its header.
        byte_count: of its message.
        error: why it cannot be read; empty: it can.
        median_depth_m: of depth, in the unit that the node would take; None: a colour image, or no depth at all.
        depth_share: pixels with depth of all, 0 to 1; None: a colour image.
    """

    width: int
    height: int
    encoding: str
    is_compressed: bool = False
    frame_id: str = ""
    byte_count: int = 0
    error: str = ""
    median_depth_m: float | None = None
    depth_share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What came on one topic while it was listened to.

    Args:
        count: messages that came.
        lost: messages that publishers numbered and that did not come; None: not told by this ROS.
        seconds: time listened.
        stamps_ns: of the headers, in the order they came; empty where there is no header.
        ages_s: clock minus stamp on arrival, seconds, one for each stamp.
        picture: the newest image, on an image topic.
        calibration: the newest CameraInfo.
    """

    count: int = 0
    lost: int | None = None
    seconds: float = 0.0
    stamps_ns: tuple[int, ...] = ()
    ages_s: tuple[float, ...] = ()
    picture: Picture | None = None
    calibration: Calibration | None = None

    @property
    def rate_hz(self) -> float:
        """Messages a second."""
        return self.count / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One topic: who is on it and what came.

    Args:
        name: full name.
        role: of ``ROLES``; empty: none of them.
        expected_type: that the node takes.
        publishers: of it.
        subscriptions: to it, our own left out.
        heard: what came; None: it was not listened to.
    """

    name: str
    role: str = ""
    expected_type: str = ""
    publishers: tuple[Endpoint, ...] = ()
    subscriptions: tuple[Endpoint, ...] = ()
    heard: Heard | None = None

    @property
    def nodes(self) -> str:
        """The publishing nodes, for people."""
        return ", ".join(sorted({one.node for one in self.publishers})) or "nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transforms:
    """What tf told.

    Args:
        buffer: all of it.
        parents: parents of each frame.
        senders: publishers of each frame's transform, by node name or gid.
        static: frames whose transform came as static.
        moving: frames whose transform came on /tf.
        newest_ns: newest stamp on /tf; 0: none.
    """

    buffer: TransformBuffer = field(default_factory=TransformBuffer)
    parents: Mapping[str, frozenset[str]] = field(default_factory=nothing)
    senders: Mapping[str, frozenset[str]] = field(default_factory=nothing)
    static: frozenset[str] = frozenset()
    moving: frozenset[str] = frozenset()
    newest_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the node reported of its frames.

    Args:
        message_count: reports that came.
        received: pairs received so far.
        used: pairs processed so far.
        dropped: by reason, since the first report that came.
        dropped_before: by reason, in the first report.
        total_ms: of the newest processed pair; None: none.
        age_at_publish_ms: of the newest processed pair; None: unknown.
        message: of the newest frame that was refused.
        backend: that finds the objects.
        device: it runs on.
    """

    message_count: int = 0
    received: int = 0
    used: int = 0
    dropped: Mapping[str, int] = field(default_factory=nothing)
    dropped_before: Mapping[str, int] = field(default_factory=nothing)
    total_ms: float | None = None
    age_at_publish_ms: float | None = None
    message: str = ""
    backend: str = ""
    device: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """The node ``n3d``, as it looks from outside.

    Args:
        name: full name looked for.
        count: nodes of that name.
        others: full names of other nodes of this package.
        state: lifecycle state; empty: it did not tell.
        parameters: value by name, those that checks need; empty: it did not tell.
        untold: names of parameters that it was asked for and did not tell.
        diagnostics: (level 0 to 3, name, message) of its entries on /diagnostics.
        report: of its frames; None: none came.
        all_nodes: full names of all nodes, each as often as it is there.
    """

    name: str = "/n3d"
    count: int = 0
    others: tuple[str, ...] = ()
    state: str = ""
    parameters: Facts = field(default_factory=nothing)
    untold: tuple[str, ...] = ()
    diagnostics: tuple[tuple[int, str, str], ...] = ()
    report: Report | None = None
    all_nodes: tuple[str, ...] = ()

    @property
    def is_there(self) -> bool:
        """Whether such a node runs."""
        return self.count > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything that checks look at.

    Args:
        seconds: time listened.
        topics: by role, those that could be told.
        others: further topics that the node or the system depends on (/tf, /tf_static, /clock, the node's own).
        graph: types of all topics that somebody publishes, by name.
        transforms: what tf told.
        node: the node, if it runs.
        host: this machine.
        installation: what is installed here.
        assembly: what became of a pair of images put together as the node does it: empty: it worked, None: no pair.
        assembly_reason: key of the drop it would be counted as.
    """

    seconds: float = 3.0
    topics: Mapping[str, Topic] = field(default_factory=nothing)
    others: Mapping[str, Topic] = field(default_factory=nothing)
    graph: Mapping[str, tuple[str, ...]] = field(default_factory=nothing)
    transforms: Transforms = field(default_factory=Transforms)
    node: NodeFacts = field(default_factory=NodeFacts)
    host: Host = field(default_factory=Host)
    installation: Installation = field(default_factory=Installation)
    assembly: str | None = None
    assembly_reason: str = ""

    def picture(self, role: str) -> Picture | None:
        """The newest image of a role.

        Args:
            role: "color" or "depth".

        Returns:
            None when none came.
        """
        heard = self.heard(role)
        return None if heard is None else heard.picture

    def calibration(self, role: str) -> Calibration | None:
        """The newest calibration of an image's role.

        Args:
            role: "color" or "depth".

        Returns:
            None when none came.
        """
        heard = self.heard(INFO_OF[role])
        return None if heard is None else heard.calibration

    def heard(self, role: str) -> Heard | None:
        """What came on the topic of a role.

        Args:
            role: of ``ROLES``.

        Returns:
            None when it has no topic.
        """
        topic = self.topics.get(role)
        return None if topic is None else topic.heard

    def parameter(self, name: str, default: Any) -> Any:
        """A parameter of the node.

        Args:
            name: dotted.
            default: where the node did not tell.

        Returns:
            Its value.
        """
        return self.node.parameters.get(name, default)

    def with_topic(self, role: str, **changes: Any) -> Snapshot:
        """The snapshot with the topic of a role changed.

        Args:
            role: of ``ROLES``.
            changes: fields of ``Topic``.

        Returns:
            A new one.
        """
        topics = {**self.topics, role: replace(self.topics[role], **changes)}
        return replace(self, topics=MappingProxyType(topics))
