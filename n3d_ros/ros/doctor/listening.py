"""Subscriptions of the examination: small, best effort, raw; they count and keep the newest few messages."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from rclpy.serialization import deserialize_message
from rclpy.subscription import Subscription

from n3d_ros.errors import InputError
from n3d_ros.ros.conversions import clean_frame_id, store_tf_message
from n3d_ros.ros.doctor.snapshot import NANOSECONDS, Heard, Transforms
from n3d_ros.ros.serialized import CDR_STAMP, stamp_of_bytes

KEPT = 6  # newest raw messages of an image topic, to find a pair among
MOST_STAMPS = 2000
TELLS_SENDER = hasattr(Subscription, "CallbackType")  # whether callbacks may take the message's info (not on Humble)
LISTENING = QoSProfile(depth=5, reliability=QoSReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(depth=100, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
MOVING = QoSProfile(depth=100, reliability=QoSReliabilityPolicy.BEST_EFFORT)

Info = dict[str, Any]


def subscribe(
    node: Any, message_type: Any, topic: str, on_message: Callable[[Any, Info], None], qos: QoSProfile, *, raw: bool
) -> Any:
    """A subscription whose callback hears who sent the message, where ROS tells.

    Args:
        node: that subscribes.
        message_type: of the topic.
        topic: name.
        on_message: given the message (bytes when raw) and its info.
        qos: asked for.
        raw: leave the message as it is.

    Returns:
        The subscription.
    """

    def with_info(message: Any, info: Info) -> None:
        on_message(message, info)

    def without_info(message: Any) -> None:
        on_message(message, {})

    callback = with_info if TELLS_SENDER else without_info
    return node.create_subscription(message_type, topic, callback, qos, raw=raw)


def sender_of(info: Info) -> str:
    """Who sent a message.

    Args:
        info: of the message.

    Returns:
        Identifier of the publisher, hexadecimal; empty where ROS does not tell.
    """
    gid = info.get("publisher_gid")
    return bytes(gid["data"]).hex() if isinstance(gid, dict) else ""


class Ear:
    """Listens to one topic.

    Args:
        node: that subscribes.
        message_type: of the topic.
        topic: name.
        clock_ns: the clock that ages count from.
        has_header: whether messages begin with a header.
    """

    def __init__(
        self, node: Any, message_type: Any, topic: str, clock_ns: Callable[[], int], *, has_header: bool = True
    ) -> None:
        self._type = message_type
        self._clock_ns = clock_ns
        self._has_header = has_header
        self._numbers: dict[str, list[int]] = {}
        self._began_s = time.monotonic()
        self._stamps: deque[int] = deque(maxlen=MOST_STAMPS)
        self._ages: deque[float] = deque(maxlen=MOST_STAMPS)
        self.count = 0
        self.raw: deque[tuple[int, bytes]] = deque(maxlen=KEPT)
        self._subscription = subscribe(node, message_type, topic, self._hear, LISTENING, raw=True)

    def _hear(self, message: bytes, info: Info) -> None:
        self.count += 1
        number = info.get("publication_sequence_number")
        if number is not None:
            self._numbers.setdefault(sender_of(info), []).append(int(number))
        stamp_ns = 0
        if self._has_header:
            stamp_ns = stamp_of_bytes(message) if len(message) >= CDR_STAMP.stop else 0
            self._stamps.append(stamp_ns)
            self._ages.append((self._clock_ns() - stamp_ns) / NANOSECONDS)
        self.raw.append((stamp_ns, message))

    def restart(self) -> None:
        """Counts from here on: what came while subscriptions were being made tells no rate."""
        self._began_s, self.count = time.monotonic(), 0
        self._numbers.clear()
        self._stamps.clear()
        self._ages.clear()

    def newest(self) -> Any:
        """The newest message.

        Returns:
            A message; None when none came.
        """
        return self.message(self.raw[-1][1]) if self.raw else None

    def message(self, raw: bytes) -> Any:
        """A raw message as one of its type.

        Args:
            raw: as it came.

        Returns:
            The message.

        Raises:
            InputError: the bytes are none of this type.
        """
        try:
            return deserialize_message(raw, self._type)
        except Exception as error:  # the middleware's own errors have no common type
            raise InputError(
                f"A message of {len(raw)} bytes is not a {self._type.__name__} as it is known here ({error}).",
                reason="wrong_type",
            ) from error

    def heard(self) -> Heard:
        """What came so far.

        Returns:
            Counts and stamps.
        """
        spans = [max(numbers) - min(numbers) + 1 - len(numbers) for numbers in self._numbers.values() if numbers]
        return Heard(
            count=self.count,
            lost=sum(spans) if self._numbers else None,
            seconds=time.monotonic() - self._began_s,
            stamps_ns=tuple(self._stamps),
            ages_s=tuple(self._ages),
        )


class TransformEar:
    """Listens to /tf and /tf_static, and notes who sends what.

    Args:
        node: that subscribes.
    """

    def __init__(self, node: Any) -> None:
        from tf2_msgs.msg import TFMessage

        self.transforms = Transforms()
        self._parents: dict[str, set[str]] = {}
        self._senders: dict[str, set[str]] = {}
        self._static: set[str] = set()
        self._moving: set[str] = set()
        self._newest_ns = 0
        self._buffer = self.transforms.buffer
        self._subscriptions = [
            subscribe(node, TFMessage, "/tf", lambda msg, info: self._hear(msg, info, static=False), MOVING, raw=False),
            subscribe(
                node, TFMessage, "/tf_static", lambda msg, info: self._hear(msg, info, static=True), LATCHED, raw=False
            ),
        ]

    def _hear(self, message: Any, info: Info, *, static: bool) -> None:
        store_tf_message(message, self._buffer, static=static)
        for one in message.transforms:
            child, parent = clean_frame_id(one.child_frame_id), clean_frame_id(one.header.frame_id)
            self._parents.setdefault(child, set()).add(parent)
            self._senders.setdefault(child, set()).add(sender_of(info) or "tf")
            (self._static if static else self._moving).add(child)
            if not static:
                stamp = one.header.stamp
                self._newest_ns = max(self._newest_ns, stamp.sec * NANOSECONDS + stamp.nanosec)

    def told(self, names: dict[str, str]) -> Transforms:
        """What tf told so far.

        Args:
            names: of nodes by the identifiers of their publishers.

        Returns:
            The facts, with senders by name where that is known.
        """
        return Transforms(
            buffer=self._buffer,
            parents={child: frozenset(parents) for child, parents in self._parents.items()},
            senders={child: frozenset(names.get(one, one) for one in them) for child, them in self._senders.items()},
            static=frozenset(self._static),
            moving=frozenset(self._moving),
            newest_ns=self._newest_ns,
        )
