"""Listening to and sending tf: through tf2_ros where it imports, else with our own buffer and two subscriptions.

Both listeners answer the same calls with the same types, so nobody else knows which one runs.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
from collections.abc import Iterable
from typing import Any, Protocol

from n3d_ros.errors import TransformError
from n3d_ros.geometry.transform_buffer import TransformBuffer
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.ros.conversions import msg_to_transform, store_tf_message

logger = logging.getLogger(__name__)

DEFAULT_CACHE_S = 10.0  # seconds, tf2's default
TF_DEPTH = 100  # messages, as tf2_ros
MAX_COMPLAINTS = 20  # different sentences about broken transforms that are logged


class TransformSource(Protocol):
    """Where transforms come from; safe to use from another thread than the executor's."""

    def lookup(self, target: str, source: str, stamp_ns: int | None = None) -> RigidTransform:
        """``target_T_source`` at a stamp, without waiting.

        Args:
            target: frame to express points in.
            source: frame the points are given in.
            stamp_ns: nanoseconds; None: the newest time at which the whole way is known.

        Returns:
            The transform.

        Raises:
            TransformError: not known, or not at that time.
        """
        ...

    def frames(self) -> tuple[str, ...]:
        """All frame names known, sorted."""
        ...

    def clear(self, after_ns: int | None = None) -> None:
        """Forgets what was heard, except static transforms.

        Args:
            after_ns: where time jumped back to: what is earlier may stay. None: all is forgotten.
        """
        ...

    def close(self) -> None:
        """Ends the subscriptions."""
        ...


def has_tf2() -> bool:
    """Whether tf2_ros can be imported.

    Returns:
        True in a ROS distribution.
    """
    return importlib.util.find_spec("tf2_ros") is not None


def create_transform_listener(
    node: Any, *, cache_s: float = DEFAULT_CACHE_S, prefer_tf2: bool = True, callback_group: Any = None
) -> TransformSource:
    """A listener to /tf and /tf_static on the node's executor.

    Args:
        node: the rclpy node.
        cache_s: how long transforms are kept, seconds.
        prefer_tf2: whether tf2_ros is used where it imports.
        callback_group: of our own listener's subscriptions; None: the node's default.

    Returns:
        The listener.
    """
    if prefer_tf2 and has_tf2():
        return Tf2RosListener(node, cache_s=cache_s)
    return TransformListener(node, TransformBuffer(round(cache_s * 1e9)), callback_group=callback_group)


class TransformListener:
    """Fills a ``TransformBuffer`` from /tf and /tf_static.

    Args:
        node: the rclpy node.
        buffer: the buffer to fill; None: a new one.
        callback_group: of the subscriptions; None: the node's default.
    """

    def __init__(self, node: Any, buffer: TransformBuffer | None = None, *, callback_group: Any = None) -> None:
        from rclpy.qos import DurabilityPolicy, QoSProfile
        from tf2_msgs.msg import TFMessage

        self._buffer = buffer or TransformBuffer()
        self._node = node
        self._complaints: set[str] = set()
        moving = QoSProfile(depth=TF_DEPTH)
        latched = QoSProfile(depth=TF_DEPTH, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._subscriptions = [
            node.create_subscription(TFMessage, "/tf", self._on_moving, moving, callback_group=callback_group),
            node.create_subscription(TFMessage, "/tf_static", self._on_static, latched, callback_group=callback_group),
        ]

    def lookup(self, target: str, source: str, stamp_ns: int | None = None) -> RigidTransform:
        """``target_T_source`` at a stamp, without waiting.

        Args:
            target: frame to express points in.
            source: frame the points are given in.
            stamp_ns: nanoseconds; None: the newest time at which the whole way is known.

        Returns:
            The transform.
        """
        return self._buffer.lookup(target, source, stamp_ns)

    def frames(self) -> tuple[str, ...]:
        """All frame names known.

        Returns:
            The names, sorted.
        """
        return self._buffer.frames()

    def clear(self, after_ns: int | None = None) -> None:
        """Forgets what was heard, except static transforms, which are sent only once.

        Args:
            after_ns: where time jumped back to: only what is later is forgotten. None: all.
        """
        self._buffer.clear(keep_static=True, after_ns=after_ns)

    def close(self) -> None:
        """Ends the subscriptions; the buffer keeps what it has."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()

    def _on_moving(self, msg: Any) -> None:
        self._complain(store_tf_message(msg, self._buffer))

    def _on_static(self, msg: Any) -> None:
        self._complain(store_tf_message(msg, self._buffer, static=True))

    def _complain(self, sentences: tuple[str, ...]) -> None:
        for sentence in sentences:
            if sentence not in self._complaints and len(self._complaints) < MAX_COMPLAINTS:
                self._complaints.add(sentence)
                logger.warning(sentence)


class Tf2RosListener:
    """The same through tf2_ros.

    Args:
        node: the rclpy node.
        cache_s: how long transforms are kept, seconds.
    """

    def __init__(self, node: Any, *, cache_s: float = DEFAULT_CACHE_S) -> None:
        from rclpy.duration import Duration

        tf2_ros = importlib.import_module("tf2_ros")
        self._error: type[Exception] = tf2_ros.TransformException
        self._buffer = tf2_ros.Buffer(cache_time=Duration(nanoseconds=round(cache_s * 1e9)))
        self._listener = tf2_ros.TransformListener(self._buffer, node, spin_thread=False)

    def lookup(self, target: str, source: str, stamp_ns: int | None = None) -> RigidTransform:
        """``target_T_source`` at a stamp, without waiting.

        Args:
            target: frame to express points in.
            source: frame the points are given in.
            stamp_ns: nanoseconds; None: the newest time at which the whole way is known.

        Returns:
            The transform.

        Raises:
            TransformError: not known, or not at that time.
        """
        from rclpy.time import Time

        if target == source:
            return RigidTransform.identity()
        try:  # the core call answers at once; lookup_transform would wait on the executor
            msg = self._buffer.lookup_transform_core(target, source, Time(nanoseconds=stamp_ns or 0))
        except self._error as error:
            raise TransformError(f"tf: {target!r} from {source!r}: {error}") from error
        return msg_to_transform(msg)

    def frames(self) -> tuple[str, ...]:
        """All frame names known.

        Returns:
            The names, sorted.
        """
        yaml = importlib.import_module("yaml")
        known = yaml.safe_load(self._buffer.all_frames_as_yaml()) or {}
        if not isinstance(known, dict):  # tf2 answers "[]" while it knows nothing
            return ()
        return tuple(sorted({*known, *(str(entry["parent"]) for entry in known.values())}))

    def clear(self, after_ns: int | None = None) -> None:  # noqa: ARG002 -- tf2 knows no such bound
        """Forgets what was heard, except static transforms (as tf2 does).

        Args:
            after_ns: not used: tf2 forgets all or nothing.
        """
        self._buffer.clear()

    def close(self) -> None:
        """Ends the subscriptions."""
        self._listener.unregister()


class TransformBroadcaster:
    """Sends transforms that change, on /tf.

    Args:
        node: the rclpy node.
    """

    def __init__(self, node: Any) -> None:
        from rclpy.qos import QoSProfile
        from tf2_msgs.msg import TFMessage

        self._message = TFMessage
        self._publisher = node.create_publisher(TFMessage, "/tf", QoSProfile(depth=TF_DEPTH))

    def send(self, transforms: Iterable[Any]) -> None:
        """Publishes transforms.

        Args:
            transforms: ``geometry_msgs/TransformStamped``.
        """
        self._publisher.publish(self._message(transforms=list(transforms)))


class StaticTransformBroadcaster:
    """Sends transforms that never change, latched, on /tf_static.

    Whoever joins late hears only the last message of each sender, so every message holds all that was sent so far.

    Args:
        node: the rclpy node.
    """

    def __init__(self, node: Any) -> None:
        from rclpy.qos import DurabilityPolicy, QoSProfile
        from tf2_msgs.msg import TFMessage

        self._message = TFMessage
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._publisher = node.create_publisher(TFMessage, "/tf_static", latched)
        self._sent: dict[str, Any] = {}

    def send(self, transforms: Iterable[Any]) -> None:
        """Publishes transforms together with those sent before; a child sent again takes its new place.

        Args:
            transforms: ``geometry_msgs/TransformStamped``.
        """
        self._sent.update({transform.child_frame_id: transform for transform in transforms})
        self._publisher.publish(self._message(transforms=list(self._sent.values())))
