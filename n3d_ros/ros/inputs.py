"""The node's subscriptions: images and calibrations in, pairs out, with a reason for every image that is not used.

A node whose depth a model finds subscribes to colour alone; its pairs have no depth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from rclpy.qos import qos_policy_name_from_kind
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from n3d_ros.errors import N3dError
from n3d_ros.inference.depth_source import MODEL
from n3d_ros.ros import qos
from n3d_ros.ros.calibrations import Calibrations
from n3d_ros.ros.color_stream import ColorStream
from n3d_ros.ros.config import NodeConfig
from n3d_ros.ros.conversions import stamp_to_ns
from n3d_ros.ros.pairing import DropReport, RgbdPair, RgbdPairer

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble, where it has its former name
    from rclpy.qos_event import SubscriptionEventCallbacks

if TYPE_CHECKING:
    from rclpy.node import Node

COLOR_TOPICS = {"raw": ("rgb/image", Image), "compressed": ("rgb/image/compressed", CompressedImage)}
DEPTH_TOPICS = {"raw": ("depth/image", Image), "compressedDepth": ("depth/image/compressedDepth", CompressedImage)}
COLOR_INFO_TOPIC = "rgb/camera_info"
DEPTH_INFO_TOPIC = "depth/camera_info"


class ImageInputs:
    """Subscribes to colour, depth and their calibrations, and pairs them.

    Args:
        node: the node that subscribes.
        config: transports and pairing.
        on_pair: given each pair, with its calibrations; called in the executor's thread.
        on_drop: given the reason and a sentence for every image that is not used.
    """

    def __init__(
        self, node: Node, config: NodeConfig, *, on_pair: Callable[[RgbdPair], None], on_drop: DropReport
    ) -> None:
        self._node = node
        self._on_pair = on_pair
        self._on_drop = on_drop
        self._color_infos, self._depth_infos = Calibrations(), Calibrations()
        color_topic, color_type = COLOR_TOPICS[config.rgb.transport]
        depth_topic, depth_type = DEPTH_TOPICS[config.depth.transport]
        if config.depth_source == MODEL:
            colors = ColorStream(config.sync, on_drop=on_drop)
            self._pairer: RgbdPairer | ColorStream = colors
            self._subscriptions = [
                subscribe_sensor(node, CameraInfo, COLOR_INFO_TOPIC, self._color_infos.add),
                subscribe_sensor(node, color_type, color_topic, partial(self._add, colors.add_color)),
            ]
            return
        pairer = self._pairer = RgbdPairer(config.sync, on_drop=on_drop)
        self._subscriptions = [
            subscribe_sensor(node, CameraInfo, COLOR_INFO_TOPIC, self._color_infos.add),
            subscribe_sensor(node, CameraInfo, DEPTH_INFO_TOPIC, self._depth_infos.add),
            subscribe_sensor(node, color_type, color_topic, partial(self._add, pairer.add_color)),
            subscribe_sensor(node, depth_type, depth_topic, partial(self._add, pairer.add_depth)),
        ]

    def close(self) -> None:
        """Ends the subscriptions."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []
        self._pairer.clear()

    def clear(self) -> None:
        """Forgets what waits for a partner, for instance when time jumps back."""
        self._pairer.clear()

    @property
    def newest_ns(self) -> int | None:
        """The latest stamp of an image since the last jump; None when none has come."""
        return self._pairer.newest_ns

    @property
    def topics(self) -> tuple[str, ...]:
        """Full names of the topics that are subscribed, after remapping."""
        return tuple(subscription.topic_name for subscription in self._subscriptions)

    def explain(self) -> str:
        """Why no pairs are made: who publishes each topic, and whether it fits.

        Returns:
            A few sentences.
        """
        found = {topic: self._node.get_publishers_info_by_topic(topic) for topic in self.topics}
        silent = ", ".join(topic for topic, publishers in found.items() if not publishers)
        parts = [_published(topic, publishers) for topic, publishers in found.items() if publishers]
        if silent:
            parts.append(f"Nobody publishes {silent}; remap to your camera's topics.")
        mend = self._pairer.explain()
        return " ".join([*parts, mend] if mend else parts)

    def _add(self, add: Callable[[int, Any], RgbdPair | None], message: Any) -> None:
        try:
            pair = add(stamp_to_ns(message.header.stamp), message)
        except N3dError as error:
            self._on_drop(error.reason, error.message)
            return
        if pair is not None:
            color_info = self._color_infos.at(pair.color_stamp_ns)
            depth_info = self._depth_infos.at(pair.depth_stamp_ns)
            self._on_pair(replace(pair, color_info=color_info, depth_info=depth_info))


def _published(topic: str, publishers: Sequence[Any]) -> str:
    names = ", ".join(f"{info.node_name} ({info.qos_profile.reliability.name.lower()})" for info in publishers[:3])
    return f"{topic}: published by {names}."


def subscribe_sensor(node: Node, message_type: Any, topic: str, callback: Callable[[Any], None]) -> Any:
    """Subscribes as cameras publish: best effort, the newest kept; each policy can be overridden.

    Args:
        node: the node that subscribes.
        message_type: of the topic.
        topic: its name before remapping.
        callback: given each message, in the executor's thread.

    Returns:
        The subscription; a publisher that does not fit is warned of.
    """

    def incompatible(event: Any) -> None:
        policy = qos_policy_name_from_kind(event.last_policy_kind)
        node.get_logger().warning(qos.mend_for(policy, node.resolve_topic_name(topic)))

    return node.create_subscription(
        message_type,
        topic,
        callback,
        qos.copy_of(qos.SENSOR),
        event_callbacks=SubscriptionEventCallbacks(incompatible_qos=incompatible),
        qos_overriding_options=qos.overridable(),
    )
