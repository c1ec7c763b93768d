"""The camera's messages as bytes, of which only those that are shown are ever unpacked."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from n3d_ros.errors import InputError
from n3d_ros.frame import RgbdFrame
from n3d_ros.ros.frame_assembly import FrameAssembler, TransformLookup
from n3d_ros.ros.serialized import stamp_of_bytes

if TYPE_CHECKING:
    from rclpy.node import Node

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
OWN_DEPTH = ("depth/image", "depth/camera_info")  # what a node publishes of the depth that it finds
DEPTH_WORDS = ("depth", "range", "disparity")
MAX_KEPT = 24  # images of one topic: most of a second, so that the one the node has looked at is still there
MAX_KEPT_FOR_MODEL = 90  # three seconds: depth that a model finds without a GPU comes so much later than its image
MAX_KEPT_BYTES = 64_000_000  # of one topic
PAIR_SLOP_NS = 50_000_000  # between colour and depth of one moment


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraTopics:
    """Topics that a node listens to.

    Args:
        color: colour image.
        depth: depth image.
        color_info: calibration of the colour image.
        depth_info: that of the depth image; None: it has none of its own.
        types: full type by topic.
    """

    color: str
    depth: str
    color_info: str
    depth_info: str | None
    types: Mapping[str, str]


def camera_topics_of(
    subscribed: Mapping[str, Sequence[str]], color: str | None = None, depth: str | None = None
) -> CameraTopics | None:
    """The camera among the topics a node subscribes to.

    Args:
        subscribed: types by topic.
        color: name of the colour topic; None: the image topic that is not named like depth.
        depth: name of the depth topic; None: the one that is.

    Returns:
        The topics; None when there is no such pair.
    """
    types = {name: kinds[0] for name, kinds in subscribed.items() if kinds}
    images = sorted(name for name, kind in types.items() if kind in (IMAGE, COMPRESSED))
    infos = sorted(name for name, kind in types.items() if kind == CAMERA_INFO)
    depth = depth or next((name for name in images if _is_depth(name)), None)
    color = color or next((name for name in images if name != depth and not _is_depth(name)), None)
    if color is None or depth is None:
        return None
    color_info = _info_of(color, infos) or next((name for name in infos if not _is_depth(name)), None)
    if color_info is None:
        return None
    depth_info = _info_of(depth, infos) or next((name for name in infos if _is_depth(name)), None)
    types.setdefault(color, COMPRESSED if color.endswith("/compressed") else IMAGE)
    types.setdefault(depth, COMPRESSED if depth.endswith("/compressedDepth") else IMAGE)
    return CameraTopics(color=color, depth=depth, color_info=color_info, depth_info=depth_info, types=types)


def with_own_depth(
    subscribed: Mapping[str, Sequence[str]], published: Mapping[str, Sequence[str]], node: str
) -> dict[str, Sequence[str]]:
    """The topics to look at: those a node subscribes to, and the depth that it finds itself where it finds some.

    Args:
        subscribed: types by topic.
        published: types by topic.
        node: its full name.

    Returns:
        Types by topic; the node's own depth takes the place of a depth camera's, which it may have filled.
    """
    own = {name: kinds for name in OWN_DEPTH if (kinds := published.get(f"{node}/{name}")) is not None}
    if len(own) < len(OWN_DEPTH):
        return dict(subscribed)
    colour = {name: kinds for name, kinds in subscribed.items() if not _is_depth(name)}
    return {**colour, **{f"{node}/{name}": kinds for name, kinds in own.items()}}


def _is_depth(name: str) -> bool:
    """Whether a topic is named like depth."""
    return any(word in name.lower() for word in DEPTH_WORDS)


def _info_of(image: str, infos: Sequence[str]) -> str | None:
    """The calibration beside an image."""
    base = image.removesuffix("/compressedDepth").removesuffix("/compressed")
    beside = f"{base.rpartition('/')[0]}/camera_info"
    return beside if beside in infos else None


class Kept:
    """The newest messages of one topic, by stamp.

    Args:
        most: how many.
    """

    def __init__(self, most: int = MAX_KEPT) -> None:
        self._most = most
        self._messages: OrderedDict[int, bytes] = OrderedDict()

    def add(self, data: bytes) -> None:
        """Keeps a message; when time runs back, those of before are forgotten.

        Args:
            data: serialised.
        """
        try:
            stamp_ns = stamp_of_bytes(data)
        except InputError:
            return
        if self._messages and stamp_ns < next(reversed(self._messages)):
            self._messages.clear()
        self._messages[stamp_ns] = data
        fitting = max(2, MAX_KEPT_BYTES // max(1, len(data)))
        while len(self._messages) > min(self._most, fitting):
            self._messages.popitem(last=False)

    def clear(self) -> None:
        """Forgets all."""
        self._messages.clear()

    def stamps_ns(self) -> list[int]:
        """Stamps of what is kept, oldest first."""
        return list(self._messages)

    def nearest(self, stamp_ns: int, slop_ns: int) -> bytes | None:
        """The message nearest to a moment.

        Args:
            stamp_ns: the moment.
            slop_ns: how far off it may be.

        Returns:
            The serialised message; None when none is near enough.
        """
        if not self._messages:
            return None
        best = min(self._messages, key=lambda one: abs(one - stamp_ns))
        return self._messages[best] if abs(best - stamp_ns) <= slop_ns else None

    def newest(self) -> bytes | None:
        """The newest message."""
        return next(reversed(self._messages.values())) if self._messages else None


class CameraFeed:
    """Subscriptions to one camera.

    Args:
        node: that subscribes.
        topics: what to listen to.
    """

    def __init__(self, node: Node, topics: CameraTopics) -> None:
        from rclpy.qos import QoSProfile, QoSReliabilityPolicy
        from sensor_msgs.msg import CameraInfo, CompressedImage, Image

        self.topics = topics
        self._node = node
        self._kinds = {IMAGE: Image, COMPRESSED: CompressedImage, CAMERA_INFO: CameraInfo}
        self._assembler = FrameAssembler(color_topic=topics.color, depth_topic=topics.depth)
        names = {"color": topics.color, "depth": topics.depth, "color_info": topics.color_info}
        if topics.depth_info is not None:
            names["depth_info"] = topics.depth_info
        self._names = names
        most = MAX_KEPT_FOR_MODEL if topics.depth.endswith("/" + OWN_DEPTH[0]) else MAX_KEPT
        self._kept = {role: Kept(most) for role in names}
        newest_only = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT)
        self._subscriptions = [
            node.create_subscription(self._kind(role), name, self._kept[role].add, newest_only, raw=True)
            for role, name in names.items()
        ]

    def frame(self, stamp_ns: int | None, lookup: TransformLookup) -> RgbdFrame | None:
        """The frame of a moment, else the newest.

        Args:
            stamp_ns: stamp of the image wanted; None: the newest.
            lookup: tf, asked when depth is to be registered.

        Returns:
            The frame; None when no pair has come.

        Raises:
            N3dError: the messages cannot be used.
        """
        color = self._kept["color"].nearest(stamp_ns, 0) if stamp_ns is not None else None
        if color is None:
            color = self._newest_color_with_depth()
        if color is None:
            return None
        depth = self._kept["depth"].nearest(stamp_of_bytes(color), PAIR_SLOP_NS)
        info, depth_info = self._newest("color_info"), self._newest("depth_info")
        if depth is None or info is None:
            return None
        return self._assembler.assemble(
            self._unpacked("color", color), self._unpacked("depth", depth), info, depth_info, lookup
        )

    def clear(self) -> None:
        """Forgets the images, as after a jump in time."""
        for kept in self._kept.values():
            kept.clear()

    def close(self) -> None:
        """Ends the subscriptions."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []

    def _newest_color_with_depth(self) -> bytes | None:
        """The newest colour image whose depth has come too."""
        for stamp_ns in reversed(self._kept["color"].stamps_ns()):
            if self._kept["depth"].nearest(stamp_ns, PAIR_SLOP_NS) is not None:
                return self._kept["color"].nearest(stamp_ns, 0)
        return None

    def _newest(self, role: str) -> Any:
        """The newest message of a topic, unpacked; None when none came."""
        kept = self._kept.get(role)
        data = None if kept is None else kept.newest()
        return None if data is None else self._unpacked(role, data)

    def _unpacked(self, role: str, data: bytes) -> Any:
        from rclpy.serialization import deserialize_message

        return deserialize_message(data, self._kind(role))

    def _kind(self, role: str) -> Any:
        """The message class of a topic."""
        return self._kinds[CAMERA_INFO if role.endswith("info") else self.topics.types[self._names[role]]]
